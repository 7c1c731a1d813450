/* Rows that add up kernels by a key, a name and a device. */
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

/* Add `row` to the row of its key, name, device and kind. False if there is no room: empty first. */
int sums_add(Sums *sums, const Aggregate *row);

/* The same, at once where the last row of this name is the one. */
static inline int sums_add_one(Sums *sums, const Aggregate *one)
{
    uint16_t *at = &sums->recent[one->name % RECENT];
    Aggregate *into = &sums->rows[*at];
    if (*at < sums->count && into->key == one->key && into->name == one->name &&
        into->device == one->device && into->kind == one->kind) {
        into->count++;
        into->total_ns += one->total_ns;
        into->first_ns = into->first_ns < one->first_ns ? into->first_ns : one->first_ns;
        into->last_ns = into->last_ns > one->last_ns ? into->last_ns : one->last_ns;
        into->max_ns = into->max_ns > one->max_ns ? into->max_ns : one->max_ns;
        return 1;
    }
    return sums_add(sums, one);
}

void sums_empty(Sums *sums);

#endif
