/* Numbers as text, in the form that Go's encoding/json gives them. */
#ifndef OTEL_LLM_NUMBER_H
#define OTEL_LLM_NUMBER_H

#include "buffer.h"

void number_int(Buffer *to, int64_t number);

/* The shortest digits that read back as the number; an exponent below 1e-6 and from 1e21 on.
 * Nothing of an infinite number, or of none. */
void number_double(Buffer *to, double number);

#endif
