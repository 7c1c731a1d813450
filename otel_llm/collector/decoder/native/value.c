#include "value.h"

#include "wire.h"

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
    if (wire_short(&message, TAG(1, WIRE_BYTES), &to->bytes)) {
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
    return wire_short(&message, TAG(1, WIRE_BYTES), &to->key) &&
           wire_short(&message, TAG(2, WIRE_BYTES), &value) && message.at == message.end &&
           usual_value(&to->value, value);
}

/* Not inlined, so that the usual ones do not pay for its frame. */
__attribute__((noinline)) static void any_attribute(Attribute *to, Slice message, int depth)
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
    attribute_parse(buffer_item(list, sizeof(Attribute)), message, 0);
}

void attributes_add(Buffer *list, Slice *rest, uint8_t tag)
{
    Slice message;
    while (wire_short(rest, tag, &message))
        attribute_add(list, message);
}
