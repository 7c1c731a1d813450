#include "value.h"

#include "wire.h"

/* Longest text of a number, and of what JSON makes of one byte (`\u0000`). */
enum { NUMBER_BOUND = 40, ESCAPE = 6 };

static void check_elements(Slice message, bool pairs, int depth)
{
    Field field = {0};
    while (wire_next(&message, &field, pairs ? "KeyValueList" : "ArrayValue")) {
        if (field.number != 1)
            continue;
        if (pairs)
            attribute_parse(field_bytes(&field, "KeyValueList.values"), depth);
        else
            value_parse(field_bytes(&field, "ArrayValue.values"), depth);
    }
}

static Value nested(ValueKind kind, const Field *field, int depth)
{
    Value value = {.kind = kind, .bytes = field_bytes(field, "AnyValue")};
    if (depth >= DEEPEST)
        fail("AnyValue", "lists and maps are nested too deeply");
    if (depth != SHALLOW)
        check_elements(value.bytes, kind == VALUE_MAP, depth + 1);
    return value;
}

static Value member(const Field *field, Value before, int depth)
{
    static const char where[] = "AnyValue";
    switch (field->number) {
    case 1:
        return (Value){.kind = VALUE_STRING, .bytes = field_bytes(field, where)};
    case 2:
        return (Value){.kind = VALUE_BOOL, .integer = field_varint(field, where) != 0};
    case 3:
        return (Value){.kind = VALUE_INT, .integer = (int64_t)field_varint(field, where)};
    case 4:
        return (Value){.kind = VALUE_DOUBLE, .real = field_double(field, where)};
    case 5:
        return nested(VALUE_ARRAY, field, depth);
    case 6:
        return nested(VALUE_MAP, field, depth);
    case 7:
        return (Value){.kind = VALUE_BYTES, .bytes = field_bytes(field, where)};
    default:
        return before;
    }
}

Value value_parse(Slice message, int depth)
{
    Value value = {.kind = VALUE_NONE};
    Field field;
    while (wire_next(&message, &field, "AnyValue"))
        value = member(&field, value, depth);
    return value;
}

Attribute attribute_parse(Slice message, int depth)
{
    Attribute made = {{message.at, message.at}, {.kind = VALUE_NONE}};
    Field field;
    while (wire_next(&message, &field, "KeyValue")) {
        if (field.number == 1)
            made.key = field_bytes(&field, "KeyValue.key");
        else if (field.number == 2)
            made.value = value_parse(field_bytes(&field, "KeyValue.value"), depth);
    }
    return made;
}

void attribute_add(Buffer *list, Slice message)
{
    Attribute made = attribute_parse(message, 0);
    *(Attribute *)buffer_item(list, sizeof made) = made;
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
