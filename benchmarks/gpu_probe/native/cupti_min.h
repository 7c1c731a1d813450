/*
 * The part of CUPTI that the probe uses, declared here so that no CUDA header is needed.
 *
 * Offsets were read with offsetof() from the headers of nvidia-cuda-cupti 13.0.85 (Kernel10 is
 * its newest record) and 13.5.25 (Kernel13). Records only ever grow at the end, so a prefix that
 * is right for the oldest is right for all. Every offset is asserted below.
 */
#ifndef OTEL_LLM_CUPTI_MIN_H
#define OTEL_LLM_CUPTI_MIN_H

#include <stddef.h>
#include <stdint.h>

enum { CUPTI_OK = 0, CUPTI_BUSY = 39 };
enum { DOMAIN_DRIVER = 1, DOMAIN_RUNTIME = 2, DOMAINS = 3 };
enum { SITE_ENTER = 0, SITE_EXIT = 1 };
enum {
    KIND_MEMCPY = 1, KIND_MEMSET = 2, KIND_DRIVER = 4, KIND_RUNTIME = 5,
    KIND_CONCURRENT_KERNEL = 10, KIND_OVERHEAD = 17, KIND_GRAPH_TRACE = 51
};

typedef struct { uint32_t kind; } cupti_record;

/* The first 160 bytes of CUpti_ActivityKernel9 .. 13 (208 .. 248 bytes). */
typedef struct {
    uint32_t kind, cache, registers, partition;
    uint64_t start, end, completed;
    uint32_t device, context, stream;
    int32_t grid[3], block[3], static_shared, dynamic_shared;
    uint32_t local_per_thread, local_total, correlation;
    int64_t grid_id;
    const char *name;
    uint64_t reserved, queued, submitted;
    uint8_t attributes[8];
    uint64_t graph_node;
    uint32_t shared_limit, graph;
} cupti_kernel;

/* CUpti_ActivityGraphTrace2, first 32 of 56 bytes. */
typedef struct { uint32_t kind, correlation; uint64_t start, end; uint32_t device, graph; } cupti_graph;

/* CUpti_ActivityAPI, 40 bytes. */
typedef struct {
    uint32_t kind, cbid;
    uint64_t start, end;
    uint32_t process, thread, correlation, returned;
} cupti_api;

/* CUpti_ActivityOverhead3, first 40 of 56 bytes. */
typedef struct { uint32_t kind, overhead; uint8_t object[16]; uint64_t start, end; } cupti_overhead;

/* CUpti_CallbackData, 72 bytes. */
typedef struct {
    uint32_t site;
    const char *function;
    const void *params;
    void *returned;
    const char *symbol;
    void *context;
    uint32_t context_id;
    uint64_t *scratch;
    uint32_t correlation;
} cupti_callback_data;

/* CUpti_SubscriberParams: 32 bytes before 13.3, 40 with allow_multiple. */
typedef struct {
    size_t size;
    const char *name;
    char *old_name;
    size_t old_size;
    uint8_t allow_multiple, padding[7];
} cupti_subscriber_params;

_Static_assert(offsetof(cupti_kernel, start) == 16 && offsetof(cupti_kernel, end) == 24, "kernel");
_Static_assert(offsetof(cupti_kernel, device) == 40 && offsetof(cupti_kernel, stream) == 48, "kernel");
_Static_assert(offsetof(cupti_kernel, grid) == 52 && offsetof(cupti_kernel, block) == 64, "kernel");
_Static_assert(offsetof(cupti_kernel, correlation) == 92, "kernel");
_Static_assert(offsetof(cupti_kernel, grid_id) == 96 && offsetof(cupti_kernel, name) == 104, "kernel");
_Static_assert(offsetof(cupti_kernel, graph_node) == 144 && offsetof(cupti_kernel, graph) == 156, "kernel");
_Static_assert(offsetof(cupti_graph, start) == 8 && offsetof(cupti_graph, graph) == 28, "graph");
_Static_assert(offsetof(cupti_api, start) == 8 && offsetof(cupti_api, correlation) == 32, "api");
_Static_assert(offsetof(cupti_overhead, start) == 24 && offsetof(cupti_overhead, end) == 32, "overhead");
_Static_assert(offsetof(cupti_callback_data, correlation) == 64, "callback data");
_Static_assert(sizeof(cupti_callback_data) == 72, "callback data");
_Static_assert(offsetof(cupti_subscriber_params, allow_multiple) == 32, "subscriber");
_Static_assert(sizeof(cupti_subscriber_params) == 40, "subscriber");

typedef void (*cupti_callback)(void *user, uint32_t domain, uint32_t cbid, const cupti_callback_data *data);
typedef void (*cupti_request)(uint8_t **buffer, size_t *size, size_t *limit);
typedef void (*cupti_complete)(void *context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid);
typedef void (*cupti_request2)(uint8_t **buffer, size_t *size, size_t *limit, void *info);
typedef void (*cupti_complete2)(uint8_t *buffer, size_t size, size_t valid, void *info);

#endif
