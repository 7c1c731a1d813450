#include "transcode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "failure.h"
#include "json.h"
#include "wire.h"

typedef struct {
    Json json;
    Buffer *to, *scratch;
} Reader;

static void put_message(Reader *reader, const Shape *shape);

static void put_tag(Reader *reader, const Member *member, Wire wire)
{
    buffer_varint(reader->to, (uint64_t)member->number << 3 | wire);
}

/* Begins a field whose length is not known yet: one byte is left for it. */
static size_t begin_bytes(Reader *reader, const Member *member)
{
    put_tag(reader, member, WIRE_BYTES);
    buffer_byte(reader->to, 0);
    return reader->to->size;
}

static void end_bytes(Reader *reader, size_t from)
{
    size_t size = reader->to->size - from, more = 0;
    for (size_t rest = size; rest > 0x7f; rest >>= 7)
        more++;
    buffer_room(reader->to, more);
    uint8_t *at = reader->to->data + from;
    if (more)
        memmove(at + more, at, size);
    for (at--; size > 0x7f; size >>= 7)
        *at++ = (uint8_t)(size | 0x80);
    *at = (uint8_t)size;
    reader->to->size += more;
}

/* The text of a string, or of a number as it is written. */
static Slice scalar_text(Reader *reader)
{
    if (json_peek(&reader->json) != '"')
        return json_number(&reader->json);
    reader->scratch->size = 0;
    json_text(&reader->json, reader->scratch);
    return buffer_all(reader->scratch);
}

static long read_exponent(Slice text, const char *where)
{
    long exponent = 0;
    bool negative = text.at < text.end && *text.at == '-';
    text.at += text.at < text.end && (*text.at == '-' || *text.at == '+');
    if (text.at == text.end)
        fail(where, "a number is no number");
    for (; text.at < text.end; text.at++) {
        if (*text.at < '0' || *text.at > '9')
            fail(where, "a number is no number");
        if (exponent < 10000) /* beyond it every double is zero or infinite */
            exponent = exponent * 10 + (*text.at - '0');
    }
    return negative ? -exponent : exponent;
}

/* Digits without their point, which would be the locale's, and the exponent that makes up for it. */
static double read_decimal(Slice text, const char *where)
{
    char copy[80];
    size_t count = 0;
    long exponent = 0;
    bool fraction = false;
    const uint8_t *at = text.at;
    for (; at < text.end && (*at | 0x20) != 'e'; at++) {
        bool point = *at == '.' && !fraction && count > 0;
        bool sign = *at == '-' && at == text.at;
        if ((!point && !sign && (*at < '0' || *at > '9')) || count == 64)
            fail(where, "a number is no number");
        if (!point)
            copy[count++] = (char)*at;
        exponent -= fraction;
        fraction |= point;
    }
    if (count == 0 || (count == 1 && copy[0] == '-'))
        fail(where, "a number is no number");
    if (at < text.end)
        exponent += read_exponent((Slice){at + 1, text.end}, where);
    snprintf(copy + count, sizeof copy - count, "e%ld", exponent);
    return strtod(copy, NULL);
}

static double read_double(Slice text, const char *where)
{
    if (slice_equal(text, slice_of("NaN")))
        return (double)NAN;
    if (slice_equal(text, slice_of("Infinity")))
        return (double)INFINITY;
    if (slice_equal(text, slice_of("-Infinity")))
        return -(double)INFINITY;
    return read_decimal(text, where);
}

/* An integer of 64 bits, below zero in two's complement. `1.0` and `1e3` are such too. */
static uint64_t read_int(Slice text, const char *where)
{
    uint64_t number = 0;
    Slice rest = text;
    bool negative = rest.at < rest.end && *rest.at == '-';
    rest.at += negative;
    bool good = rest.at < rest.end;
    for (; good && rest.at < rest.end; rest.at++) {
        uint8_t digit = (uint8_t)(*rest.at - '0');
        good = digit < 10 && number <= (UINT64_MAX - digit) / 10;
        number = number * 10 + digit;
    }
    if (good && negative && number > (uint64_t)1 << 63)
        good = false;
    if (good)
        return negative ? 0 - number : number;
    double real = read_double(text, where);
    if (!(fabs(real) <= 0x1p53) || real != nearbyint(real))
        fail(where, "a number is no integer of 64 bits");
    return (uint64_t)(int64_t)real;
}

static uint64_t read_enum(Slice text, const Member *member, const char *where)
{
    for (uint64_t i = 0; member->names && member->names[i]; i++) {
        if (slice_equal(text, slice_of(member->names[i])))
            return i;
    }
    return read_int(text, where);
}

static int hex_digit(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void put_hex(Reader *reader, Slice text, const char *where)
{
    if (slice_size(text) % 2)
        fail(where, "an id is no hex");
    for (; text.at < text.end; text.at += 2) {
        int high = hex_digit(text.at[0]), low = hex_digit(text.at[1]);
        if (high < 0 || low < 0)
            fail(where, "an id is no hex");
        buffer_byte(reader->to, (uint8_t)(high << 4 | low));
    }
}

static int base64_digit(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    if (byte == '+' || byte == '-')
        return 62;
    return byte == '/' || byte == '_' ? 63 : -1;
}

/* Of either alphabet, with or without its padding. */
static void put_base64(Reader *reader, Slice text, const char *where)
{
    uint32_t bits = 0;
    unsigned count = 0;
    while (text.at < text.end && text.end[-1] == '=')
        text.end--;
    if (slice_size(text) % 4 == 1)
        fail(where, "bytes are no base64");
    for (; text.at < text.end; text.at++) {
        int digit = base64_digit(*text.at);
        if (digit < 0)
            fail(where, "bytes are no base64");
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            buffer_byte(reader->to, (uint8_t)(bits >> count));
        }
    }
}

static void put_bytes(Reader *reader, const Member *member, const char *where)
{
    if (json_peek(&reader->json) != '"')
        fail(where, "something else stands where a string must");
    size_t from = begin_bytes(reader, member);
    if (member->encoding == AS_TEXT)
        json_text(&reader->json, reader->to);
    else if (member->encoding == AS_HEX)
        put_hex(reader, scalar_text(reader), where);
    else
        put_base64(reader, scalar_text(reader), where);
    end_bytes(reader, from);
}

static void put_bool(Reader *reader, const Member *member, const char *where)
{
    bool truth = json_literal(&reader->json, "true");
    if (!truth && !json_literal(&reader->json, "false"))
        fail(where, "something else stands where true or false must");
    put_tag(reader, member, WIRE_VARINT);
    buffer_varint(reader->to, truth);
}

static void put_integer(Reader *reader, const Member *member, const char *where)
{
    uint64_t number = read_enum(scalar_text(reader), member, where);
    switch (member->encoding) {
    case AS_FIXED64:
        put_tag(reader, member, WIRE_FIXED64);
        buffer_add(reader->to, &number, 8);
        break;
    case AS_FIXED32:
        put_tag(reader, member, WIRE_FIXED32);
        buffer_add(reader->to, &number, 4);
        break;
    case AS_ZIGZAG:
        put_tag(reader, member, WIRE_VARINT);
        buffer_varint(reader->to, (uint32_t)number << 1 ^ (0 - (uint32_t)(number >> 63)));
        break;
    default:
        put_tag(reader, member, WIRE_VARINT);
        buffer_varint(reader->to, number);
    }
}

static void put_double(Reader *reader, const Member *member, const char *where)
{
    double number = read_double(scalar_text(reader), where);
    put_tag(reader, member, WIRE_FIXED64);
    buffer_add(reader->to, &number, sizeof number);
}

static void put_value(Reader *reader, const Member *member, const char *where)
{
    size_t from;
    switch (member->encoding) {
    case AS_MESSAGE:
        from = begin_bytes(reader, member);
        put_message(reader, member->shape);
        end_bytes(reader, from);
        break;
    case AS_TEXT:
    case AS_BASE64:
    case AS_HEX:
        put_bytes(reader, member, where);
        break;
    case AS_BOOL:
        put_bool(reader, member, where);
        break;
    case AS_DOUBLE:
        put_double(reader, member, where);
        break;
    default:
        put_integer(reader, member, where);
    }
}

static void put_member(Reader *reader, const Member *member, const char *where)
{
    if (json_literal(&reader->json, "null"))
        return;
    if (!member->repeated) {
        put_value(reader, member, where);
        return;
    }
    json_enter(&reader->json, '[');
    while (json_more(&reader->json, ']'))
        put_value(reader, member, where);
}

static const Member *member_of(const Shape *shape, Slice name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (slice_equal(slice_of(shape->members[i].name), name))
            return shape->members + i;
    }
    return NULL;
}

static void put_message(Reader *reader, const Shape *shape)
{
    json_enter(&reader->json, '{');
    while (json_more(&reader->json, '}')) {
        json_name(&reader->json, reader->scratch);
        const Member *member = member_of(shape, buffer_all(reader->scratch));
        if (member)
            put_member(reader, member, shape->name);
        else
            json_skip(&reader->json, reader->scratch);
    }
}

void transcode(Transcoding *work)
{
    Reader reader = {{.rest = work->json}, &work->protobuf, &work->scratch};
    put_message(&reader, work->shape);
    json_end(&reader.json);
}

void transcode_free(Transcoding *work)
{
    buffer_free(&work->protobuf);
    buffer_free(&work->scratch);
}
