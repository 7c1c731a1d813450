#include "json.h"

#include "failure.h"

static const char where[] = "JSON";

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void skip_space(Json *json)
{
    while (json->rest.at < json->rest.end && is_space(*json->rest.at))
        json->rest.at++;
}

uint8_t json_peek(Json *json)
{
    skip_space(json);
    if (json->rest.at == json->rest.end)
        fail(where, "it ends within a value");
    return *json->rest.at;
}

static void take(Json *json, uint8_t byte)
{
    if (json_peek(json) != byte)
        fail(where, "something else stands where a value, a name or a sign must");
    json->rest.at++;
}

void json_end(Json *json)
{
    skip_space(json);
    if (json->rest.at != json->rest.end)
        fail(where, "something follows the request");
}

void json_enter(Json *json, uint8_t open)
{
    take(json, open);
    if (++json->depth > JSON_DEEPEST)
        fail(where, "it is nested too deeply");
    json->first = true;
}

bool json_more(Json *json, uint8_t close)
{
    bool first = json->first;
    json->first = false;
    if (json_peek(json) == close) {
        json->rest.at++;
        json->depth--;
        return false;
    }
    if (!first)
        take(json, ',');
    return true;
}

void json_name(Json *json, Buffer *name)
{
    name->size = 0;
    json_text(json, name);
    take(json, ':');
}

static uint32_t hex_unit(Json *json)
{
    uint32_t unit = 0;
    if (slice_size(json->rest) < 4)
        fail(where, "it ends within an escape");
    for (int i = 0; i < 4; i++) {
        uint8_t byte = *json->rest.at++;
        uint8_t lower = byte | 0x20;
        if (byte >= '0' && byte <= '9')
            unit = unit * 16 + (byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            unit = unit * 16 + (lower - 'a' + 10u);
        else
            fail(where, "an escape is no escape");
    }
    return unit;
}

/* The second half of a character beyond U+FFFF, if it follows. */
static uint32_t with_low(Json *json, uint32_t high)
{
    const uint8_t *before = json->rest.at;
    if (high < 0xdc00 && slice_size(json->rest) >= 6 && before[0] == '\\' && before[1] == 'u') {
        json->rest.at += 2;
        uint32_t low = hex_unit(json);
        if (low >= 0xdc00 && low < 0xe000)
            return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        json->rest.at = before;
    }
    return 0xfffd;
}

static void put_rune(Buffer *to, uint32_t rune)
{
    if (rune < 0x80) {
        buffer_byte(to, (uint8_t)rune);
        return;
    }
    int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    buffer_byte(to, (uint8_t)(leads[more] | rune >> (6 * more)));
    while (more-- > 0)
        buffer_byte(to, (uint8_t)(0x80 | (rune >> (6 * more) & 0x3f)));
}

static void escape(Json *json, Buffer *to)
{
    static const char named[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (json->rest.at == json->rest.end)
        fail(where, "it ends within an escape");
    uint8_t byte = *json->rest.at++;
    if (byte == 'u') {
        uint32_t unit = hex_unit(json);
        put_rune(to, unit >= 0xd800 && unit < 0xe000 ? with_low(json, unit) : unit);
        return;
    }
    for (const char *name = named; *name; name += 2) {
        if (byte == (uint8_t)*name) {
            buffer_byte(to, (uint8_t)name[1]);
            return;
        }
    }
    fail(where, "an escape is no escape");
}

void json_text(Json *json, Buffer *to)
{
    take(json, '"');
    for (;;) {
        const uint8_t *from = json->rest.at, *at = from;
        while (at < json->rest.end && *at != '"' && *at != '\\' && *at >= 0x20)
            at++;
        buffer_slice(to, (Slice){from, at});
        json->rest.at = at;
        if (at == json->rest.end || *at < 0x20)
            fail(where, "a string does not end");
        json->rest.at++;
        if (*at == '"')
            return;
        escape(json, to);
    }
}

static bool is_number(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '-' || byte == '+' || byte == '.' ||
           (byte | 0x20) == 'e';
}

Slice json_number(Json *json)
{
    json_peek(json);
    Slice number = {json->rest.at, json->rest.at};
    while (number.end < json->rest.end && is_number(*number.end))
        number.end++;
    if (slice_size(number) == 0)
        fail(where, "something else stands where a number must");
    json->rest.at = number.end;
    return number;
}

bool json_literal(Json *json, const char *word)
{
    json_peek(json);
    size_t size = strlen(word);
    if (slice_size(json->rest) < size || memcmp(json->rest.at, word, size) != 0)
        return false;
    json->rest.at += size;
    return true;
}

static void skip_members(Json *json, Buffer *scratch)
{
    json_enter(json, '{');
    while (json_more(json, '}')) {
        json_name(json, scratch);
        json_skip(json, scratch);
    }
}

void json_skip(Json *json, Buffer *scratch)
{
    switch (json_peek(json)) {
    case '{':
        skip_members(json, scratch);
        break;
    case '[':
        json_enter(json, '[');
        while (json_more(json, ']'))
            json_skip(json, scratch);
        break;
    case '"':
        scratch->size = 0;
        json_text(json, scratch);
        break;
    default:
        if (!json_literal(json, "true") && !json_literal(json, "false") &&
            !json_literal(json, "null"))
            json_number(json);
    }
}
