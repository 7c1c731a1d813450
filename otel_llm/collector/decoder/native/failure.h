/* How a walk ends early: a body that is malformed or too large, or memory that
 * cannot be had.
 *
 * Parsers and writers call fail() and do not return; attempt() gets control back, and its caller
 * frees what the walk had made. No function in between checks for errors.
 */
#ifndef OTEL_LLM_FAILURE_H
#define OTEL_LLM_FAILURE_H

#include <stdbool.h>

typedef enum { MALFORMED, NO_MEMORY, OVERSIZE } FailureKind;

typedef struct {
    FailureKind kind;
    const char *where, *why; /* when malformed: a message or field by its OTLP name, the reason */
} Failure;

typedef void Walk(void *with);

/* Runs `walk(with)`. False if it failed, with `failure` filled. Not to be nested. */
bool attempt(Failure *failure, Walk *walk, void *with);
_Noreturn void fail(const char *where, const char *why);
_Noreturn void fail_memory(void);
_Noreturn void fail_oversize(void);

#endif
