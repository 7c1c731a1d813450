#include "columns.h"

#include <string.h>

bool form_is_known(Form form)
{
    return form.width == 1 || form.width == 2 || form.width == 4 || form.width == 8;
}

bool form_holds(Form form, int64_t number)
{
    if (form.width == 8)
        return form.is_signed || number >= 0;
    uint64_t half = (uint64_t)1 << (8 * form.width - 1);
    return form.is_signed ? (uint64_t)number + half < 2 * half : (uint64_t)number < 2 * half;
}

void form_write(Form form, uint64_t bits, uint8_t *to)
{
    if (form.width == 1) {
        *to = (uint8_t)bits;
    } else if (form.width == 2) {
        uint16_t two = (uint16_t)bits;
        memcpy(to, &two, sizeof two);
    } else if (form.width == 4) {
        uint32_t four = (uint32_t)bits;
        memcpy(to, &four, sizeof four);
    } else {
        memcpy(to, &bits, sizeof bits);
    }
}

static uint64_t as_four(const int64_t *restrict numbers, size_t count, uint32_t *restrict to)
{
    uint64_t all = 0;
    for (size_t at = 0; at < count; at++) {
        all |= (uint64_t)numbers[at];
        to[at] = (uint32_t)numbers[at];
    }
    return all;
}

static uint64_t as_eight(const int64_t *restrict numbers, size_t count, uint64_t *restrict to)
{
    uint64_t all = 0;
    for (size_t at = 0; at < count; at++) {
        all |= (uint64_t)numbers[at];
        to[at] = (uint64_t)numbers[at];
    }
    return all;
}

bool narrowed(const int64_t *numbers, size_t count, unsigned width, uint8_t *to, int64_t *sum)
{
    uint64_t total = 0;
    for (size_t at = 0; at < count; at++)
        total += (uint64_t)numbers[at];
    *sum = (int64_t)total;
    if (width == 4)
        return as_four(numbers, count, (uint32_t *)to) <= UINT32_MAX;
    return as_eight(numbers, count, (uint64_t *)to) <= INT64_MAX;
}

void bits_begin(uint8_t *bits, size_t count)
{
    memset(bits, 0xff, bits_size(count));
    if (count % 8)
        bits[count / 8] = (uint8_t)((1u << count % 8) - 1);
}

void bits_clear(uint8_t *bits, size_t at)
{
    bits[at / 8] &= (uint8_t) ~(1u << at % 8);
}
