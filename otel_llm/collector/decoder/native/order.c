/* Puts items into the order of the table's key: service, name, time. */
#include <stdlib.h>

#include "session.h"

typedef struct {
    Slice text;
    uint32_t number;
} Name;

static int by_text(const void *one, const void *other)
{
    const Slice a = ((const Name *)one)->text, b = ((const Name *)other)->text;
    size_t least = slice_size(a) < slice_size(b) ? slice_size(a) : slice_size(b);
    int order = least ? memcmp(a.at, b.at, least) : 0;
    if (order != 0)
        return order;
    return slice_size(a) < slice_size(b) ? -1 : slice_size(a) > slice_size(b);
}

/* Each name's entry gets its rank as `position`. */
static void rank(Dictionary *names, Buffer *scratch)
{
    size_t count = dictionary_count(names);
    scratch->size = 0;
    Name *list = (Name *)buffer_room(scratch, count * sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        const Entry *entry = dictionary_entry(names, i);
        const uint8_t *at = names->strings.data + entry->at;
        list[i] = (Name){{at, at + entry->size}, i};
    }
    if (count)
        qsort(list, count, sizeof *list, by_text);
    for (uint32_t i = 0; i < count; i++)
        dictionary_entry(names, list[i].number)->position = i;
}

/* The key's bytes, the one that counts least first. */
enum { PLACES = 16, DIGITS = 256 };

static uint8_t digit(const Item *item, unsigned place)
{
    if (place < 8)
        return (uint8_t)(item->time >> 8 * place);
    uint64_t names = (uint64_t)item->service << 32 | item->name;
    return (uint8_t)(names >> 8 * (place - 8));
}

/* Sorts by one byte; of equal ones the earlier comes first. False, and nothing is done, if all are
 * equal. */
static bool pass(const Item *from, Item *to, size_t count, unsigned place)
{
    size_t starts[DIGITS] = {0}, start = 0;
    for (size_t i = 0; i < count; i++)
        starts[digit(from + i, place)]++;
    if (starts[digit(from, place)] == count)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        size_t these = starts[i];
        starts[i] = start;
        start += these;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[digit(from + i, place)]++] = from[i];
    return true;
}

static void swap(Buffer *one, Buffer *other)
{
    Buffer kept = *one;
    *one = *other;
    *other = kept;
}

static void take_ranks(Session *session, size_t count)
{
    Item *items = (Item *)session->waiting.data;
    for (size_t i = 0; i < count; i++) {
        items[i].service = dictionary_entry(&session->names, items[i].service)->position;
        items[i].name = dictionary_entry(&session->names, items[i].name)->position;
    }
}

/* A radix sort: the same order for the same requests, in a time that no sender can stretch. */
void session_sort(Session *session)
{
    Buffer *items = &session->waiting, *sorted = &session->scratch.lists[ATTRIBUTES];
    size_t count = items->size / sizeof(Item);
    rank(&session->names, sorted);
    take_ranks(session, count);
    for (unsigned place = 0; count > 1 && place < PLACES; place++) {
        sorted->size = 0;
        Item *to = (Item *)buffer_room(sorted, items->size);
        sorted->size = items->size;
        if (pass((const Item *)items->data, to, count, place))
            swap(items, sorted);
    }
}
