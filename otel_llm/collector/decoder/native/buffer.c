#include "buffer.h"

#include <stdlib.h>

#include "failure.h"

enum { SMALLEST = 256 };

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
