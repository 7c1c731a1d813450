/* Lists of numbers in a record's MessagePack, rewritten as the bytes of an array. */
#ifndef OTEL_LLM_NUMBERS_H
#define OTEL_LLM_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes that a record of `size` bytes takes when its lists are packed: a number that took one
 * takes eight, and none takes more. */
static inline size_t packed_most(size_t size)
{
    return 8 * size;
}

/* Rewrites a record: an array of fields, in which each field that is in `lists` (bit n for field n)
 * and is an array of integers becomes a string of bytes, eight for each in the machine's order. All
 * else is copied as it is.
 *
 * Returns how many bytes were written to `to`, which has room for `packed_most`; 0 if the record is
 * no such array, a field of `lists` holds anything else or more than 63 bits and sign, or another
 * field holds an array or a map. */
size_t numbers_packed(const uint8_t *record, size_t size, uint64_t lists, uint8_t *to);

/* Every bit that is set in one of these numbers. */
int64_t numbers_bits(const int64_t *numbers, size_t count);

#endif
