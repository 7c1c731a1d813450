/* What the files of the fake share: a script's tracks, the clock, devices and their handles. */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>

#include "nvml.h"

#define MAX_DEVICES 16
#define MAX_MIG 7
#define EXPORT __attribute__((visibility("default")))

/* What a script may say of a device. A key that is not there is not supported. */
#define KEYS(X) \
    X(uuid) X(name) X(pci) X(lost) X(limit_watts) X(memory_total) X(memory_used) X(memory_reserved) \
    X(watts) X(watts_average) X(energy) X(energy_step_ms) X(utilization) X(memory_utilization) X(sm_mhz) \
    X(memory_mhz) X(temperature) X(throttle) X(pcie_rx_bytes) X(pcie_tx_bytes) X(nvlink_rx_kib) \
    X(nvlink_tx_kib) X(ecc_corrected) X(ecc_uncorrected) X(remapped_corrected) \
    X(remapped_uncorrected) X(remapped_pending) X(remapped_failure) X(recovery_action) \
    X(processes) X(links) X(gpm) X(sm_active) X(sm_occupancy) X(tensor_active) X(dram_active) \
    X(xid) X(ecc_event) X(recovery_event) X(unavailable_event) X(event_types) \
    X(mig0) X(mig1) X(mig2) X(mig3) X(mig4) X(mig5) X(mig6) X(mig_gone) X(mig_mode)

/* What it may say of the driver: device `-`. */
#define DRIVER_KEYS(X) X(driver) X(cuda) X(reload) X(absent)

/* Calls that can be made to fail or to take long: `fail.CALL CODE`, `slow.CALL MICROSECONDS`. */
#define CALLS(X) \
    X(Init) X(SystemGetDriverVersion) X(SystemGetCudaDriverVersion_v2) X(DeviceGetCount_v2) \
    X(DeviceGetHandleByIndex_v2) X(DeviceGetUUID) X(DeviceGetName) X(DeviceGetPciInfo_v3) \
    X(DeviceGetPowerManagementLimit) X(DeviceGetMemoryInfo) X(DeviceGetMemoryInfo_v2) \
    X(DeviceGetTotalEnergyConsumption) \
    X(DeviceGetPowerUsage) X(DeviceGetFieldValues) X(DeviceGetUtilizationRates) \
    X(DeviceGetClockInfo) X(DeviceGetTemperature) X(DeviceGetCurrentClocksEventReasons) \
    X(DeviceGetComputeRunningProcesses_v3) X(DeviceGetProcessUtilization) X(DeviceGetMigMode) \
    X(DeviceGetMaxMigDeviceCount) X(DeviceGetMigDeviceHandleByIndex) X(DeviceGetGpuInstanceId) \
    X(DeviceGetDeviceHandleFromMigDeviceHandle) \
    X(DeviceGetNvLinkState) X(DeviceGetNvLinkRemotePciInfo_v2) X(EventSetCreate) \
    X(EventSetFree) X(DeviceRegisterEvents) X(DeviceGetSupportedEventTypes) X(EventSetWait_v2) \
    X(GpmQueryDeviceSupport) X(GpmSampleAlloc) X(GpmSampleFree) X(GpmSampleGet) \
    X(GpmMigSampleGet) X(GpmMetricsGet)

#define X(name) KEY_##name,
enum key { KEYS(X) KEY_COUNT };
enum driver_key { DRIVER_KEYS(X) DRIVER_KEY_COUNT };
#undef X
#define X(name) DRIVER_##name,
enum driver { DRIVER_KEYS(X) };
#undef X
#define X(name) CALL_##name,
enum call { CALLS(X) CALL_COUNT };
#undef X

/* A value from some time on. */
struct point {
    double time_s, value, area;
    char *text;
};

/* All values of one key, in order of time. `area` of a point is the integral up to it. */
struct track {
    struct point *points;
    int count, room;
};

struct device {
    struct track tracks[KEY_COUNT], fail[CALL_COUNT], slow[CALL_COUNT], field_fail[512];
};

/* What a caller holds: a device or a MIG instance of it, as it was at `nvmlInit`. */
struct handle {
    int device, mig, losses, reloads;
};

struct script {
    struct device devices[MAX_DEVICES];
    struct track driver[DRIVER_KEY_COUNT], fail[CALL_COUNT], slow[CALL_COUNT];
    int device_count;
};

/* An instance: `MIG_UUID PROFILE NUMBER MEMORY_USED MEMORY_TOTAL`, and its sm_active if it has one. */
struct mig {
    char uuid[96], profile[32];
    unsigned int instance;
    double used, total, sm_active;
    bool is_active;
};

extern struct script script;
extern double initialized_s;
extern int initialized;

/* Read the file named by FAKE_NVML_SCRIPT. False if it cannot be read or understood. */
bool script_load(void);
/* Seconds since the script's beginning. */
double now_s(void);
/* The point that holds at a time, or NULL before the first. */
const struct point *at(const struct track *track, double time_s);
/* How many points of a value other than 0 there were up to a time. */
int happened(const struct track *track, double time_s);
/* The track's integral up to a time. */
double area(const struct track *track, double time_s);
/* The device's counter at a time, in millijoules. */
unsigned long long energy_mj(const struct device *device, double time_s);
/* Check and delay a call. `handle` is NULL for calls of no device. */
nvmlReturn_t enter(enum call call, const struct handle *handle, double *time_s);
/* The value of a key now, as a number or as text. */
nvmlReturn_t number(const struct handle *handle, enum key key, double time_s, double *value);
nvmlReturn_t text(const struct handle *handle, enum key key, double time_s, const char **value);
/* The instance at a place of a device; false where there is none. */
bool mig_of(const struct handle *handle, int number, double time_s, struct mig *mig);
void pause_us(double microseconds);
struct device *device_of(const struct handle *handle);

#endif
