/* Rows that add up kernels by a step, a name and a device. */
#ifndef OTEL_LLM_SUMS_H
#define OTEL_LLM_SUMS_H

#include "format.h"

enum { SUM_ROWS = 8192, SUM_SLOTS = 4 * SUM_ROWS, RECENT = 1024 };

typedef struct {
    uint32_t count;
    uint16_t slots[SUM_SLOTS]; /* row + 1; 0 is free */
    uint16_t recent[RECENT]; /* where each name's last row is, if it still is */
    Aggregate rows[SUM_ROWS];
} Sums;

/* The row of a step and a `who`, new if there is none; NULL if there is no room: empty first. */
Aggregate *sums_row(Sums *sums, uint64_t key, uint32_t who);

/* The same, at once where the last row of this name is the one. */
static inline Aggregate *sums_row_of(Sums *sums, uint64_t key, uint32_t who)
{
    uint32_t at = sums->recent[who % RECENT];
    Aggregate *row = &sums->rows[at];
    return at < sums->count && row->key == key && row->who == who ? row : sums_row(sums, key, who);
}

static inline void sums_add(Aggregate *row, uint64_t start, uint64_t end, uint32_t took)
{
    row->count++;
    row->total_ns += end - start;
    row->first_ns = row->first_ns < start ? row->first_ns : start;
    row->last_ns = row->last_ns > end ? row->last_ns : end;
    row->max_ns = row->max_ns > took ? row->max_ns : took;
    row->min_ns = row->min_ns < took ? row->min_ns : took;
}

void sums_empty(Sums *sums);

#endif
