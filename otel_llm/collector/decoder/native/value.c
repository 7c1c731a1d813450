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

/* The varint that the rest is; false if it is none, or a longer one. */
static inline bool short_varint(Slice rest, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; rest.at < rest.end && shift < 63; shift += 7) {
        *number |= (uint64_t)(*rest.at & 0x7f) << shift;
        if (*rest.at++ < 0x80)
            return rest.at == rest.end;
    }
    return false;
}

/* A value of one field of the most common kinds. */
static inline bool usual_value(Value *to, Slice message)
{
    uint64_t number;
    if (short_field(&message, TAG(1, WIRE_BYTES), &to->bytes)) {
        to->kind = VALUE_STRING;
        return message.at == message.end;
    }
    if (message.at == message.end)
        return false;
    uint8_t tag = *message.at++;
    if (tag == TAG(4, WIRE_FIXED64) && slice_size(message) == sizeof to->real) {
        to->kind = VALUE_DOUBLE;
        memcpy(&to->real, message.at, sizeof to->real);
        return true;
    }
    if ((tag != TAG(2, WIRE_VARINT) && tag != TAG(3, WIRE_VARINT)) ||
        !short_varint(message, &number))
        return false;
    to->kind = tag == TAG(3, WIRE_VARINT) ? VALUE_INT : VALUE_BOOL;
    to->integer = to->kind == VALUE_INT ? (int64_t)number : number != 0;
    return true;
}

/* Most attributes are a key and a value and no more, in this order and short: they are read at
 * once. False, and nothing of use in `to`, of all others, the malformed among them. */
static inline bool usual_attribute(Attribute *to, Slice message)
{
    Slice value;
    return short_field(&message, TAG(1, WIRE_BYTES), &to->key) &&
           short_field(&message, TAG(2, WIRE_BYTES), &value) && message.at == message.end &&
           usual_value(&to->value, value);
}

static void any_attribute(Attribute *to, Slice message, int depth)
{
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

void attribute_parse(Attribute *to, Slice message, int depth)
{
    if (!usual_attribute(to, message))
        any_attribute(to, message, depth);
}

void attribute_add(Buffer *list, Slice message)
{
    Attribute *to = buffer_item(list, sizeof *to);
    if (!usual_attribute(to, message))
        any_attribute(to, message, 0);
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
