/* Text of attribute values, as the collector's pcommon.Value.AsString writes it. */
#ifndef OTEL_LLM_TEXT_H
#define OTEL_LLM_TEXT_H

#include "value.h"

/* Memory that is kept from one value to the next. */
typedef struct {
    Buffer json;
    Buffer pairs;
} TextScratch;

/* Writes the text of a bool, an integer or a finite double, SCALAR_BOUND bytes at most, and returns
 * its end; NULL of others. */
uint8_t *value_scalar(uint8_t *to, const Value *value);

/* The text; it holds until the next call, or as long as the value's own bytes. */
Slice value_text(const Value *value, TextScratch *scratch);
void text_scratch_free(TextScratch *scratch);

#endif
