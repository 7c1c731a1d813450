/* The writing end of a ring: the file that otel_llm/journal/layout.py draws, under our magic. */
#ifndef OTEL_LLM_RING_H
#define OTEL_LLM_RING_H

#include <stddef.h>
#include <stdint.h>

enum { MARKS = 128, HEADER_BYTES = 8192 };

typedef struct {
    int handle; /* -1: there is no ring */
    uint8_t *map;
    uint64_t capacity, head, place, seq, tail, tail_seq, tail_check, next_mark;
    unsigned slot, first_mark, marks;
    uint64_t mark_at[MARKS], mark_seq[MARKS];
} Ring;

/* Make `NAME` in the open directory: allocated and locked under a temporary name, then renamed.
 * 0, or errno; then nothing is left behind. */
int ring_create(Ring *ring, int directory, const char *name, uint64_t bytes, int mode,
                const char *producer);
/* Write a frame; false if it is longer than a quarter of the ring, or there is none. */
int ring_append(Ring *ring, uint8_t kind, const void *payload, size_t length);
/* What will be written so many bytes after the head, soon: have it in the cache by then. */
static inline void ring_expect(const Ring *ring, size_t ahead)
{
    uint64_t at = ring->place + ahead;
    if (ring->handle >= 0 && at < ring->capacity)
        __builtin_prefetch(ring->map + HEADER_BYTES + at, 1);
}
void ring_count_dropped(Ring *ring, uint64_t dropped);
void ring_close(Ring *ring);
/* Let go of the file without a mark: in a forked child the parent keeps its lock. */
void ring_abandon(Ring *ring);

#endif
