#include "value.h"

#include "wire.h"

/* A field's tag, where it takes one byte. */
#define TAG(number, wire) ((number) << 3 | (wire))

/* Longest text of a number, and of what JSON makes of one byte (`\u0000`). */
enum { NUMBER_BOUND = 40, ESCAPE = 6 };

static void check_elements(Slice message, bool pairs, int depth)
{
    Attribute pair;
    Field field = {0};
    while (wire_next(&message, &field, pairs ? "KeyValueList" : "ArrayValue")) {
        if (field.number != 1)
            continue;
        if (pairs)
            attribute_parse(&pair, field_bytes(&field, "KeyValueList.values"), depth);
        else
            value_parse(&pair.value, field_bytes(&field, "ArrayValue.values"), depth);
    }
}

static void nested(Value *to, ValueKind kind, const Field *field, int depth)
{
    to->kind = kind;
    to->bytes = field_bytes(field, "AnyValue");
    if (depth >= DEEPEST)
        fail("AnyValue", "lists and maps are nested too deeply");
    if (depth != SHALLOW)
        check_elements(to->bytes, kind == VALUE_MAP, depth + 1);
}

static inline void member(Value *to, const Field *field, int depth)
{
    static const char where[] = "AnyValue";
    switch (field->number) {
    case 1:
    case 7:
        to->kind = field->number == 1 ? VALUE_STRING : VALUE_BYTES;
        to->bytes = field_bytes(field, where);
        break;
    case 2:
        to->kind = VALUE_BOOL;
        to->integer = field_varint(field, where) != 0;
        break;
    case 3:
        to->kind = VALUE_INT;
        to->integer = (int64_t)field_varint(field, where);
        break;
    case 4:
        to->kind = VALUE_DOUBLE;
        to->real = field_double(field, where);
        break;
    case 5:
        nested(to, VALUE_ARRAY, field, depth);
        break;
    case 6:
        nested(to, VALUE_MAP, field, depth);
        break;
    }
}

void value_parse(Value *to, Slice message, int depth)
{
    Field field = {0};
    to->kind = VALUE_NONE;
    while (wire_next(&message, &field, "AnyValue"))
        member(to, &field, depth);
}

/* A field with this tag and a length of one byte, if it comes next. */
static inline bool short_field(Slice *rest, uint8_t tag, Slice *bytes)
{
    size_t left = slice_size(*rest);
    if (left < 2 || rest->at[0] != tag || rest->at[1] > 0x7f || rest->at[1] > left - 2)
        return false;
    *bytes = (Slice){rest->at + 2, rest->at + 2 + rest->at[1]};
    rest->at = bytes->end;
    return true;
}

/* A value of one field of the most common kinds; false, and nothing of use in `to`, otherwise. */
static inline bool usual_value(Value *to, Slice message)
{
    size_t size = slice_size(message);
    if (short_field(&message, TAG(1, WIRE_BYTES), &to->bytes)) {
        to->kind = VALUE_STRING;
    } else if (size >= 2 && *message.at == TAG(3, WIRE_VARINT)) {
        message.at++;
        to->kind = VALUE_INT;
        to->integer = (int64_t)wire_varint(&message, "AnyValue");
    } else if (size == 9 && *message.at == TAG(4, WIRE_FIXED64)) {
        to->kind = VALUE_DOUBLE;
        memcpy(&to->real, message.at + 1, sizeof to->real);
        return true;
    } else {
        return false;
    }
    return message.at == message.end;
}

/* Most attributes are a key and a value and no more, in this order and short: these are read at
 * once, and all others field by field. */
static inline bool usual_attribute(Attribute *to, Slice message, int depth)
{
    Slice value;
    if (!short_field(&message, TAG(1, WIRE_BYTES), &to->key) ||
        !short_field(&message, TAG(2, WIRE_BYTES), &value) || message.at != message.end)
        return false;
    if (!usual_value(&to->value, value))
        value_parse(&to->value, value, depth);
    return true;
}

void attribute_parse(Attribute *to, Slice message, int depth)
{
    if (usual_attribute(to, message, depth))
        return;
    Field field = {0};
    to->key = (Slice){message.at, message.at}; /* where it is tells which of two comes later */
    to->value.kind = VALUE_NONE;
    while (wire_next(&message, &field, "KeyValue")) {
        if (field.number == 1)
            to->key = field_bytes(&field, "KeyValue.key");
        else if (field.number == 2)
            value_parse(&to->value, field_bytes(&field, "KeyValue.value"), depth);
    }
}

void attribute_add(Buffer *list, Slice message)
{
    attribute_parse(buffer_item(list, sizeof(Attribute)), message, 0);
}

size_t value_bound(const Value *value)
{
    switch (value->kind) {
    case VALUE_STRING:
        return slice_size(value->bytes);
    case VALUE_BYTES:
        return slice_size(value->bytes) * 2 + 4;
    case VALUE_ARRAY:
    case VALUE_MAP:
        return slice_size(value->bytes) * ESCAPE + 2;
    default:
        return NUMBER_BOUND;
    }
}
