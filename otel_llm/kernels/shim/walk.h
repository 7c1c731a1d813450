/* One activity buffer, record by record. It trusts nothing that stands in the buffer. */
#ifndef OTEL_LLM_WALK_H
#define OTEL_LLM_WALK_H

#include <stddef.h>
#include <stdint.h>

/* A record as we want it, whatever its kind. */
typedef struct {
    uint64_t start, end;
    const char *name; /* NULL for copies and fills */
    uint32_t device, stream, correlation, extra;
    uint8_t kind; /* WORK_... */
} Work;

/* Sizes of records by kind, as this CUPTI has them; 0 where it does not say. */
typedef struct {
    size_t kernel, memcpy, memset;
    /* CUPTI's own walk, for where sizes are unknown. */
    int (*next)(uint8_t *buffer, size_t valid, void **record);
} Walk;

typedef void (*Visit)(void *into, const Work *work);

typedef struct {
    uint64_t foreign;
    int truncated;
} Walked;

Walked walk(const Walk *how, uint8_t *buffer, size_t valid, Visit visit, void *into);

#endif
