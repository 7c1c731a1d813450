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

static inline bool slice_equal(Slice one, Slice other)
{
    size_t size = slice_size(one);
    return size == slice_size(other) && (size == 0 || memcmp(one.at, other.at, size) == 0);
}

#endif
