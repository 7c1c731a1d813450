/* A run of bytes that belongs to somebody else: of a request's body, most often. */
#ifndef OTEL_LLM_SLICE_H
#define OTEL_LLM_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at, *end;
} Slice;

static inline size_t slice_size(Slice slice)
{
    return (size_t)(slice.end - slice.at);
}

static inline Slice slice_of(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    return (Slice){at, at + strlen(text)};
}

/* Most strings are short: calling memcpy or memcmp costs more than the work. The first and the last
 * word together are all of it, and nothing beyond it is touched. */
static inline void bytes_copy(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 64) {
        memcpy(to, from, size);
    } else if (size > 32) {
        memcpy(to, from, 32);
        memcpy(to + size - 32, from + size - 32, 32);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

static inline bool word_equal(const uint8_t *one, const uint8_t *other)
{
    uint64_t a, b;
    memcpy(&a, one, sizeof a);
    memcpy(&b, other, sizeof b);
    return a == b;
}

static inline bool bytes_equal(const uint8_t *one, const uint8_t *other, size_t size)
{
    if (size < 8 || size > 64)
        return size == 0 || memcmp(one, other, size) == 0;
    for (size_t i = 0; i < size - 8; i += 8) {
        if (!word_equal(one + i, other + i))
            return false;
    }
    return word_equal(one + size - 8, other + size - 8);
}

static inline bool slice_equal(Slice one, Slice other)
{
    size_t size = slice_size(one);
    return size == slice_size(other) && bytes_equal(one.at, other.at, size);
}

#endif
