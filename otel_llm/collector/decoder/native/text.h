/* Text of attribute values, as the collector's pcommon.Value.AsString writes it. */
#ifndef OTEL_LLM_TEXT_H
#define OTEL_LLM_TEXT_H

#include "value.h"

/* Memory that is kept from one value to the next. */
typedef struct {
    Buffer json;
    Buffer pairs;
} TextScratch;

/* Adds the text of a bool, an integer or a finite double, less than 128 bytes; false of others. */
bool value_scalar(Buffer *to, const Value *value);

/* The text; it holds until the next call, or as long as the value's own bytes. */
Slice value_text(const Value *value, TextScratch *scratch);
void text_scratch_free(TextScratch *scratch);

#endif
