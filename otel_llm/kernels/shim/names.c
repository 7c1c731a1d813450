#define _POSIX_C_SOURCE 200809L
#include "names.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t value)
{
    value *= 0x9e3779b97f4a7c15ull;
    return value ^ value >> 29;
}

static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = mix(length + 1);
    for (; length >= 8; length -= 8, text += 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = mix(hash ^ word);
    }
    uint64_t word = 0;
    memcpy(&word, text, length);
    return mix(hash ^ word);
}

static uint32_t by_text(Names *names, const char *text)
{
    size_t length = strnlen(text, NAME_BYTES);
    uint64_t hash = hash_of(text, length);
    uint32_t slot = hash % (2 * MOST_NAMES), id;
    for (; (id = names->slots[slot]); slot = (slot + 1) % (2 * MOST_NAMES))
        if (names->hash[id] == hash && names->length[id] == length &&
            !memcmp(names->text + names->at[id], text, length))
            return id;
    if (!names->text)
        names->text = malloc(NAME_ROOM);
    if (!names->text || names->count == MOST_NAMES || names->used + length > NAME_ROOM)
        return 0;
    id = ++names->count;
    memcpy(names->text + names->used, text, length);
    names->slots[slot] = id;
    names->hash[id] = hash;
    names->at[id] = names->used;
    names->length[id] = (uint32_t)length;
    names->used += (uint32_t)length;
    return id;
}

uint32_t names_find(Names *names, const char *name)
{
    uint32_t place = mix((uintptr_t)name) >> 32 & (POINTERS - 1);
    if (names->pointers[place].pointer == name &&
        names->pointers[place].generation == names->generation)
        return names->pointers[place].id;
    uint32_t id = by_text(names, name);
    names->pointers[place].pointer = name;
    names->pointers[place].generation = names->generation;
    names->pointers[place].id = id;
    return id;
}

void names_forget_pointers(Names *names)
{
    names->generation++;
}
