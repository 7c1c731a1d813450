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
    double time_s;
    free(sample);
    return enter(CALL_GpmSampleFree, NULL, &time_s);
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

/* Of a device: its instance is named by NVML's number, not by a handle of its own. */
EXPORT nvmlReturn_t nvmlGpmMigSampleGet(
    struct handle *handle, unsigned int instance, struct gpm_sample *sample)
{
    double time_s;
    nvmlReturn_t result = enter(CALL_GpmMigSampleGet, handle, &time_s);
    if (result != SUCCESS)
        return result;
    struct mig mig;
    for (int number = 0; number < MAX_MIG; number++)
        if (handle->mig < 0 && mig_of(handle, number, time_s, &mig) && mig.instance == instance) {
            *sample = (struct gpm_sample){*handle, time_s};
            sample->handle.mig = number;
            return SUCCESS;
        }
    return INVALID_ARGUMENT;
}

/* The mean of a metric between two samples; an instance has sm_active alone. */
static bool mean(
    const struct gpm_sample *first, const struct gpm_sample *second, enum key key, double *value)
{
    const struct handle *of = &second->handle;
    struct mig mig;
    if (of->mig >= 0) {
        bool known = mig_of(of, of->mig, second->time_s, &mig) && mig.is_active;
        *value = known ? mig.sm_active : 0.0;
        return known && key == KEY_sm_active;
    }
    const struct track *track = device_of(of)->tracks + key;
    *value = (area(track, second->time_s) - area(track, first->time_s)) /
             (second->time_s - first->time_s);
    return at(track, second->time_s) != NULL;
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
    for (unsigned int each = 0; each < get->count; each++) {
        enum key key = key_of(get->metrics[each].id);
        bool known = key != KEY_COUNT && mean(first, second, key, &get->metrics[each].value);
        get->metrics[each].result = known ? SUCCESS : NOT_SUPPORTED;
    }
    return SUCCESS;
}
