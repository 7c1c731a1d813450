/* Columns in ClickHouse's Native form (revision 0), filled value by value. */
#ifndef OTEL_LLM_COLUMN_H
#define OTEL_LLM_COLUMN_H

#include "dictionary.h"
#include "text.h"

#define LOW_TEXT "LowCardinality(String)"
#define TEXT_MAP "Map(LowCardinality(String), String)"

/* What a column's type is made of, from the outside in. */
typedef enum { PLAIN = 0, ARRAY = 1, MAP = 2, LOW = 4 } Parts;

typedef struct {
    const char *name;
    const char *type;
    unsigned parts;
} ColumnSpec;

typedef struct {
    const ColumnSpec *spec;
    Buffer arrays; /* of an array: the end of each row, in items */
    Buffer maps;   /* of a map: the end of each, in pairs */
    Dictionary dictionary;
    Buffer numbers; /* of low cardinality: the dictionary's number of each value */
    Buffer data;    /* values, or the values of maps */
    uint64_t items; /* of an array: so far */
    uint64_t stamp; /* maps so far */
} Column;

/* Where the pairs of one map stand in a column, to be repeated. */
typedef struct {
    size_t numbers, numbers_size, data, data_size;
} MapRange;

void column_free(Column *column);

/* Makes room for `times` as much as the column holds, but not for more than `most` in one buffer. */
void column_reserve(Column *column, size_t times, size_t most);

/* Serialized size, and the column in Native form: name, type, data of `rows` rows. */
size_t column_size(const Column *column, uint64_t rows);
uint8_t *column_write(const Column *column, uint64_t rows, uint8_t *to);

/* The text of an id of 8 or 16 bytes: lower-case hex; `column_id` writes none if all are zero. */
void column_id(Column *column, Slice id);
void column_hex(Column *column, Slice id);

/* A map. Of two values of one key the last counts; `pairs` is reordered for that. */
MapRange column_map(Column *column, Attribute *pairs, size_t count, TextScratch *scratch);
void column_map_again(Column *column, MapRange range);

static inline void column_add(Column *column, const void *value, size_t size)
{
    buffer_add(&column->data, value, size);
}

static inline void column_u64(Column *column, uint64_t value)
{
    column_add(column, &value, sizeof value);
}

static inline void column_string(Column *column, Slice text)
{
    buffer_string(&column->data, text);
}

static inline void column_number(Column *column, uint32_t number)
{
    buffer_add(&column->numbers, &number, sizeof number);
}

static inline void column_low(Column *column, Slice text)
{
    column_number(column, dictionary_number(&column->dictionary, text));
}

/* Ends a row of an array that got `items` more. */
static inline void column_array(Column *column, size_t items)
{
    column->items += items;
    buffer_add(&column->arrays, &column->items, sizeof column->items);
}

#endif
