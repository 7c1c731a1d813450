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

static int by_key(const void *one, const void *other)
{
    const Item *a = one, *b = other;
    if (a->service != b->service)
        return a->service < b->service ? -1 : 1;
    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

void session_sort(Session *session)
{
    Item *items = (Item *)session->waiting.data;
    size_t count = session->waiting.size / sizeof *items;
    rank(&session->names, &session->scratch.lists[ATTRIBUTES]);
    for (size_t i = 0; i < count; i++) {
        items[i].service = dictionary_entry(&session->names, items[i].service)->position;
        items[i].name = dictionary_entry(&session->names, items[i].name)->position;
    }
    if (count)
        qsort(items, count, sizeof *items, by_key);
}
