#include "number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_DIGITS = 17, EXACT_POWER = 22 };

/* digits[0].digits[1]... times 10 to the exponent, without zeros at the end. */
typedef struct {
    char digits[24];
    int count;
    int exponent;
} Decimal;

static int digits_of(uint64_t number, char *to)
{
    char reversed[20];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    for (int i = 0; i < count; i++)
        to[i] = reversed[count - 1 - i];
    return count;
}

void number_int(Buffer *to, int64_t number)
{
    char digits[20];
    uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (number < 0)
        buffer_byte(to, '-');
    buffer_add(to, digits, (size_t)digits_of(size, digits));
}

static void trim(Decimal *decimal)
{
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
}

/* Most doubles that people write have few digits. A number of at most 15 digits that reads back is
 * the shortest one, and it reads back if dividing by an exact power of ten gives the double. */
static bool few_digits(double number, Decimal *decimal)
{
    static const double powers[EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    for (int power = 0; power <= EXACT_POWER; power++) {
        double scaled = nearbyint(number * powers[power]);
        if (scaled > 1e15)
            return false;
        if (scaled / powers[power] != number)
            continue;
        decimal->count = digits_of((uint64_t)scaled, decimal->digits);
        decimal->exponent = decimal->count - 1 - power;
        trim(decimal);
        return true;
    }
    return false;
}

/* Rounded to `count` digits; true if it reads back as the number. */
static bool rounded(double number, int count, Decimal *decimal)
{
    char text[40];
    const char *at = text;
    snprintf(text, sizeof text, "%.*e", count - 1, number);
    decimal->count = 0;
    for (; *at != 'e'; at++) { /* between digits stands the locale's point, whatever it is */
        if (*at >= '0' && *at <= '9')
            decimal->digits[decimal->count++] = *at;
    }
    decimal->exponent = atoi(at + 1);
    trim(decimal);
    return strtod(text, NULL) == number;
}

static Decimal shortest(double number)
{
    Decimal decimal;
    if (few_digits(number, &decimal))
        return decimal;
    /* Below the smallest normal number even one digit may be enough; above it 15 always differ. */
    int count = number < DBL_MIN ? 1 : DBL_DIG;
    while (!rounded(number, count, &decimal) && count < MOST_DIGITS)
        count++;
    return decimal;
}

static void zeros(Buffer *to, int count)
{
    for (int i = 0; i < count; i++)
        buffer_byte(to, '0');
}

static void scientific(Buffer *to, const Decimal *decimal)
{
    buffer_byte(to, (uint8_t)decimal->digits[0]);
    if (decimal->count > 1) {
        buffer_byte(to, '.');
        buffer_add(to, decimal->digits + 1, (size_t)decimal->count - 1);
    }
    buffer_byte(to, 'e');
    if (decimal->exponent > 0)
        buffer_byte(to, '+');
    number_int(to, decimal->exponent);
}

static void positional(Buffer *to, const Decimal *decimal)
{
    int whole = decimal->exponent + 1;
    if (whole <= 0) {
        buffer_words(to, "0.");
        zeros(to, -whole);
        buffer_add(to, decimal->digits, (size_t)decimal->count);
        return;
    }
    int shown = decimal->count < whole ? decimal->count : whole;
    buffer_add(to, decimal->digits, (size_t)shown);
    zeros(to, whole - shown);
    if (decimal->count > whole) {
        buffer_byte(to, '.');
        buffer_add(to, decimal->digits + whole, (size_t)(decimal->count - whole));
    }
}

void number_double(Buffer *to, double number)
{
    if (!isfinite(number))
        return;
    if (signbit(number))
        buffer_byte(to, '-');
    number = fabs(number);
    Decimal decimal = shortest(number);
    if (number != 0 && (number < 1e-6 || number >= 1e21))
        scientific(to, &decimal);
    else
        positional(to, &decimal);
}
