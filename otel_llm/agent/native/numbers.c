#include "numbers.h"

#include <string.h>

typedef struct {
    const uint8_t *at, *end;
} Bytes;

static bool has(Bytes from, size_t size)
{
    return (size_t)(from.end - from.at) >= size;
}

/* A number of 1, 2, 4 or 8 bytes, the greatest first; false if it is cut off. */
static bool big_endian(Bytes *from, size_t size, uint64_t *number)
{
    if (!has(*from, size))
        return false;
    *number = 0;
    while (size--)
        *number = *number << 8 | *from->at++;
    return true;
}

/* How many entries an array has; false if none begins here. */
static bool array(Bytes *from, uint64_t *count)
{
    if (!has(*from, 1))
        return false;
    uint8_t tag = *from->at++;
    if (tag >> 4 == 0x9) {
        *count = tag & 0x0f;
        return true;
    }
    return (tag == 0xdc || tag == 0xdd) && big_endian(from, tag == 0xdc ? 2 : 4, count);
}

/* An integer; false if there is something else, or it is too great. */
static bool integer(Bytes *from, int64_t *number)
{
    if (!has(*from, 1))
        return false;
    uint8_t tag = *from->at++;
    if (tag < 0x80 || tag >= 0xe0) {
        *number = (int8_t)tag;
        return true;
    }
    if (tag < 0xcc || tag > 0xd3)
        return false;
    size_t size = (size_t)1 << (tag & 3); /* uint8 to uint64 are 0xcc to 0xcf, int8 is 0xd0 */
    uint64_t bits;
    if (!big_endian(from, size, &bits))
        return false;
    unsigned spare = 64 - 8 * (unsigned)size;
    *number = tag < 0xd0 ? (int64_t)bits : (int64_t)(bits << spare) >> spare;
    return tag != 0xcf || *number >= 0;
}

static uint8_t *put_length(uint8_t *to, uint64_t bytes)
{
    *to++ = 0xc6; /* bytes, with a length of four */
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(bytes >> shift);
    return to;
}

/* One list, packed; NULL if it is none. */
static uint8_t *packed_list(Bytes *from, uint8_t *to)
{
    uint64_t count;
    if (!array(from, &count) || !has(*from, count) || count > UINT32_MAX / 8)
        return NULL;
    to = put_length(to, 8 * count);
    for (; count; count--, to += sizeof(int64_t)) {
        int64_t number;
        if (!integer(from, &number))
            return NULL;
        memcpy(to, &number, sizeof number);
    }
    return to;
}

/* Passes over a value that holds no others; false if it does, or is cut off. */
static bool pass(Bytes *from)
{
    if (!has(*from, 1))
        return false;
    uint8_t tag = *from->at++;
    uint64_t length = 0;
    if (tag >> 5 == 0x5)
        length = tag & 0x1f; /* a short text */
    else if ((tag >= 0xc4 && tag <= 0xc6) || (tag >= 0xd9 && tag <= 0xdb)) {
        size_t size = (size_t)1 << (tag < 0xd9 ? tag - 0xc4 : tag - 0xd9);
        if (!big_endian(from, size, &length)) /* bytes or a text, and its length before it */
            return false;
    } else if (tag == 0xca || tag == 0xcb)
        length = tag == 0xca ? 4 : 8; /* a float */
    else if (tag >= 0xcc && tag <= 0xd3)
        length = (size_t)1 << (tag & 3);
    else if ((tag >= 0x80 && tag < 0xe0) && tag != 0xc0 && tag != 0xc2 && tag != 0xc3)
        return false;
    if (!has(*from, length))
        return false;
    from->at += length;
    return true;
}

size_t numbers_packed(const uint8_t *record, size_t size, uint64_t lists, uint8_t *to)
{
    Bytes from = {record, record + size};
    uint8_t *begin = to;
    uint64_t fields;
    if (!array(&from, &fields))
        return 0;
    memcpy(to, record, (size_t)(from.at - record));
    to += from.at - record;
    for (uint64_t field = 0; field < fields; field++) {
        const uint8_t *value = from.at;
        if (field < 64 && lists >> field & 1) {
            to = packed_list(&from, to);
            if (to == NULL)
                return 0;
        } else {
            if (!pass(&from))
                return 0;
            memcpy(to, value, (size_t)(from.at - value));
            to += from.at - value;
        }
    }
    return from.at == from.end ? (size_t)(to - begin) : 0;
}

int64_t numbers_bits(const int64_t *numbers, size_t count)
{
    uint64_t bits = 0;
    for (size_t at = 0; at < count; at++)
        bits |= (uint64_t)numbers[at];
    return (int64_t)bits;
}
