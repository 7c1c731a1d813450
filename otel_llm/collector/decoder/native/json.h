/* Reads JSON text: https://www.rfc-editor.org/rfc/rfc8259 */
#ifndef OTEL_LLM_JSON_H
#define OTEL_LLM_JSON_H

#include "buffer.h"

/* Deepest nesting of objects and arrays. */
enum { JSON_DEEPEST = 256 };

typedef struct {
    Slice rest;
    int depth;
    bool first; /* nothing of the innermost object or array was read yet */
} Json;

/* The first byte of the next value. Fails at the end of the text. */
uint8_t json_peek(Json *json);

/* Ends the text: nothing but space may follow. */
void json_end(Json *json);

/* Into an object or array, and on to its next member or element; false, and out, at its end. */
void json_enter(Json *json, uint8_t open);
bool json_more(Json *json, uint8_t close);

/* A member's name, unescaped into `name`, and the colon. */
void json_name(Json *json, Buffer *name);

/* A string, unescaped, added to the buffer. Bytes that are no UTF-8 are kept, half a surrogate
 * becomes U+FFFD. */
void json_text(Json *json, Buffer *to);

/* A number as it is written. */
Slice json_number(Json *json);

/* `true`, `false` or `null`: whether it is the one. */
bool json_literal(Json *json, const char *word);
void json_skip(Json *json, Buffer *scratch);

#endif
