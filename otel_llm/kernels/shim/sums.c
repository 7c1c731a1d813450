#include "sums.h"

#include <string.h>

static uint32_t slot_of(uint64_t key, uint32_t who)
{
    uint64_t hash = (key * 0x9e3779b97f4a7c15ull ^ who) * 0x9e3779b97f4a7c15ull;
    return hash >> 40 & (SUM_SLOTS - 1);
}

Aggregate *sums_row(Sums *sums, uint64_t key, uint32_t who)
{
    uint32_t slot = slot_of(key, who), at;
    for (; (at = sums->slots[slot]); slot = (slot + 1) & (SUM_SLOTS - 1))
        if (sums->rows[at - 1].key == key && sums->rows[at - 1].who == who)
            break;
    if (!at) {
        if (sums->count == SUM_ROWS)
            return NULL;
        at = ++sums->count;
        sums->slots[slot] = (uint16_t)at;
        sums->rows[at - 1] = (Aggregate){
            .key = key, .who = who, .first_ns = UINT64_MAX, .min_ns = UINT32_MAX};
    }
    sums->recent[who % RECENT] = (uint16_t)(at - 1);
    return &sums->rows[at - 1];
}

void sums_empty(Sums *sums)
{
    sums->count = 0;
    memset(sums->slots, 0, sizeof sums->slots);
}
