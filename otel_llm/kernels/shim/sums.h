/* Rows that add up kernels by a key, a name and a device. */
#ifndef OTEL_LLM_SUMS_H
#define OTEL_LLM_SUMS_H

#include "format.h"

enum { SUM_ROWS = 8192, SUM_SLOTS = 4 * SUM_ROWS };

typedef struct {
    uint32_t count;
    uint16_t slots[SUM_SLOTS]; /* row + 1; 0 is free */
    Aggregate rows[SUM_ROWS];
} Sums;

/* Add `row` to the row of its key, name, device and kind. False if there is no room: empty first. */
int sums_add(Sums *sums, const Aggregate *row);
void sums_empty(Sums *sums);

#endif
