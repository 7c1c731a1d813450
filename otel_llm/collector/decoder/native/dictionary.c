#include "dictionary.h"

#include <stdlib.h>

#include "failure.h"

enum { FIRST_SLOTS = 64 };
static const uint32_t EMPTY_SLOT = UINT32_MAX;
static const uint64_t MIX = 0x9e3779b97f4a7c15; /* 2^64 divided by the golden ratio */
static uint64_t secret;

void dictionary_seed(uint64_t seed)
{
    secret = seed;
}

static uint64_t multiply(uint64_t one, uint64_t other)
{
    unsigned __int128 product = (unsigned __int128)one * other;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(Slice text)
{
    uint64_t hash = secret ^ slice_size(text), word;
    for (; slice_size(text) >= sizeof word; text.at += sizeof word) {
        memcpy(&word, text.at, sizeof word);
        hash = multiply(hash ^ word, MIX ^ secret);
    }
    word = 0;
    for (unsigned shift = 0; text.at < text.end; shift += 8)
        word |= (uint64_t)*text.at++ << shift;
    return multiply(hash ^ word, MIX ^ secret);
}

static uint32_t *slot_of(const Dictionary *dictionary, uint64_t hash, Slice text)
{
    size_t mask = dictionary->slots_count - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        uint32_t *slot = dictionary->slots + at;
        if (*slot == EMPTY_SLOT)
            return slot;
        if (dictionary_entry(dictionary, *slot)->hash == hash &&
            dictionary_is(dictionary, *slot, text))
            return slot;
    }
}

static void rehash(Dictionary *dictionary)
{
    size_t count = dictionary->slots_count ? dictionary->slots_count * 2 : FIRST_SLOTS;
    uint32_t *slots = malloc(count * sizeof *slots);
    if (slots == NULL)
        fail_memory();
    memset(slots, 0xff, count * sizeof *slots);
    free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->slots_count = count;
    for (uint32_t number = 0; number < dictionary_count(dictionary); number++) {
        size_t at = dictionary_entry(dictionary, number)->hash & (count - 1);
        while (slots[at] != EMPTY_SLOT)
            at = (at + 1) & (count - 1);
        slots[at] = number;
    }
}

static uint32_t add(Dictionary *dictionary, uint64_t hash, Slice text)
{
    size_t number = dictionary_count(dictionary);
    if (number >= EMPTY_SLOT)
        fail_memory();
    buffer_string(&dictionary->strings, text);
    size_t size = slice_size(text);
    Entry entry = {.at = dictionary->strings.size - size, .size = size, .hash = hash};
    *(Entry *)buffer_item(&dictionary->entries, sizeof entry) = entry;
    return (uint32_t)number;
}

uint32_t dictionary_find(Dictionary *dictionary, Slice text)
{
    if (dictionary_count(dictionary) == 0 && slice_size(text) != 0)
        dictionary_find(dictionary, slice_of(""));
    if (dictionary_count(dictionary) * 2 >= dictionary->slots_count)
        rehash(dictionary);
    uint64_t hash = hash_of(text);
    uint32_t *slot = slot_of(dictionary, hash, text);
    if (*slot == EMPTY_SLOT)
        *slot = add(dictionary, hash, text);
    dictionary_entry(dictionary, dictionary->last)->next = *slot;
    return *slot;
}

void dictionary_free(Dictionary *dictionary)
{
    buffer_free(&dictionary->strings);
    buffer_free(&dictionary->entries);
    free(dictionary->slots);
    *dictionary = (Dictionary){0};
}
