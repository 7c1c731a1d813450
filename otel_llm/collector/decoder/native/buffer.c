#define _DEFAULT_SOURCE /* for madvise */
#include "buffer.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "failure.h"

enum { SMALLEST = 256, LARGE = 2 << 20 };

void memory_large(void *at, size_t size)
{
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)at + LARGE - 1) / LARGE * LARGE;
    uintptr_t end = ((uintptr_t)at + size) / LARGE * LARGE;
    if (from < end)
        madvise((void *)from, end - from, MADV_HUGEPAGE); /* that it is refused is no error */
#else
    (void)at, (void)size;
#endif
}

void buffer_reserve(Buffer *buffer, size_t capacity)
{
    if (capacity < LARGE || capacity <= buffer->capacity)
        return;
    capacity = (capacity + LARGE - 1) / LARGE * LARGE;
    uint8_t *data = aligned_alloc(LARGE, capacity);
    if (data == NULL)
        return; /* it was only a guess: the buffer grows as it is filled */
    memory_large(data, capacity);
    if (buffer->size)
        memcpy(data, buffer->data, buffer->size);
    free(buffer->data);
    buffer->data = data;
    buffer->capacity = capacity;
}

void buffer_grow(Buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 4 || buffer->size > SIZE_MAX / 4)
        fail_memory();
    size_t needed = buffer->size + more;
    size_t capacity = buffer->capacity + buffer->capacity / 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity < SMALLEST)
        capacity = SMALLEST;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        fail_memory();
    buffer->data = data;
    buffer->capacity = capacity;
}

void buffer_free(Buffer *buffer)
{
    free(buffer->data);
    *buffer = (Buffer){0};
}
