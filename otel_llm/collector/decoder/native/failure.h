/* How a walk ends early: a body that is malformed, or memory that cannot be had.
 *
 * Parsers and writers call fail() and do not return; attempt() gets control back, and its caller
 * frees what the walk had made. No function in between checks for errors.
 */
#ifndef OTEL_LLM_FAILURE_H
#define OTEL_LLM_FAILURE_H

#include <stdbool.h>

typedef struct {
    const char *where; /* a message or field by its OTLP name; NULL when memory could not be had */
    const char *why;
} Failure;

typedef void Walk(void *with);

/* Runs `walk(with)`. False if it failed, with `failure` filled. Not to be nested. */
bool attempt(Failure *failure, Walk *walk, void *with);
_Noreturn void fail(const char *where, const char *why);
_Noreturn void fail_memory(void);

#endif
