#include "sums.h"

#include <string.h>

static uint32_t slot_of(const Aggregate *row)
{
    uint64_t hash = row->key * 0x9e3779b97f4a7c15ull;
    hash ^= (uint64_t)row->name << 16 | (uint64_t)row->device << 8 | row->kind;
    hash *= 0x9e3779b97f4a7c15ull;
    return hash >> 40 & (SUM_SLOTS - 1);
}

static int same(const Aggregate *one, const Aggregate *other)
{
    return one->key == other->key && one->name == other->name && one->device == other->device &&
           one->kind == other->kind;
}

int sums_add(Sums *sums, const Aggregate *row)
{
    uint32_t slot = slot_of(row), at;
    for (; (at = sums->slots[slot]); slot = (slot + 1) & (SUM_SLOTS - 1))
        if (same(&sums->rows[at - 1], row))
            break;
    if (!at) {
        if (sums->count == SUM_ROWS)
            return 0;
        sums->rows[sums->count++] = *row;
        sums->slots[slot] = (uint16_t)sums->count;
        sums->recent[row->name % RECENT] = (uint16_t)(sums->count - 1);
        return 1;
    }
    Aggregate *into = &sums->rows[at - 1];
    sums->recent[row->name % RECENT] = (uint16_t)(at - 1);
    into->count += row->count;
    into->total_ns += row->total_ns;
    into->first_ns = into->first_ns < row->first_ns ? into->first_ns : row->first_ns;
    into->last_ns = into->last_ns > row->last_ns ? into->last_ns : row->last_ns;
    into->max_ns = into->max_ns > row->max_ns ? into->max_ns : row->max_ns;
    return 1;
}

void sums_empty(Sums *sums)
{
    sums->count = 0;
    memset(sums->slots, 0, sizeof sums->slots);
}
