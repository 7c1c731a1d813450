#include "number.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 17, POWERS = 20 };

/* Its digits times 10 to the exponent. The last digit is not zero, unless the number is. */
typedef struct {
    uint64_t digits;
    int exponent;
} Decimal;

static const uint64_t powers_of_ten[POWERS] = {
    1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u,
    10000000000u, 100000000000u, 1000000000000u, 10000000000000u, 100000000000000u,
    1000000000000000u, 10000000000000000u, 100000000000000000u, 1000000000000000000u,
    10000000000000000000u,
};

static int digits_count(uint64_t number)
{
    int bits = 64 - __builtin_clzll(number | 1);
    int count = bits * 1233 >> 12; /* log10(2) = 1233 / 4096 */
    return count + (number >= powers_of_ten[count] || count == 0);
}

/* The last `count` digits, two at a time, each in its place: copying bytes that were just written
 * one by one makes processors wait. */
static uint8_t *put_digits(uint8_t *to, uint64_t number, int count)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                                "34353637383940414243444546474849505152535455565758596061626364656667"
                                "6869707172737475767778798081828384858687888990919293949596979899";
    uint8_t *end = to + count;
    for (; count >= 2; number /= 100)
        memcpy(to + (count -= 2), pairs + number % 100 * 2, 2);
    if (count)
        *to = (uint8_t)('0' + number % 10);
    return end;
}

uint8_t *number_int(uint8_t *to, int64_t number)
{
    uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    *to = '-';
    return put_digits(to + (number < 0), size, digits_count(size));
}

static void set_digits(Decimal *decimal, uint64_t digits, int exponent)
{
    for (; digits && digits % 10 == 0; digits /= 10)
        exponent++;
    *decimal = (Decimal){digits, exponent};
}

/* A number as an interval of integers: all decimals between `low` and `high`, times 10 to the power
 * of -`scale`, read back as the number. */
typedef struct {
    unsigned __int128 value; /* the number itself, times 2 to the power of `shift` */
    unsigned shift;
    uint64_t low, high;
    int scale;
} Interval;

static const uint64_t powers_of_five[28] = {
    1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u, 9765625u, 48828125u,
    244140625u, 1220703125u, 6103515625u, 30517578125u, 152587890625u, 762939453125u,
    3814697265625u, 19073486328125u, 95367431640625u, 476837158203125u, 2384185791015625u,
    11920928955078125u, 59604644775390625u, 298023223876953125u, 1490116119384765625u,
    7450580596923828125u,
};

/* Exact, because 5 to the power of the scale and the digits fit in 128 bits: numbers from 1e-10 up
 * to 2^53 are scaled to 17 or 18 digits. */
static Interval interval_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    int exponent = (int)(bits >> (DBL_MANT_DIG - 1)) - (DBL_MAX_EXP - 2); /* as frexp gives it */
    uint64_t hidden = (uint64_t)1 << (DBL_MANT_DIG - 1);
    uint64_t digits = (bits & (hidden - 1)) | hidden;
    Interval made = {.scale = 16 - (((exponent - 1) * 1233) >> 12)}; /* log10(2) = 1233 / 4096 */
    unsigned __int128 power = powers_of_five[made.scale];
    /* Two bits more: half the distance to the next number, and a quarter of it below 2^n. */
    unsigned below = digits == hidden ? 1 : 2;
    unsigned odd = digits & 1; /* the ends of the interval belong to even numbers */
    made.shift = (unsigned)(DBL_MANT_DIG - exponent - made.scale + 2);
    made.value = power * digits * 4;
    made.low = (uint64_t)((made.value - power * below - !odd) >> made.shift) + 1;
    made.high = (uint64_t)((made.value + power * 2 - odd) >> made.shift);
    return made;
}

/* The value divided by 10 to the power of `dropped`, rounded, halves to even. */
static uint64_t closest(const Interval *interval, uint64_t ten_to_dropped)
{
    uint64_t whole = (uint64_t)(interval->value >> interval->shift);
    bool more = (interval->value & (((unsigned __int128)1 << interval->shift) - 1)) != 0;
    uint64_t kept = whole / ten_to_dropped, rest = whole % ten_to_dropped * 2;
    if (ten_to_dropped == 1) {
        unsigned __int128 half = (unsigned __int128)1 << (interval->shift - 1);
        unsigned __int128 part = interval->value & (half * 2 - 1);
        return kept + (part > half || (part == half && (kept & 1)));
    }
    return kept + (rest > ten_to_dropped ||
                   (rest == ten_to_dropped && (more || (kept & 1))));
}

/* Divides by a power of ten, if a multiple of it lies within. */
static inline bool drop(uint64_t *low, uint64_t *high, uint64_t power, uint64_t *dropped)
{
    if (*high / power * power < *low)
        return false;
    *low = (*low + power - 1) / power;
    *high /= power;
    *dropped *= power;
    return true;
}

static void shortest_in(double number, Decimal *decimal)
{
    Interval interval = interval_of(number);
    uint64_t low = interval.low, high = interval.high, ten = 1;
    int dropped = 0;
    while (drop(&low, &high, 100000000, &ten))
        dropped += 8;
    while (drop(&low, &high, 10, &ten))
        dropped++;
    uint64_t best = closest(&interval, ten);
    best = best < low ? low : best > high ? high : best;
    set_digits(decimal, best, dropped - interval.scale);
}

/* Numbers that people choose have few decimals. Fifteen digits that read back as the number are
 * its shortest: no two such decimals are the same double. */
static bool few_decimals(double number, Decimal *decimal)
{
    if (number > 1e11)
        return false;
    uint64_t scaled = (uint64_t)(number * 1e4 + 0.5);
    if (scaled == 0 || (double)scaled / 1e4 != number)
        return false;
    set_digits(decimal, scaled, -4);
    return true;
}

static bool reads_back(const Decimal *decimal, double number)
{
    char text[40]; /* without a point, which would be the locale's */
    snprintf(text, sizeof text, "%" PRIu64 "e%d", decimal->digits, decimal->exponent);
    return strtod(text, NULL) == number;
}

static void round_to(double number, int count, Decimal *decimal)
{
    char text[40];
    const char *at = text;
    snprintf(text, sizeof text, "%.*e", count - 1, number);
    decimal->digits = 0;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9')
            decimal->digits = decimal->digits * 10 + (uint64_t)(*at - '0');
    }
    decimal->exponent = atoi(at + 1) - count + 1;
}

/* Rounded to `count` digits. Above a power of two doubles are wider apart than below, so there the
 * next decimal may read back where the closest does not. */
static bool rounded(double number, int count, Decimal *decimal)
{
    round_to(number, count, decimal);
    if (reads_back(decimal, number))
        return true;
    if (decimal->digits % 10 == 9)
        return false;
    decimal->digits++;
    return reads_back(decimal, number);
}

static void shortest(double number, Decimal *decimal)
{
    if (number == 0) {
        set_digits(decimal, 0, 0);
        return;
    }
    if (few_decimals(number, decimal))
        return;
    if (number >= 1e-10 && number < 0x1p53) {
        shortest_in(number, decimal);
        return;
    }
    /* Below the smallest normal number even one digit may be enough; above it 15 always differ. */
    int count = number < DBL_MIN ? 1 : DBL_DIG;
    while (!rounded(number, count, decimal) && count < MOST_DIGITS)
        count++;
    set_digits(decimal, decimal->digits, decimal->exponent);
}

static uint8_t *put_zeros(uint8_t *to, int count)
{
    memset(to, '0', (size_t)count);
    return to + count;
}

/* `count` digits with a point after the first `whole` of them, if more follow. */
static uint8_t *put_split(uint8_t *to, uint64_t digits, int count, int whole)
{
    uint64_t power = powers_of_ten[count - whole];
    to = put_digits(to, digits / power, whole);
    if (count == whole)
        return to;
    *to++ = '.';
    return put_digits(to, digits % power, count - whole);
}

static uint8_t *scientific(uint8_t *to, uint64_t digits, int count, int exponent)
{
    to = put_split(to, digits, count, 1);
    *to++ = 'e';
    *to = '+';
    return number_int(to + (exponent > 0), exponent);
}

/* `whole` digits stand before the point, or it is below 1. */
static uint8_t *positional(uint8_t *to, uint64_t digits, int count, int whole)
{
    if (whole <= 0) {
        *to++ = '0';
        *to++ = '.';
        return put_digits(put_zeros(to, -whole), digits, count);
    }
    if (count <= whole)
        return put_zeros(put_digits(to, digits, count), whole - count);
    return put_split(to, digits, count, whole);
}

uint8_t *number_double(uint8_t *to, double number)
{
    *to = '-';
    to += signbit(number) != 0;
    number = fabs(number);
    Decimal decimal;
    shortest(number, &decimal);
    int count = digits_count(decimal.digits), whole = count + decimal.exponent;
    if (number != 0 && (number < 1e-6 || number >= 1e21))
        return scientific(to, decimal.digits, count, whole - 1);
    return positional(to, decimal.digits, count, whole);
}
