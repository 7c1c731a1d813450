/* Init, handles, and the calls that answer with one reading. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

int initialized;
static int reloads;
static struct handle handles[MAX_DEVICES * (MAX_MIG + 1)];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct device *device_of(const struct handle *handle) { return script.devices + handle->device; }

static nvmlReturn_t failure(const struct track *track, double time_s)
{
    const struct point *point = at(track, time_s);
    return point ? (nvmlReturn_t)point->value : SUCCESS;
}

nvmlReturn_t enter(enum call call, const struct handle *handle, double *time_s)
{
    *time_s = now_s();
    if (!initialized || happened(script.driver + DRIVER_reload, *time_s) != reloads)
        return UNINITIALIZED;
    const struct device *device = handle ? device_of(handle) : NULL;
    const struct track *slow = device ? device->slow + call : script.slow + call;
    const struct point *delay = at(slow, *time_s);
    pause_us(delay ? delay->value : 0);
    nvmlReturn_t failed = failure(script.fail + call, *time_s);
    if (device == NULL || failed != SUCCESS)
        return failed;
    /* A handle from before a loss stays lost: only a new nvmlInit finds the device again. */
    const struct point *lost = at(device->tracks + KEY_lost, *time_s);
    if ((lost && lost->value) || happened(device->tracks + KEY_lost, *time_s) != handle->losses)
        return GPU_IS_LOST;
    /* `mig_gone N`: instance N - 1 does not answer while its device does. */
    const struct point *gone = at(device->tracks + KEY_mig_gone, *time_s);
    if (gone && handle->mig >= 0 && handle->mig == (int)gone->value - 1)
        return GPU_NOT_FOUND;
    return failure(device->fail + call, *time_s);
}

nvmlReturn_t text(const struct handle *handle, enum key key, double time_s, const char **value)
{
    const struct point *point = at(device_of(handle)->tracks + key, time_s);
    *value = point ? point->text : "";
    return point ? SUCCESS : NOT_SUPPORTED;
}

nvmlReturn_t number(const struct handle *handle, enum key key, double time_s, double *value)
{
    const struct point *point = at(device_of(handle)->tracks + key, time_s);
    *value = point ? point->value : 0.0;
    /* A MIG instance has memory and processes of its own; all else is its parent's. */
    return point && handle->mig < 0 ? SUCCESS : NOT_SUPPORTED;
}

unsigned long long energy_mj(const struct device *device, double time_s)
{
    const struct point *step = at(device->tracks + KEY_energy_step_ms, time_s);
    double every_s = step ? step->value / 1e3 : 0.1;
    const struct point *loaded = NULL;
    for (int each = 0; each < script.driver[DRIVER_reload].count; each++) {
        const struct point *point = script.driver[DRIVER_reload].points + each;
        if (point->value != 0.0 && point->time_s <= time_s)
            loaded = point;
    }
    double stepped_s = every_s > 0 ? floor(time_s / every_s + 1e-9) * every_s : time_s;
    const struct track *watts = device->tracks + KEY_watts;
    double joules = area(watts, stepped_s) - (loaded ? area(watts, loaded->time_s) : 0.0);
    const struct point *base = at(device->tracks + KEY_energy, time_s);
    return (unsigned long long)(fmax(joules, 0.0) * 1e3 + (base ? base->value : 0.0));
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    pthread_mutex_lock(&lock);
    nvmlReturn_t result = SUCCESS;
    if (initialized == 0 && !script_load())
        result = DRIVER_NOT_LOADED;
    double time_s = now_s();
    const struct point *absent = at(script.driver + DRIVER_absent, time_s);
    if (result == SUCCESS)
        result = absent && absent->value ? DRIVER_NOT_LOADED : failure(script.fail + CALL_Init, time_s);
    if (result == SUCCESS && initialized++ == 0) {
        reloads = happened(script.driver + DRIVER_reload, time_s);
        memset(handles, 0, sizeof handles);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT nvmlReturn_t nvmlShutdown(void)
{
    if (!initialized)
        return UNINITIALIZED;
    initialized--;
    return SUCCESS;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
    static _Thread_local char words[32];
    snprintf(words, sizeof words, "fake error %d", result);
    return words;
}

static nvmlReturn_t copy(char *to, unsigned int room, const char *from)
{
    if (strlen(from) >= room)
        return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

#define ENTER(call, handle) \
    double time_s; \
    nvmlReturn_t result = enter(CALL_##call, handle, &time_s); \
    if (result != SUCCESS) \
        return result

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int room)
{
    ENTER(SystemGetDriverVersion, NULL);
    const struct point *point = at(script.driver + DRIVER_driver, time_s);
    return point ? copy(version, room, point->text) : UNKNOWN;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    ENTER(SystemGetCudaDriverVersion_v2, NULL);
    const struct point *point = at(script.driver + DRIVER_cuda, time_s);
    *version = point ? (int)point->value : 0;
    return point ? SUCCESS : UNKNOWN;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
    ENTER(DeviceGetCount_v2, NULL);
    *count = (unsigned int)script.device_count;
    return SUCCESS;
}

static nvmlReturn_t give(int device, int mig, double time_s, struct handle **handle)
{
    const struct track *lost = script.devices[device].tracks + KEY_lost;
    const struct point *point = at(lost, time_s);
    if (point && point->value)
        return GPU_IS_LOST;
    *handle = handles + device * (MAX_MIG + 1) + mig + 1;
    **handle = (struct handle){device, mig, happened(lost, time_s), reloads};
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct handle **handle)
{
    ENTER(DeviceGetHandleByIndex_v2, NULL);
    return index >= (unsigned int)script.device_count ? INVALID_ARGUMENT
                                                      : give((int)index, -1, time_s, handle);
}

bool mig_of(const struct handle *handle, int number, double time_s, struct mig *mig)
{
    const char *line;
    if (number < 0 || number >= MAX_MIG ||
        text(handle, (enum key)(KEY_mig0 + number), time_s, &line) != SUCCESS)
        return false;
    int found = sscanf(line, "%95s %31s %u %lf %lf %lf", mig->uuid, mig->profile, &mig->instance,
                       &mig->used, &mig->total, &mig->sm_active);
    mig->is_active = found == 6;
    return found >= 5;
}

/* On with instances, and where `mig_mode 1` says so. */
static bool with_mig(const struct handle *handle, double time_s)
{
    const struct point *mode = at(device_of(handle)->tracks + KEY_mig_mode, time_s);
    struct mig mig;
    bool any = mode && mode->value;
    for (int number = 0; number < MAX_MIG; number++)
        any = any || mig_of(handle, number, time_s, &mig);
    return any;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(struct handle *handle, unsigned int *mode, unsigned int *pending)
{
    ENTER(DeviceGetMigMode, handle);
    *mode = *pending = with_mig(handle, time_s);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(struct handle *handle, unsigned int *count)
{
    ENTER(DeviceGetMaxMigDeviceCount, handle);
    *count = MAX_MIG;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(
    struct handle *handle, unsigned int index, struct handle **mig_handle)
{
    ENTER(DeviceGetMigDeviceHandleByIndex, handle);
    struct mig mig;
    return mig_of(handle, (int)index, time_s, &mig)
               ? give(handle->device, (int)index, time_s, mig_handle) : NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(struct handle *handle, unsigned int *instance)
{
    ENTER(DeviceGetGpuInstanceId, handle);
    struct mig mig;
    if (!mig_of(handle, handle->mig, time_s, &mig))
        return INVALID_ARGUMENT;
    *instance = mig.instance;
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(
    struct handle *handle, struct handle **parent)
{
    ENTER(DeviceGetDeviceHandleFromMigDeviceHandle, handle);
    return handle->mig < 0 ? INVALID_ARGUMENT : give(handle->device, -1, time_s, parent);
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(struct handle *handle, char *uuid, unsigned int room)
{
    ENTER(DeviceGetUUID, handle);
    struct mig mig;
    const char *own;
    if (mig_of(handle, handle->mig, time_s, &mig))
        return copy(uuid, room, mig.uuid);
    result = text(handle, KEY_uuid, time_s, &own);
    return result == SUCCESS ? copy(uuid, room, own) : result;
}

EXPORT nvmlReturn_t nvmlDeviceGetName(struct handle *handle, char *name, unsigned int room)
{
    ENTER(DeviceGetName, handle);
    const char *own;
    result = text(handle, KEY_name, time_s, &own);
    if (result != SUCCESS)
        return result;
    struct mig mig;
    char whole[200];
    bool part = mig_of(handle, handle->mig, time_s, &mig);
    snprintf(whole, sizeof whole, part ? "%s MIG %s" : "%s", own, mig.profile);
    return copy(name, room, whole);
}

static void write_pci(struct pci *pci, const char *bus_id)
{
    memset(pci, 0, sizeof *pci);
    sscanf(bus_id, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", bus_id);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(struct handle *handle, struct pci *pci)
{
    ENTER(DeviceGetPciInfo_v3, handle);
    const char *bus_id;
    result = text(handle, KEY_pci, time_s, &bus_id);
    if (result == SUCCESS)
        write_pci(pci, bus_id);
    return result;
}

/* `links` names, for link 0 and on, the device at the other end, or `-` for a link that is down. */
static int peer(const struct handle *handle, unsigned int link, double time_s)
{
    const char *list;
    if (text(handle, KEY_links, time_s, &list) != SUCCESS)
        return -2;
    for (; link > 0 && list != NULL; link--)
        list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL;
    if (list == NULL)
        return -3;
    return *list == '-' ? -1 : atoi(list);
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkState(struct handle *handle, unsigned int link, unsigned int *active)
{
    ENTER(DeviceGetNvLinkState, handle);
    int other = peer(handle, link, time_s);
    *active = other >= 0;
    return other == -2 ? NOT_SUPPORTED : other == -3 ? INVALID_ARGUMENT : SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(
    struct handle *handle, unsigned int link, struct pci *pci)
{
    ENTER(DeviceGetNvLinkRemotePciInfo_v2, handle);
    int other = peer(handle, link, time_s);
    const struct point *bus_id =
        other >= 0 && other < MAX_DEVICES ? at(script.devices[other].tracks + KEY_pci, time_s) : NULL;
    if (bus_id == NULL)
        return NOT_SUPPORTED;
    write_pci(pci, bus_id->text);
    return SUCCESS;
}

/* Calls that give one number of a key, scaled. */
#define READING(call, type, key, scale) \
    EXPORT nvmlReturn_t nvml##call(struct handle *handle, type *out) \
    { \
        ENTER(call, handle); \
        double value; \
        result = number(handle, KEY_##key, time_s, &value); \
        *out = (type)(value * (scale)); \
        return result; \
    }

READING(DeviceGetPowerManagementLimit, unsigned int, limit_watts, 1e3)
READING(DeviceGetPowerUsage, unsigned int, watts_average, 1e3)
READING(DeviceGetCurrentClocksEventReasons, unsigned long long, throttle, 1)

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(struct handle *handle, unsigned int sensor, unsigned int *out)
{
    ENTER(DeviceGetTemperature, handle);
    double value;
    result = sensor == 0 ? number(handle, KEY_temperature, time_s, &value) : INVALID_ARGUMENT;
    if (result == SUCCESS)
        *out = (unsigned int)value;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(struct handle *handle, unsigned int clock, unsigned int *out)
{
    ENTER(DeviceGetClockInfo, handle);
    double value = 0;
    result = clock == 1   ? number(handle, KEY_sm_mhz, time_s, &value)
             : clock == 2 ? number(handle, KEY_memory_mhz, time_s, &value)
                          : INVALID_ARGUMENT;
    *out = (unsigned int)value;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(struct handle *handle, unsigned long long *out)
{
    ENTER(DeviceGetTotalEnergyConsumption, handle);
    double watts;
    result = number(handle, KEY_watts, time_s, &watts);
    if (result == SUCCESS)
        *out = energy_mj(device_of(handle), time_s);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(struct handle *handle, struct utilization *out)
{
    ENTER(DeviceGetUtilizationRates, handle);
    double gpu, memory;
    if (with_mig(handle, time_s))
        return NOT_SUPPORTED; /* as NVML's reference says of this call */
    result = number(handle, KEY_utilization, time_s, &gpu);
    number(handle, KEY_memory_utilization, time_s, &memory);
    *out = (struct utilization){(unsigned int)gpu, (unsigned int)memory};
    return result;
}

/* In the second version what the driver reserves is no part of what is used. */
static nvmlReturn_t memory_of(const struct handle *handle, double time_s, struct memory_v2 *out)
{
    struct mig mig;
    double total, used, reserved = 0;
    nvmlReturn_t result = SUCCESS;
    if (mig_of(handle, handle->mig, time_s, &mig)) {
        total = mig.total;
        used = mig.used;
    } else {
        result = number(handle, KEY_memory_total, time_s, &total);
        number(handle, KEY_memory_used, time_s, &used);
        number(handle, KEY_memory_reserved, time_s, &reserved);
    }
    out->total = (unsigned long long)total;
    out->reserved = (unsigned long long)reserved;
    out->free = (unsigned long long)(total - used - reserved);
    out->used = (unsigned long long)used;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(struct handle *handle, struct memory_v2 *out)
{
    ENTER(DeviceGetMemoryInfo_v2, handle);
    return out->version == (sizeof *out | 2u << 24) ? memory_of(handle, time_s, out)
                                                    : ARGUMENT_VERSION_MISMATCH;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(struct handle *handle, struct memory *out)
{
    ENTER(DeviceGetMemoryInfo, handle);
    struct memory_v2 memory;
    result = memory_of(handle, time_s, &memory);
    *out = (struct memory){memory.total, memory.free, memory.used + memory.reserved};
    return result;
}
