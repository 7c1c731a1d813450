/* GPU performance monitoring: two samples, and the mean of each metric between them. */
#include <stdlib.h>

#include "fake.h"

struct gpm_sample { struct handle handle; double time_s; };

EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(struct handle *handle, struct gpm_support *support)
{
    double time_s, value;
    nvmlReturn_t result = enter(CALL_GpmQueryDeviceSupport, handle, &time_s);
    if (result != SUCCESS)
        return result;
    if (support->version != 1)
        return ARGUMENT_VERSION_MISMATCH;
    support->supported = number(handle, KEY_gpm, time_s, &value) == SUCCESS && value != 0.0;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpmSampleAlloc(struct gpm_sample **sample)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_GpmSampleAlloc, NULL, &time_s);
    if (result == SUCCESS)
        *sample = calloc(1, sizeof **sample);
    return result;
}

EXPORT nvmlReturn_t nvmlGpmSampleFree(struct gpm_sample *sample)
{
    free(sample);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpmSampleGet(struct handle *handle, struct gpm_sample *sample)
{
    double time_s, value;
    nvmlReturn_t result = enter(CALL_GpmSampleGet, handle, &time_s);
    if (result == SUCCESS)
        result = number(handle, KEY_gpm, time_s, &value);
    if (result == SUCCESS)
        *sample = (struct gpm_sample){*handle, time_s};
    return result;
}

static enum key key_of(unsigned int metric)
{
    switch (metric) {
    case 2: return KEY_sm_active;
    case 3: return KEY_sm_occupancy;
    case 5: return KEY_tensor_active;
    case 10: return KEY_dram_active;
    default: return KEY_COUNT;
    }
}

EXPORT nvmlReturn_t nvmlGpmMetricsGet(struct gpm_metrics *get)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_GpmMetricsGet, NULL, &time_s);
    if (result != SUCCESS)
        return result;
    if (get->version != 1)
        return ARGUMENT_VERSION_MISMATCH;
    const struct gpm_sample *first = get->sample1, *second = get->sample2;
    if (first == NULL || second == NULL || second->time_s <= first->time_s)
        return INVALID_ARGUMENT;
    const struct device *device = device_of(&second->handle);
    for (unsigned int each = 0; each < get->count; each++) {
        enum key key = key_of(get->metrics[each].id);
        bool known = key != KEY_COUNT && at(device->tracks + key, second->time_s) != NULL;
        get->metrics[each].result = known ? SUCCESS : NOT_SUPPORTED;
        if (known)
            get->metrics[each].value =
                (area(device->tracks + key, second->time_s) - area(device->tracks + key, first->time_s)) /
                (second->time_s - first->time_s);
    }
    return SUCCESS;
}
