/* Events: a set hears those of its devices that come after it was made, each once, in order. */
#include <stdlib.h>
#include <time.h>

#include "fake.h"

struct event_set {
    struct handle *devices[MAX_DEVICES];
    unsigned long long types[MAX_DEVICES];
    int next[MAX_DEVICES][4], count;
};

static const struct { enum key key; unsigned long long type; } KINDS[4] = {
    {KEY_xid, EVENT_XID},
    {KEY_ecc_event, EVENT_DOUBLE_BIT_ECC},
    {KEY_recovery_event, EVENT_RECOVERY_ACTION},
    {KEY_unavailable_event, EVENT_GPU_UNAVAILABLE},
};

EXPORT nvmlReturn_t nvmlEventSetCreate(struct event_set **set)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_EventSetCreate, NULL, &time_s);
    if (result == SUCCESS)
        *set = calloc(1, sizeof **set);
    return result;
}

EXPORT nvmlReturn_t nvmlEventSetFree(struct event_set *set)
{
    double time_s;
    free(set);
    return enter(CALL_EventSetFree, NULL, &time_s);
}

/* `event_types` is what a device can tell; without it, all of them. */
static unsigned long long supported(const struct handle *handle, double time_s)
{
    const struct point *point = at(device_of(handle)->tracks + KEY_event_types, time_s);
    return point ? (unsigned long long)point->value
                 : EVENT_XID | EVENT_DOUBLE_BIT_ECC | EVENT_RECOVERY_ACTION | EVENT_GPU_UNAVAILABLE;
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(struct handle *handle, unsigned long long *types)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_DeviceGetSupportedEventTypes, handle, &time_s);
    if (result == SUCCESS)
        *types = supported(handle, time_s);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(
    struct handle *handle, unsigned long long types, struct event_set *set)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_DeviceRegisterEvents, handle, &time_s);
    if (result != SUCCESS)
        return result;
    if (set->count == MAX_DEVICES || handle->mig >= 0)
        return INVALID_ARGUMENT;
    if (types & ~supported(handle, time_s))
        return NOT_SUPPORTED;
    set->devices[set->count] = handle;
    set->types[set->count] = types;
    for (int kind = 0; kind < 4; kind++) {
        const struct track *track = device_of(handle)->tracks + KINDS[kind].key;
        const struct point *past = at(track, time_s);
        set->next[set->count][kind] = past ? (int)(past - track->points) + 1 : 0;
    }
    set->count++;
    return SUCCESS;
}

static bool first_event(struct event_set *set, double time_s, struct event *out)
{
    const struct point *first = NULL;
    int device = 0, kind = 0;
    for (int each = 0; each < set->count; each++)
        for (int what = 0; what < 4; what++) {
            const struct track *track = device_of(set->devices[each])->tracks + KINDS[what].key;
            int next = set->next[each][what];
            if (!(set->types[each] & KINDS[what].type) || next >= track->count)
                continue;
            const struct point *point = track->points + next;
            if (point->time_s <= time_s && (first == NULL || point->time_s < first->time_s)) {
                first = point;
                device = each;
                kind = what;
            }
        }
    if (first == NULL)
        return false;
    set->next[device][kind]++;
    *out = (struct event){set->devices[device], KINDS[kind].type, (unsigned long long)first->value,
                          0xFFFFFFFFu, 0xFFFFFFFFu};
    return true;
}

EXPORT nvmlReturn_t nvmlEventSetWait_v2(struct event_set *set, struct event *out, unsigned int timeout_ms)
{
    struct timespec began, read;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        double time_s;
        nvmlReturn_t result = enter(CALL_EventSetWait_v2, NULL, &time_s);
        if (result != SUCCESS)
            return result;
        if (first_event(set, time_s, out))
            return SUCCESS;
        for (int each = 0; each < set->count; each++) {
            const struct point *lost = at(device_of(set->devices[each])->tracks + KEY_lost, time_s);
            if ((lost && lost->value))
                return GPU_IS_LOST;
        }
        clock_gettime(CLOCK_MONOTONIC, &read);
        double waited_ms = (double)(read.tv_sec - began.tv_sec) * 1e3 +
                           (double)(read.tv_nsec - began.tv_nsec) / 1e6;
        if (waited_ms >= timeout_ms)
            return TIMEOUT;
        pause_us(5000);
    }
}
