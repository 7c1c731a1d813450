/* Reads the protobuf wire format: https://protobuf.dev/programming-guides/encoding/ */
#ifndef OTEL_LLM_WIRE_H
#define OTEL_LLM_WIRE_H

#include "failure.h"
#include "slice.h"

/* Protobuf and ClickHouse write numbers from the lowest byte up; so must the processor. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the OTLP decoder is for little-endian processors"
#endif

typedef enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 } Wire;

typedef struct {
    uint32_t number;
    Wire wire;
    uint64_t scalar; /* of a varint or fixed field */
    Slice bytes;     /* of a field with a length */
} Field;

/* Slow path of wire_varint. */
uint64_t wire_long_varint(Slice *rest, const char *where);

static inline uint64_t wire_varint(Slice *rest, const char *where)
{
    if (rest->at < rest->end && *rest->at < 0x80)
        return *rest->at++;
    return wire_long_varint(rest, where);
}

static inline uint64_t wire_fixed(Slice *rest, size_t size, const char *where)
{
    uint64_t value = 0;
    if (slice_size(*rest) < size)
        fail(where, "it ends within a number");
    memcpy(&value, rest->at, size);
    rest->at += size;
    return value;
}

static inline Slice wire_bytes(Slice *rest, const char *where)
{
    uint64_t size = wire_varint(rest, where);
    if (size > slice_size(*rest))
        fail(where, "it ends within a field");
    Slice bytes = {rest->at, rest->at + size};
    rest->at = bytes.end;
    return bytes;
}

/* A field's tag, where it takes one byte. */
#define TAG(number, wire) ((number) << 3 | (wire))

/* The next field, if it has this tag and a length of one byte. */
static inline bool wire_short(Slice *rest, uint8_t tag, Slice *bytes)
{
    size_t left = slice_size(*rest);
    if (left < 2 || rest->at[0] != tag || rest->at[1] > 0x7f || rest->at[1] > left - 2)
        return false;
    *bytes = (Slice){rest->at + 2, rest->at + 2 + rest->at[1]};
    rest->at = bytes->end;
    return true;
}

/* The next field of a message; false at its end. `where` names the message. */
static inline bool wire_next(Slice *rest, Field *field, const char *where)
{
    if (rest->at == rest->end)
        return false;
    uint64_t tag = wire_varint(rest, where);
    if (tag < 8 || tag > UINT32_MAX)
        fail(where, "it has a field without a number");
    field->number = (uint32_t)(tag >> 3);
    field->wire = (Wire)(tag & 7);
    switch (__builtin_expect(field->wire, WIRE_BYTES)) {
    case WIRE_BYTES:
        field->bytes = wire_bytes(rest, where);
        return true;
    case WIRE_VARINT:
        field->scalar = wire_varint(rest, where);
        return true;
    case WIRE_FIXED64:
        field->scalar = wire_fixed(rest, 8, where);
        return true;
    case WIRE_FIXED32:
        field->scalar = wire_fixed(rest, 4, where);
        return true;
    }
    fail(where, "it has a field of an unknown kind");
}

static inline void wire_expect(const Field *field, Wire wire, const char *where)
{
    if (field->wire != wire)
        fail(where, "a field is of another kind than OTLP says");
}

static inline Slice field_bytes(const Field *field, const char *where)
{
    wire_expect(field, WIRE_BYTES, where);
    return field->bytes;
}

static inline uint64_t field_varint(const Field *field, const char *where)
{
    wire_expect(field, WIRE_VARINT, where);
    return field->scalar;
}

static inline uint64_t field_fixed64(const Field *field, const char *where)
{
    wire_expect(field, WIRE_FIXED64, where);
    return field->scalar;
}

static inline double field_double(const Field *field, const char *where)
{
    uint64_t bits = field_fixed64(field, where);
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

#endif
