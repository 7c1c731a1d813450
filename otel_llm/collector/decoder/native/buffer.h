/* A growing run of bytes. */
#ifndef OTEL_LLM_BUFFER_H
#define OTEL_LLM_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "slice.h"

typedef struct {
    uint8_t *data;
    size_t size, capacity;
} Buffer;

/* Asks for pages of 2 MB, where these fit: new memory is then had in far fewer faults. */
void memory_large(void *at, size_t size);

/* Makes room for what the buffer is thought to become, if that is much. It may still grow. */
void buffer_reserve(Buffer *buffer, size_t capacity);

/* Slow path of buffer_room; fails when memory cannot be had. */
void buffer_grow(Buffer *buffer, size_t more);
void buffer_free(Buffer *buffer);

/* Room for `more` bytes at the end, be it none; the caller adds to `size` what it wrote. */
static inline uint8_t *buffer_room(Buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->size <= more)
        buffer_grow(buffer, more);
    return buffer->data + buffer->size;
}

/* `bytes` may lie within the buffer itself only if room for `size` was made before. */
static inline void buffer_add(Buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *to = buffer_room(buffer, size);
    if (size)
        memcpy(to, bytes, size);
    buffer->size += size;
}

static inline void buffer_byte(Buffer *buffer, uint8_t byte)
{
    *buffer_room(buffer, 1) = byte;
    buffer->size++;
}

static inline void buffer_slice(Buffer *buffer, Slice slice)
{
    size_t size = slice_size(slice);
    bytes_copy(buffer_room(buffer, size), slice.at, size);
    buffer->size += size;
}

static inline void buffer_words(Buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

static inline void buffer_varint(Buffer *buffer, uint64_t number)
{
    uint8_t *to = buffer_room(buffer, 10);
    while (number > 0x7f) {
        *to++ = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    *to++ = (uint8_t)number;
    buffer->size = (size_t)(to - buffer->data);
}

/* A string as ClickHouse and protobuf write it: length, then bytes. */
static inline void buffer_string(Buffer *buffer, Slice text)
{
    size_t size = slice_size(text);
    if (__builtin_expect(size > 0x7f, 0)) {
        buffer_varint(buffer, size);
        buffer_slice(buffer, text);
        return;
    }
    uint8_t *to = buffer_room(buffer, 1 + size);
    *to = (uint8_t)size;
    bytes_copy(to + 1, text.at, size);
    buffer->size += 1 + size;
}

/* A new item at the end of a buffer that holds items of one size. Its bytes are not set. */
static inline void *buffer_item(Buffer *list, size_t size)
{
    void *item = buffer_room(list, size);
    list->size += size;
    return item;
}

static inline Slice buffer_all(const Buffer *buffer)
{
    if (buffer->size == 0)
        return slice_of("");
    return (Slice){buffer->data, buffer->data + buffer->size};
}

#endif
