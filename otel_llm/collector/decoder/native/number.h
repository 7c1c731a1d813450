/* Numbers as text, in the form that Go's encoding/json gives them. */
#ifndef OTEL_LLM_NUMBER_H
#define OTEL_LLM_NUMBER_H

#include <stdint.h>

/* Less than 32 bytes each. They return the text's end. */
uint8_t *number_int(uint8_t *to, int64_t number);

/* The shortest digits that read back as the number, which is finite; an exponent below 1e-6 and from
 * 1e21 on. */
uint8_t *number_double(uint8_t *to, double number);

#endif
