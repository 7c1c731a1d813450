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
    size_t limit;
} Reader;

static void put_message(Reader *reader, const Shape *shape);

static void put_tag(Reader *reader, const Member *member, Wire wire)
{
    buffer_varint(reader->to, (uint64_t)member->number << 3 | wire);
}

/* Before each member and element, so that no more than one value is made in vain. */
static void check_limit(const Reader *reader)
{
    if (reader->to->size > reader->limit)
        fail_oversize();
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
        if (exponent < 100000000000) /* more than a text has digits to make up for */
            exponent = exponent * 10 + (*text.at - '0');
    }
    return negative ? -exponent : exponent;
}

/* Whatever follows so many digits does not change which double is nearest, but by not being zero:
 * the number halfway between two doubles has 767 of them at most. */
enum { MOST_DIGITS = 770, EXPONENT = 24 };

typedef struct {
    char digits[MOST_DIGITS + EXPONENT]; /* without zeros before them */
    size_t count;
    long exponent; /* of the last of them */
    bool negative, any, fraction;
} Decimal;

static void add_digit(Decimal *number, char digit)
{
    number->any = true;
    number->exponent -= number->fraction;
    if (digit == '0' && number->count == 0)
        return;
    if (number->count < MOST_DIGITS) {
        number->digits[number->count++] = digit;
        return;
    }
    number->exponent++;
    if (digit != '0')
        number->digits[MOST_DIGITS - 1] |= 1; /* makes an even digit the odd one after it */
}

static void read_decimal(Decimal *number, Slice text, const char *where)
{
    number->count = 0, number->exponent = 0;
    number->any = number->fraction = false;
    number->negative = text.at < text.end && *text.at == '-';
    for (text.at += number->negative; text.at < text.end && (*text.at | 0x20) != 'e'; text.at++) {
        bool point = *text.at == '.' && number->any && !number->fraction;
        if (!point && (*text.at < '0' || *text.at > '9'))
            fail(where, "a number is no number");
        if (!point)
            add_digit(number, (char)*text.at);
        number->fraction |= point;
    }
    if (!number->any)
        fail(where, "a number is no number");
    if (text.at < text.end)
        number->exponent += read_exponent((Slice){text.at + 1, text.end}, where);
}

/* Without a point, which would be the locale's. */
static double decimal_double(Decimal *number)
{
    if (number->count == 0)
        number->digits[number->count++] = '0';
    snprintf(number->digits + number->count, EXPONENT, "e%ld", number->exponent);
    double real = strtod(number->digits, NULL);
    return number->negative ? -real : real;
}

static double read_double(Slice text, const char *where)
{
    if (slice_equal(text, slice_of("NaN")))
        return (double)NAN;
    if (slice_equal(text, slice_of("Infinity")))
        return (double)INFINITY;
    if (slice_equal(text, slice_of("-Infinity")))
        return -(double)INFINITY;
    Decimal number;
    read_decimal(&number, text, where);
    return decimal_double(&number);
}

static bool add_place(uint64_t *number, unsigned digit)
{
    if (*number > (UINT64_MAX - digit) / 10)
        return false;
    *number = *number * 10 + digit;
    return true;
}

/* False if the number is no integer, or one of more than 64 bits. */
static bool decimal_integer(const Decimal *number, uint64_t *integer)
{
    *integer = 0;
    for (size_t i = 0; i < number->count; i++) {
        unsigned digit = (unsigned)(number->digits[i] - '0');
        bool whole = number->exponent + (long)(number->count - i) > 0;
        if (whole ? !add_place(integer, digit) : digit != 0)
            return false;
    }
    for (long i = 0; *integer && i < number->exponent; i++) {
        if (!add_place(integer, 0))
            return false;
    }
    return true;
}

/* An integer of 64 bits, below zero in two's complement. `1.0` and `1e3` are such too. */
static uint64_t read_int(Slice text, const char *where)
{
    Decimal number;
    uint64_t integer;
    read_decimal(&number, text, where);
    if (!decimal_integer(&number, &integer) || (number.negative && integer > (uint64_t)1 << 63))
        fail(where, "a number is no integer of 64 bits");
    return number.negative ? 0 - integer : integer;
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

static void put_bool(Reader *reader, const char *where)
{
    bool truth = json_literal(&reader->json, "true");
    if (!truth && !json_literal(&reader->json, "false"))
        fail(where, "something else stands where true or false must");
    buffer_varint(reader->to, truth);
}

static Wire wire_of(Encoding encoding)
{
    if (encoding == AS_FIXED64 || encoding == AS_DOUBLE)
        return WIRE_FIXED64;
    return encoding == AS_FIXED32 ? WIRE_FIXED32 : WIRE_VARINT;
}

static void put_integer(Reader *reader, const Member *member, const char *where)
{
    uint64_t number = read_enum(scalar_text(reader), member, where);
    switch (member->encoding) {
    case AS_FIXED64:
        buffer_add(reader->to, &number, 8);
        break;
    case AS_FIXED32:
        buffer_add(reader->to, &number, 4);
        break;
    case AS_ZIGZAG:
        buffer_varint(reader->to, (uint32_t)number << 1 ^ (0 - (uint32_t)(number >> 63)));
        break;
    default:
        buffer_varint(reader->to, number);
    }
}

/* A number or truth without its tag. */
static void put_scalar(Reader *reader, const Member *member, const char *where)
{
    if (member->encoding == AS_BOOL) {
        put_bool(reader, where);
    } else if (member->encoding == AS_DOUBLE) {
        double number = read_double(scalar_text(reader), where);
        buffer_add(reader->to, &number, sizeof number);
    } else {
        put_integer(reader, member, where);
    }
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
    default:
        put_tag(reader, member, wire_of(member->encoding));
        put_scalar(reader, member, where);
    }
}

/* Of the lists that OTLP has, those that are no messages hold numbers: they are packed. */
static void put_list(Reader *reader, const Member *member, const char *where)
{
    bool packed = member->encoding != AS_MESSAGE;
    size_t from = packed ? begin_bytes(reader, member) : 0;
    json_enter(&reader->json, '[');
    while (json_more(&reader->json, ']')) {
        check_limit(reader);
        if (packed)
            put_scalar(reader, member, where);
        else
            put_value(reader, member, where);
    }
    if (packed)
        end_bytes(reader, from);
}

static void put_member(Reader *reader, const Member *member, const char *where)
{
    if (json_literal(&reader->json, "null"))
        return;
    if (member->repeated)
        put_list(reader, member, where);
    else
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
        check_limit(reader);
        if (member)
            put_member(reader, member, shape->name);
        else
            json_skip(&reader->json, reader->scratch);
    }
}

void transcode(Transcoding *work)
{
    Reader reader = {{.rest = work->json}, &work->protobuf, &work->scratch, work->limit};
    put_message(&reader, work->shape);
    json_end(&reader.json);
    check_limit(&reader);
}

void transcode_free(Transcoding *work)
{
    buffer_free(&work->protobuf);
    buffer_free(&work->scratch);
}
