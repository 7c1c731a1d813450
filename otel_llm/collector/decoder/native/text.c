#include "text.h"

#include <math.h>
#include <stdlib.h>

#include "number.h"
#include "utf8.h"
#include "wire.h"

static bool json_value(TextScratch *to, const Value *value);

static void base64(Buffer *to, Slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (bytes.at < bytes.end) {
        size_t left = slice_size(bytes);
        uint32_t three = (uint32_t)bytes.at[0] << 16;
        three |= left > 1 ? (uint32_t)bytes.at[1] << 8 : 0;
        three |= left > 2 ? bytes.at[2] : 0;
        buffer_byte(to, (uint8_t)digits[three >> 18]);
        buffer_byte(to, (uint8_t)digits[three >> 12 & 63]);
        buffer_byte(to, left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=');
        buffer_byte(to, left > 2 ? (uint8_t)digits[three & 63] : '=');
        bytes.at += left > 2 ? 3 : left;
    }
}

static void json_escape(Buffer *to, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *name = named; *name; name += 2) {
        if (byte == (uint8_t)*name) {
            buffer_byte(to, '\\');
            buffer_byte(to, (uint8_t)name[1]);
            return;
        }
    }
    buffer_words(to, "\\u00");
    buffer_byte(to, (uint8_t)hex[byte >> 4]);
    buffer_byte(to, (uint8_t)hex[byte & 15]);
}

/* Go escapes the two line separators of JavaScript, and writes U+FFFD for what is no UTF-8. */
static size_t json_rune(Buffer *to, Slice rest)
{
    size_t size = utf8_size(rest);
    if (size == 0)
        buffer_words(to, "\\ufffd");
    else if (size == 3 && rest.at[0] == 0xe2 && rest.at[1] == 0x80 && (rest.at[2] | 1) == 0xa9)
        buffer_words(to, rest.at[2] == 0xa8 ? "\\u2028" : "\\u2029");
    else
        buffer_add(to, rest.at, size);
    return size ? size : 1;
}

static void json_string(Buffer *to, Slice text)
{
    buffer_byte(to, '"');
    while (text.at < text.end) {
        uint8_t byte = *text.at;
        if (byte >= 0x80) {
            text.at += json_rune(to, text);
            continue;
        }
        if (byte < 0x20 || byte == '"' || byte == '\\')
            json_escape(to, byte);
        else
            buffer_byte(to, byte);
        text.at++;
    }
    buffer_byte(to, '"');
}

static bool json_array(TextScratch *to, Slice message)
{
    Field field;
    bool first = true;
    buffer_byte(&to->json, '[');
    while (wire_next(&message, &field, "ArrayValue")) {
        if (field.number != 1)
            continue;
        if (!first)
            buffer_byte(&to->json, ',');
        first = false;
        Value value;
        value_parse(&value, field.bytes, SHALLOW);
        if (!json_value(to, &value))
            return false;
    }
    buffer_byte(&to->json, ']');
    return true;
}

/* By key; of two values of one key the earlier first, which is the one at the lower address. */
static int by_key(const void *one, const void *other)
{
    const Slice a = ((const Attribute *)one)->key, b = ((const Attribute *)other)->key;
    size_t least = slice_size(a) < slice_size(b) ? slice_size(a) : slice_size(b);
    int order = least ? memcmp(a.at, b.at, least) : 0;
    if (order != 0)
        return order;
    if (slice_size(a) != slice_size(b))
        return slice_size(a) < slice_size(b) ? -1 : 1;
    return a.at < b.at ? -1 : a.at > b.at;
}

static bool json_pairs(TextScratch *to, size_t from, size_t count)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        /* Looked up each time: the list grows, and moves, while a value within is written. */
        const Attribute *pair = (const Attribute *)(to->pairs.data + from) + i;
        if (i + 1 < count && slice_equal(pair[0].key, pair[1].key))
            continue;
        if (!first)
            buffer_byte(&to->json, ',');
        first = false;
        Value value = pair->value;
        json_string(&to->json, pair->key);
        buffer_byte(&to->json, ':');
        if (!json_value(to, &value))
            return false;
    }
    return true;
}

static bool json_map(TextScratch *to, Slice message)
{
    size_t from = to->pairs.size;
    Field field;
    while (wire_next(&message, &field, "KeyValueList")) {
        if (field.number == 1)
            attribute_parse(buffer_item(&to->pairs, sizeof(Attribute)), field.bytes, SHALLOW);
    }
    size_t count = (to->pairs.size - from) / sizeof(Attribute);
    if (count > 1)
        qsort(to->pairs.data + from, count, sizeof(Attribute), by_key);
    buffer_byte(&to->json, '{');
    bool finite = json_pairs(to, from, count);
    buffer_byte(&to->json, '}');
    to->pairs.size = from;
    return finite;
}

uint8_t *value_scalar(uint8_t *to, const Value *value)
{
    if (value->kind == VALUE_INT)
        return number_int(to, value->integer);
    if (value->kind == VALUE_DOUBLE && isfinite(value->real))
        return number_double(to, value->real);
    if (value->kind != VALUE_BOOL)
        return NULL;
    memcpy(to, value->integer ? "true" : "false", 5);
    return to + (value->integer ? 4 : 5);
}

static bool json_scalar(Buffer *to, const Value *value)
{
    uint8_t *end = value_scalar(buffer_room(to, SCALAR_BOUND), value);
    if (end)
        to->size = (size_t)(end - to->data);
    return end != NULL;
}

/* A value as Go's encoding/json writes it; false if it holds a double that JSON has no form for. */
static bool json_value(TextScratch *to, const Value *value)
{
    Buffer *json = &to->json;
    switch (value->kind) {
    case VALUE_STRING:
        json_string(json, value->bytes);
        return true;
    case VALUE_BYTES:
        buffer_byte(json, '"');
        base64(json, value->bytes);
        buffer_byte(json, '"');
        return true;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_DOUBLE:
        return json_scalar(json, value);
    case VALUE_ARRAY:
        return json_array(to, value->bytes);
    case VALUE_MAP:
        return json_map(to, value->bytes);
    case VALUE_NONE:
        break;
    }
    buffer_words(json, "null");
    return true;
}

static Slice not_finite(double number)
{
    if (isnan(number))
        return slice_of("json: unsupported value: NaN");
    return slice_of(number > 0 ? "json: unsupported value: +Inf" : "json: unsupported value: -Inf");
}

Slice value_text(const Value *value, TextScratch *scratch)
{
    scratch->json.size = 0;
    scratch->pairs.size = 0;
    if (value->kind == VALUE_STRING)
        return value->bytes;
    if (value->kind == VALUE_DOUBLE && !isfinite(value->real))
        return not_finite(value->real);
    if (value->kind == VALUE_BYTES)
        base64(&scratch->json, value->bytes);
    else if (value->kind != VALUE_NONE && !json_value(scratch, value))
        scratch->json.size = 0; /* Go's encoder fails, and AsString drops what it had written. */
    return buffer_all(&scratch->json);
}

void text_scratch_free(TextScratch *scratch)
{
    buffer_free(&scratch->json);
    buffer_free(&scratch->pairs);
}
