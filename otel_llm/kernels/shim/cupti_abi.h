/*
 * What we use of CUPTI's binary interface, so that no CUDA toolkit is needed to build.
 *
 * Offsets are the same in CUPTI 12.9 and 13.5 (records only ever grow at their end). Tests compile
 * against NVIDIA's own headers and compare every number here.
 */
#ifndef OTEL_LLM_CUPTI_ABI_H
#define OTEL_LLM_CUPTI_ABI_H

#include <stddef.h>
#include <stdint.h>

enum { KIND_MEMCPY = 1, KIND_MEMSET = 2, KIND_CONCURRENT_KERNEL = 10 };
enum { DOMAIN_DRIVER = 1, DOMAIN_RUNTIME = 2 };
enum { SITE_ENTER = 0, SITE_EXIT = 1 };
enum {
    CUPTI_OK = 0,
    CUPTI_NOT_INITIALIZED = 15,
    CUPTI_INSUFFICIENT_PRIVILEGES = 35,
    CUPTI_MULTIPLE_SUBSCRIBERS = 39,
    CUPTI_VIRTUALIZED_INSUFFICIENT_PRIVILEGES = 40,
    CUPTI_UNKNOWN = 999,
};
enum { ATTR_DEVICE_BUFFER_SIZE = 0, ATTR_DEVICE_BUFFER_POOL_LIMIT = 2 };

typedef struct {
    uint32_t kind;
    uint8_t before_start[12];
    uint64_t start;
    uint64_t end;
    uint8_t before_device[8];
    uint32_t device;
    uint32_t context;
    uint32_t stream;
    uint8_t before_correlation[40];
    uint32_t correlation;
    uint64_t grid;
    const char *name;
    uint8_t before_graph_node[32];
    uint64_t graph_node;
} KernelRecord;

/* Copies and fills begin alike. */
typedef struct {
    uint32_t kind;
    uint32_t how;
    uint64_t bytes;
    uint64_t start;
    uint64_t end;
    uint32_t device;
    uint32_t context;
    uint32_t stream;
    uint32_t correlation;
} TransferRecord;

typedef struct {
    uint32_t site;
    const char *function;
    const void *parameters;
    void *result;
    const char *symbol;
    void *context;
    uint32_t context_uid;
    uint64_t *data;
    uint32_t correlation;
} CallbackData;

typedef void (*Callback)(void *user, uint32_t domain, uint32_t id, const void *data);
typedef void (*BufferRequested)(uint8_t **buffer, size_t *size, size_t *most_records);
typedef void (*BufferCompleted)(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                                size_t valid);

/* Launches, and the copies and fills that PyTorch asks for: few in a step. */
#define LAUNCHES(RUNTIME, DRIVER)                                                                  \
    RUNTIME(41, cudaMemcpyAsync_v3020)                                                             \
    RUNTIME(225, cudaMemcpyAsync_ptsz_v7000)                                                       \
    RUNTIME(51, cudaMemsetAsync_v3020)                                                             \
    RUNTIME(235, cudaMemsetAsync_ptsz_v7000)                                                       \
    RUNTIME(211, cudaLaunchKernel_v7000)                                                           \
    RUNTIME(214, cudaLaunchKernel_ptsz_v7000)                                                      \
    RUNTIME(269, cudaLaunchCooperativeKernel_v9000)                                                \
    RUNTIME(270, cudaLaunchCooperativeKernel_ptsz_v9000)                                           \
    RUNTIME(311, cudaGraphLaunch_v10000)                                                           \
    RUNTIME(312, cudaGraphLaunch_ptsz_v10000)                                                      \
    RUNTIME(430, cudaLaunchKernelExC_v11060)                                                       \
    RUNTIME(431, cudaLaunchKernelExC_ptsz_v11060)                                                  \
    RUNTIME(505, __cudaLaunchKernel_v13000)                                                        \
    RUNTIME(506, __cudaLaunchKernel_ptsz_v13000)                                                   \
    DRIVER(307, cuLaunchKernel)                                                                    \
    DRIVER(442, cuLaunchKernel_ptsz)                                                               \
    DRIVER(477, cuLaunchCooperativeKernel)                                                         \
    DRIVER(478, cuLaunchCooperativeKernel_ptsz)                                                    \
    DRIVER(514, cuGraphLaunch)                                                                     \
    DRIVER(515, cuGraphLaunch_ptsz)                                                                \
    DRIVER(652, cuLaunchKernelEx)                                                                  \
    DRIVER(653, cuLaunchKernelEx_ptsz)

_Static_assert(offsetof(KernelRecord, start) == 16, "start");
_Static_assert(offsetof(KernelRecord, device) == 40, "device");
_Static_assert(offsetof(KernelRecord, stream) == 48, "stream");
_Static_assert(offsetof(KernelRecord, correlation) == 92, "correlation");
_Static_assert(offsetof(KernelRecord, name) == 104, "name");
_Static_assert(offsetof(KernelRecord, graph_node) == 144, "graph_node");
_Static_assert(offsetof(TransferRecord, correlation) == 44, "correlation");
_Static_assert(offsetof(CallbackData, correlation) == 64, "correlation");

#endif
