/* The distinct strings of a LowCardinality column, numbered in the order they came. */
#ifndef OTEL_LLM_DICTIONARY_H
#define OTEL_LLM_DICTIONARY_H

#include "buffer.h"

typedef struct {
    size_t at; /* of its bytes in `strings` */
    size_t size;
    uint64_t hash;
    uint32_t next;     /* which string followed it last time: the same keys come in the same order */
    uint32_t position; /* for the column's use: where in the current map it stands */
    uint64_t stamp;    /* for the column's use: the map it was last seen in */
} Entry;

typedef struct {
    Buffer strings; /* each with its length before it, as ClickHouse reads them */
    Buffer entries;
    uint32_t *slots; /* numbers of entries by hash; EMPTY_SLOT where there is none */
    size_t slots_count;
    uint32_t last;
} Dictionary;

/* Strings that a sender chose must not be able to collide: set once, before the first use. */
void dictionary_seed(uint64_t seed);

/* Slow path of dictionary_number. */
uint32_t dictionary_find(Dictionary *dictionary, Slice text);
void dictionary_free(Dictionary *dictionary);

static inline Entry *dictionary_entry(const Dictionary *dictionary, uint32_t number)
{
    return (Entry *)dictionary->entries.data + number;
}

static inline size_t dictionary_count(const Dictionary *dictionary)
{
    return dictionary->entries.size / sizeof(Entry);
}

static inline bool dictionary_is(const Dictionary *dictionary, uint32_t number, Slice text)
{
    const Entry *entry = dictionary_entry(dictionary, number);
    return entry->size == slice_size(text) &&
           bytes_equal(dictionary->strings.data + entry->at, text.at, entry->size);
}

/* The number of a string, a new one if it was not there. Number 0 is the empty string. The string
 * that came next the last time is tried first. */
static inline uint32_t dictionary_number(Dictionary *dictionary, Slice text)
{
    uint32_t number = 0;
    if (dictionary_count(dictionary))
        number = dictionary_entry(dictionary, dictionary->last)->next;
    if (dictionary_count(dictionary) == 0 || !dictionary_is(dictionary, number, text))
        number = dictionary_find(dictionary, text);
    dictionary->last = number;
    return number;
}

#endif
