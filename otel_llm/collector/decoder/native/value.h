/* Attributes: opentelemetry.proto.common.v1 KeyValue and AnyValue, read and checked. */
#ifndef OTEL_LLM_VALUE_H
#define OTEL_LLM_VALUE_H

#include "buffer.h"

/* Deepest nesting of lists and maps within one value. A depth of SHALLOW: do not look into them,
 * because that was done before. */
enum { DEEPEST = 64, SHALLOW = -1 };

typedef enum {
    VALUE_NONE,
    VALUE_STRING,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_DOUBLE,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_BYTES
} ValueKind;

typedef struct {
    ValueKind kind;
    union {
        Slice bytes; /* the text or bytes; of a list or map its message, checked to any depth */
        int64_t integer;
        double real;
    };
} Value;

typedef struct {
    Slice key;
    Value value;
} Attribute;

/* Fail if the message is malformed, or deeper than DEEPEST. */
void value_parse(Value *to, Slice message, int depth);
void attribute_parse(Attribute *to, Slice message, int depth);

/* Adds an attribute to a list of them. */
void attribute_add(Buffer *list, Slice message);

/* Adds those that come next in a message, as long as they have the tag and are short: most of what
 * is to be read are such. */
void attributes_add(Buffer *list, Slice *rest, uint8_t tag);

/* Longest text of a number, and of what JSON makes of one byte (`\u0000`). */
enum { SCALAR_BOUND = 40, ESCAPE = 6 };

/* Most bytes that the text of a value takes. */
static inline size_t value_bound(const Value *value)
{
    switch (value->kind) {
    case VALUE_STRING:
        return slice_size(value->bytes);
    case VALUE_BYTES:
        return slice_size(value->bytes) * 2 + 4;
    case VALUE_ARRAY:
    case VALUE_MAP:
        return slice_size(value->bytes) * ESCAPE + 2;
    default:
        return SCALAR_BOUND;
    }
}

static inline const Attribute *attributes(const Buffer *list)
{
    return (const Attribute *)list->data;
}

static inline size_t attributes_count(const Buffer *list)
{
    return list->size / sizeof(Attribute);
}

#endif
