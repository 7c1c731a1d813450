/* Completed buffers into rows: steps, raw kernels, names. Its owner holds a lock. */
#ifndef OTEL_LLM_DECODE_H
#define OTEL_LLM_DECODE_H

#include "format.h"
#include "names.h"
#include "ring.h"
#include "sums.h"
#include "walk.h"

enum { TAGS = 1 << 20, STAGED = 1024 };

typedef struct {
    Ring ring;
    Names names;
    Sums steps;
    Raw staged[STAGED];
    uint32_t staged_count;
    uint32_t names_written;
    uint64_t repeated_at;   /* position of the ring where all names were last repeated */
    uint64_t now, step_now; /* while a buffer is decoded */
    uint32_t raw_every;     /* 0: no raw rows */
    uint64_t raw_step;      /* the last step that this was asked for, */
    int raw_kept;           /* and whether it is kept */
    int by_name;            /* false: the budget leaves names out */
    char identity[1024];
    uint64_t counters[COUNTERS];
} Decode;

/* correlation id << 32 | low 32 bits of the step; written by launch callbacks on any thread. */
extern uint64_t tags[TAGS];

static inline void tag(uint32_t correlation, uint64_t step)
{
    __atomic_store_n(&tags[correlation & (TAGS - 1)],
                     (uint64_t)correlation << 32 | (uint32_t)step, __ATOMIC_RELAXED);
}

/* One buffer. `step_now` is the newest step, `now` CLOCK_REALTIME; nanoseconds. */
void decode_buffer(Decode *decode, const Walk *how, uint8_t *buffer, size_t valid, uint64_t now,
                   uint64_t step_now);
/* Write what has been added up, so that readers have it. */
void decode_flush(Decode *decode);
/* A frame with the names before it that readers do not know yet. */
void decode_append(Decode *decode, uint8_t kind, const void *payload, size_t length, uint64_t rows);

#endif
