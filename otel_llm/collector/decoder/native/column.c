#include "column.h"

/* Of ClickHouse's SerializationLowCardinality: keys are sent with the block that uses them. */
enum { KEYS_VERSION = 1, HAS_KEYS = 1 << 9, UPDATE_KEYS = 1 << 10 };

void column_free(Column *column)
{
    buffer_free(&column->arrays);
    buffer_free(&column->maps);
    dictionary_free(&column->dictionary);
    buffer_free(&column->numbers);
    buffer_free(&column->data);
}

static void reserve(Buffer *buffer, size_t times, size_t most)
{
    if (buffer->size < most / times)
        buffer_reserve(buffer, buffer->size * times);
}

void column_reserve(Column *column, size_t times, size_t most)
{
    reserve(&column->arrays, times, most);
    reserve(&column->maps, times, most);
    reserve(&column->numbers, times, most);
    reserve(&column->data, times, most);
}

static size_t numbers_count(const Column *column)
{
    return column->numbers.size / sizeof(uint32_t);
}

/* Log2 of the bytes that a number of the dictionary takes. */
static unsigned width_of(const Column *column)
{
    size_t count = dictionary_count(&column->dictionary);
    return count <= 1 << 8 ? 0 : count <= 1 << 16 ? 1 : 2;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t size)
{
    if (size)
        memcpy(to, bytes, size);
    return to + size;
}

static uint8_t *put_u64(uint8_t *to, uint64_t number)
{
    return put(to, &number, sizeof number);
}

static uint8_t *put_name(uint8_t *to, const char *text)
{
    *to++ = (uint8_t)strlen(text); /* names and types are ours, and shorter than 128 */
    return put(to, text, strlen(text));
}

static uint8_t *put_buffer(uint8_t *to, const Buffer *buffer)
{
    return put(to, buffer->data, buffer->size);
}

static uint8_t *put_numbers(const Column *column, uint8_t *to)
{
    const uint32_t *numbers = (const uint32_t *)column->numbers.data;
    size_t count = numbers_count(column);
    unsigned width = width_of(column);
    if (width == 2)
        return put_buffer(to, &column->numbers);
    for (size_t i = 0; i < count; i++) {
        if (width == 0)
            to[i] = (uint8_t)numbers[i];
        else
            memcpy(to + 2 * i, &(uint16_t){(uint16_t)numbers[i]}, 2);
    }
    return to + (count << width);
}

static uint8_t *put_low(const Column *column, uint8_t *to)
{
    if (column->numbers.size == 0) /* ClickHouse writes nothing where no map has a pair */
        return to;
    to = put_u64(to, width_of(column) | HAS_KEYS | UPDATE_KEYS);
    to = put_u64(to, dictionary_count(&column->dictionary));
    to = put_buffer(to, &column->dictionary.strings);
    to = put_u64(to, numbers_count(column));
    return put_numbers(column, to);
}

size_t column_size(const Column *column, uint64_t rows)
{
    size_t size = 2 + strlen(column->spec->name) + strlen(column->spec->type);
    if (rows == 0)
        return size;
    size += column->arrays.size + column->maps.size + column->data.size;
    if (column->spec->parts & LOW)
        size += sizeof(uint64_t);
    if (column->numbers.size)
        size += 3 * sizeof(uint64_t) + column->dictionary.strings.size +
                (numbers_count(column) << width_of(column));
    return size;
}

uint8_t *column_write(const Column *column, uint64_t rows, uint8_t *to)
{
    to = put_name(to, column->spec->name);
    to = put_name(to, column->spec->type);
    if (rows == 0)
        return to;
    if (column->spec->parts & LOW)
        to = put_u64(to, KEYS_VERSION);
    to = put_buffer(to, &column->arrays);
    to = put_buffer(to, &column->maps);
    to = put_low(column, to);
    return put_buffer(to, &column->data);
}

/* Four bytes as their eight hex digits, all at once: one nibble in each byte of a word. */
static uint64_t hex_of(const uint8_t *four)
{
    static const uint64_t each = 0x0101010101010101;
    uint32_t bytes;
    memcpy(&bytes, four, sizeof bytes);
    uint64_t word = bytes;
    word = (word | word << 16) & 0x0000ffff0000ffff;
    word = (word | word << 8) & 0x00ff00ff00ff00ff;
    word = (word >> 4 | word << 8) & each * 15;
    uint64_t letters = (word + each * 6) >> 4 & each; /* 1 where a nibble is 10 or more */
    return word + each * '0' + letters * ('a' - '0' - 10);
}

void column_hex(Column *column, Slice id)
{
    size_t size = 2 * slice_size(id);
    uint8_t *to = buffer_room(&column->data, 1 + size);
    *to++ = (uint8_t)size;
    for (; id.at < id.end; id.at += 4, to += 8)
        memcpy(to, &(uint64_t){hex_of(id.at)}, 8);
    column->data.size += 1 + size;
}

void column_id(Column *column, Slice id)
{
    static const uint8_t zeros[16];
    if (bytes_equal(id.at, zeros, slice_size(id)))
        buffer_byte(&column->data, 0);
    else
        column_hex(column, id);
}

/* Writes the keys and moves the pairs that count to the front; returns how many these are. */
static size_t put_keys(Column *column, Attribute *pairs, size_t count)
{
    Dictionary *keys = &column->dictionary;
    uint32_t *numbers = (uint32_t *)buffer_room(&column->numbers, count * sizeof *numbers);
    size_t kept = 0;
    column->stamp++;
    for (size_t i = 0; i < count; i++) {
        uint32_t number = dictionary_number(keys, pairs[i].key);
        Entry *entry = dictionary_entry(keys, number);
        if (entry->stamp == column->stamp) {
            pairs[entry->position].value = pairs[i].value;
            continue;
        }
        entry->stamp = column->stamp;
        entry->position = (uint32_t)kept;
        numbers[kept] = number;
        if (kept < i)
            pairs[kept] = pairs[i];
        kept++;
    }
    column->numbers.size += kept * sizeof *numbers;
    return kept;
}

/* A value's text; that of a number is short, and is written in its place with no copy. */
static void put_value(Column *column, const Value *value, TextScratch *scratch)
{
    if (value->kind == VALUE_STRING) {
        column_string(column, value->bytes);
        return;
    }
    uint8_t *to = buffer_room(&column->data, 1 + SCALAR_BOUND);
    uint8_t *end = value_scalar(to + 1, value);
    if (end == NULL) {
        column_string(column, value_text(value, scratch));
        return;
    }
    *to = (uint8_t)(end - to - 1);
    column->data.size += (size_t)(end - to);
}

static void end_map(Column *column)
{
    uint64_t pairs = numbers_count(column);
    buffer_add(&column->maps, &pairs, sizeof pairs);
}

MapRange column_map(Column *column, Attribute *pairs, size_t count, TextScratch *scratch)
{
    MapRange range = {.numbers = column->numbers.size, .data = column->data.size};
    count = put_keys(column, pairs, count);
    for (size_t i = 0; i < count; i++)
        put_value(column, &pairs[i].value, scratch);
    end_map(column);
    range.numbers_size = column->numbers.size - range.numbers;
    range.data_size = column->data.size - range.data;
    return range;
}

static void repeat(Buffer *buffer, size_t from, size_t size)
{
    uint8_t *to = buffer_room(buffer, size);
    bytes_copy(to, buffer->data + from, size);
    buffer->size += size;
}

void column_map_again(Column *column, MapRange range)
{
    repeat(&column->numbers, range.numbers, range.numbers_size);
    repeat(&column->data, range.data, range.data_size);
    end_map(column);
}
