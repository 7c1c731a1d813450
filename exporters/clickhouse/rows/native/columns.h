/* Numbers of columns as Arrow lays them out. */
#ifndef OTEL_LLM_COLUMNS_H
#define OTEL_LLM_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a column holds integers. */
typedef struct {
    unsigned width; /* bytes: 1, 2, 4 or 8 */
    bool is_signed;
} Form;

bool form_is_known(Form form);

/* Whether a column of this form can hold the number. */
bool form_holds(Form form, int64_t number);

/* Writes the lowest `width` bytes, as an integer of the machine. */
void form_write(Form form, uint64_t bits, uint8_t *to);

/* Writes `count` numbers as unsigned ones of 4 or 8 bytes, and adds them up.
 *
 * Returns whether the column holds them all. */
bool narrowed(const int64_t *numbers, size_t count, unsigned width, uint8_t *to, int64_t *sum);

/* Sets the first `count` bits: every entry is there. The last byte's other bits are 0. */
void bits_begin(uint8_t *bits, size_t count);

void bits_clear(uint8_t *bits, size_t at);

static inline size_t bits_size(size_t count)
{
    return count / 8 + (count % 8 != 0);
}

#endif
