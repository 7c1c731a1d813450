/* The part of NVML's interface that the fake has: its own declarations, of the layout that
 * pynvml (nvidia-ml-py 13) declares too. Values: NVML's reference, "Enums" and "Structures". */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include <stdint.h>

typedef int nvmlReturn_t;

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    GPU_NOT_FOUND = 28,
    NO_DATA = 21,
    NOT_FOUND = 6,
    ARGUMENT_VERSION_MISMATCH = 25,
    UNKNOWN = 999
};

enum { VALUE_UNSIGNED_INT = 1, VALUE_UNSIGNED_LONG_LONG = 3 };

enum {
    EVENT_DOUBLE_BIT_ECC = 0x2,
    EVENT_XID = 0x8,
    EVENT_GPU_UNAVAILABLE = 0x4000,
    EVENT_RECOVERY_ACTION = 0x8000
};

struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned int version; unsigned long long total, reserved, free, used; };
struct utilization { unsigned int gpu, memory; };

struct pci {
    char bus_id_legacy[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

union value { double d; unsigned int ui; unsigned long ul; unsigned long long ull; };

struct field_value {
    uint32_t field_id, scope_id;
    int64_t timestamp_us, latency_us;
    unsigned int value_type;
    nvmlReturn_t result;
    union value value;
};

struct process {
    unsigned int pid;
    unsigned long long memory;
    unsigned int gpu_instance, compute_instance;
};

struct process_sample {
    unsigned int pid;
    unsigned long long time_us;
    unsigned int sm, memory, encoder, decoder;
};

struct event {
    void *device;
    unsigned long long type, data;
    unsigned int gpu_instance, compute_instance;
};

struct gpm_metric {
    unsigned int id;
    nvmlReturn_t result;
    double value;
    const char *short_name, *long_name, *unit;
};

struct gpm_metrics {
    unsigned int version, count;
    void *sample1, *sample2;
    struct gpm_metric metrics[];
};

struct gpm_support { unsigned int version, supported; };

#endif
