/* Puts items into the order of otel_traces's key: service, five minutes, trace, time.
 *
 * The beginning of each key makes a number, and a radix sort puts the numbers in order. What has one
 * number, most often the spans of one trace, is then compared whole. No sender can stretch that by
 * more than the logarithm of the items.
 */
#include <stdlib.h>

#include "session.h"

static const uint64_t FIVE_MINUTES = 300000000000; /* in nanoseconds */

/* Of five minutes there are less than 2^26. A number tells 2^12 services apart, and takes what is
 * left of its 64 bits from the trace's id. */
enum { MINUTES_BITS = 26, GROUP_BITS = 12 + MINUTES_BITS, TRACE_BITS = 64 - GROUP_BITS };

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

/* Each service's entry gets its rank as `position`. */
static void rank(Dictionary *services, Buffer *scratch)
{
    size_t count = dictionary_count(services);
    scratch->size = 0;
    Name *list = (Name *)buffer_room(scratch, count * sizeof *list);
    for (uint32_t i = 0; i < count; i++) {
        const Entry *entry = dictionary_entry(services, i);
        const uint8_t *at = services->strings.data + entry->at;
        list[i] = (Name){{at, at + entry->size}, i};
    }
    if (count)
        qsort(list, count, sizeof *list, by_text);
    for (uint32_t i = 0; i < count; i++)
        dictionary_entry(services, list[i].number)->position = i;
}

/* What comes first in the key: the service's rank and the five minutes. */
static uint64_t group_of(const Session *session, const Item *item)
{
    const Resource *resource = (const Resource *)session->resources.data + item->resource;
    uint64_t service = dictionary_entry(&session->services, resource->service)->position;
    return service << MINUTES_BITS | item->key[KEY_TIME] / FIVE_MINUTES;
}

/* Never falls where the key rises: groups too large for it are all alike. */
static uint64_t number_of(const Item *item)
{
    if (item->key[KEY_GROUP] >> GROUP_BITS)
        return UINT64_MAX;
    return item->key[KEY_GROUP] << TRACE_BITS | item->key[KEY_TRACE] >> (64 - TRACE_BITS);
}

static void take_numbers(Session *session)
{
    Place *places = (Place *)session->places.data;
    size_t count = session->places.size / sizeof *places;
    for (size_t i = 0; i < count; i++) {
        places[i].item->key[KEY_GROUP] = group_of(session, places[i].item);
        places[i].number = number_of(places[i].item);
    }
}

enum { DIGITS = 256 };

static uint8_t digit(const Place *place, unsigned shift)
{
    return (uint8_t)(place->number >> shift);
}

/* Sorts by one byte; of equal ones the earlier comes first. False, and nothing is done, if all are
 * equal. */
static bool pass(const Place *from, Place *to, size_t count, unsigned shift)
{
    size_t starts[DIGITS] = {0}, start = 0;
    for (size_t i = 0; i < count; i++)
        starts[digit(from + i, shift)]++;
    if (starts[digit(from, shift)] == count)
        return false;
    for (size_t i = 0; i < DIGITS; i++) {
        size_t these = starts[i];
        starts[i] = start;
        start += these;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[digit(from + i, shift)]++] = from[i];
    return true;
}

static void swap(Buffer *one, Buffer *other)
{
    Buffer kept = *one;
    *one = *other;
    *other = kept;
}

static void sort_numbers(Buffer *places, Buffer *sorted)
{
    size_t count = places->size / sizeof(Place);
    for (unsigned shift = 0; count > 1 && shift < 64; shift += 8) {
        sorted->size = 0;
        Place *to = (Place *)buffer_room(sorted, places->size);
        sorted->size = places->size;
        if (pass((const Place *)places->data, to, count, shift))
            swap(places, sorted);
    }
}

/* By the whole key; of equal ones the earlier item first, which is the one at the lower address. */
static int by_key(const void *one, const void *other)
{
    const Item *a = ((const Place *)one)->item, *b = ((const Place *)other)->item;
    for (size_t i = 0; i < KEY_WORDS; i++) {
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i] ? -1 : 1;
    }
    return a < b ? -1 : a > b;
}

/* Places of one number from the first on, which are sorted if they are not yet. */
static size_t sort_equal(Place *first, size_t most)
{
    size_t count = 1;
    bool sorted = true;
    for (; count < most && first[count].number == first->number; count++)
        sorted = sorted && by_key(first + count - 1, first + count) < 0;
    if (!sorted)
        qsort(first, count, sizeof *first, by_key);
    return count;
}

void session_sort(Session *session)
{
    Buffer *scratch = &session->scratch.lists[ATTRIBUTES];
    rank(&session->services, scratch);
    take_numbers(session);
    sort_numbers(&session->places, scratch);
    Place *places = (Place *)session->places.data;
    size_t count = session->places.size / sizeof *places;
    for (size_t i = 0; i < count;)
        i += sort_equal(places + i, count - i);
}
