/*
 * A pretend GPU for dry runs and tests: just enough of libcuda, CUPTI and NVML in one library to
 * drive the probe end to end. It is a test double and measures nothing.
 *
 * It ends the process if asked for what the probe must never do: cuptiFinalize, a forced flush,
 * managed memory. Behaviour is set by environment variables:
 *   FAKE_GPU_BUSY=1         another subscriber holds CUPTI (39)
 *   FAKE_GPU_MULTI=1        several v2 subscribers are allowed
 *   FAKE_GPU_HANG=1         cuptiSubscribe never returns
 *   FAKE_GPU_CRASH=1        enabling a kind raises SIGSEGV
 *   FAKE_GPU_ZERO_EVERY=N   every Nth kernel record has no times
 *   FAKE_GPU_DROP=N         N records are reported as dropped
 *   FAKE_GPU_STRIDE=N       correlation ids are N apart
 *   FAKE_GPU_LATE_BLIND=1   graphs made before tracing was on yield no records
 *   FAKE_GPU_OLD=1          only the calls of CUPTI 12: no _v2, version 28
 *   FAKE_GPU_LOST=1         NVML answers 15 (GPU is lost)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cupti_min.h"

enum { KERNEL_BYTES = 248, GRAPH_BYTES = 56, API_BYTES = 40, COPY_BYTES = 112, KERNEL_NS = 500 };
enum { CB_LAUNCH = 307, CB_GRAPH = 514, MAX_GRAPHS = 64, CBID_LIMIT = 1024 };

typedef struct { int nodes; int seen; } graph;

static uint32_t correlation, enabled_kind[64], api_kind[CBID_LIMIT];
static uint8_t callback_on[DOMAINS][CBID_LIMIT];
static cupti_callback callback;
static int subscribers;
static cupti_request request1;
static cupti_complete complete1;
static cupti_request2 request_v2;
static cupti_complete2 complete_v2;
static uint8_t *buffer;
static size_t buffer_size, used;
static graph graphs[MAX_GRAPHS];
static int graph_count, capturing = -1;
static uint64_t busy_until, kernel_count;
static int asked_by_new_api;

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static uint64_t wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void forbidden(const char *what) {
    fprintf(stderr, "fake GPU: %s must never be called\n", what);
    abort();
}

/* ---- CUPTI ---- */

static void deliver(void) {
    uint8_t *full = buffer;
    size_t size = buffer_size, valid = used;
    if (!full) return;
    buffer = NULL;
    used = 0;
    if (complete_v2) complete_v2(full, size, valid, NULL);
    else complete1(NULL, 0, full, size, valid);
}

static void emit(const void *record, size_t size) {
    size_t limit = 0;
    if (!request1 && !request_v2) return;
    if (buffer && used + size > buffer_size) deliver();
    if (!buffer && request_v2) request_v2(&buffer, &buffer_size, &limit, NULL);
    else if (!buffer) request1(&buffer, &buffer_size, &limit);
    if (!buffer || used + size > buffer_size) return;
    memcpy(buffer + used, record, size);
    used += size;
}

static void emit_kernel(uint32_t graph_id, uint64_t node) {
    uint8_t record[KERNEL_BYTES] = {0};
    cupti_kernel k = {.kind = KIND_CONCURRENT_KERNEL, .stream = 7, .grid = {1, 1, 1}, .block = {32, 1, 1},
                      .correlation = correlation, .name = node % 2 ? "probe_odd" : "probe_spin", .graph = graph_id,
                      .graph_node = node};
    uint64_t start = wall() > busy_until ? wall() : busy_until;
    long every = setting("FAKE_GPU_ZERO_EVERY");
    busy_until = start + KERNEL_NS;
    kernel_count++;
    if (!every || kernel_count % (uint64_t)every) { k.start = start; k.end = busy_until; }
    if (!enabled_kind[KIND_CONCURRENT_KERNEL]) return;
    memcpy(record, &k, sizeof k);
    emit(record, sizeof record);
}

static uint32_t next_correlation(void) {
    long stride = setting("FAKE_GPU_STRIDE");
    return correlation += stride ? (uint32_t)stride : 1;
}

static void notify(uint32_t cbid, const char *name) {
    cupti_callback_data data = {.site = SITE_ENTER, .function = name, .correlation = next_correlation()};
    uint8_t record[API_BYTES] = {0};
    cupti_api api = {.kind = KIND_DRIVER, .cbid = cbid, .start = wall(), .correlation = correlation};
    if (callback && callback_on[DOMAIN_DRIVER][cbid]) {
        callback(NULL, DOMAIN_DRIVER, cbid, &data);
        data.site = SITE_EXIT;
        callback(NULL, DOMAIN_DRIVER, cbid, &data);
    }
    api.end = wall();
    memcpy(record, &api, sizeof api);
    if (api_kind[cbid] || enabled_kind[KIND_DRIVER]) emit(record, sizeof record);
}

int cuptiGetVersion(uint32_t *version) { *version = setting("FAKE_GPU_OLD") ? 28 : 130500; return 0; }
int cuptiGetTimestamp(uint64_t *stamp) { *stamp = wall(); return 0; }
int cuptiFinalize(void) { forbidden("cuptiFinalize"); return 0; }
int cuptiUnsubscribe(void *handle) { (void)handle; subscribers--; return 0; }

int cuptiSubscribe(void **handle, cupti_callback function, void *user) {
    (void)user;
    while (setting("FAKE_GPU_HANG")) pause();
    if (setting("FAKE_GPU_BUSY") || subscribers) return CUPTI_BUSY;
    callback = function;
    subscribers = 1;
    *handle = &subscribers;
    return 0;
}

int cuptiSubscribe_v2(void **handle, cupti_callback function, void *user, cupti_subscriber_params *params) {
    int full = setting("FAKE_GPU_BUSY") || (subscribers && !setting("FAKE_GPU_MULTI"));
    if (params->size != 40 && params->size != 32) return 1;
    if (setting("FAKE_GPU_OLD")) return 11;
    if (full && params->old_name) snprintf(params->old_name, params->old_size, "CUPTI for somebody");
    if (full) return CUPTI_BUSY;
    (void)user;
    callback = function;
    subscribers++;
    *handle = &subscribers;
    return 0;
}

int cuptiEnableCallback(uint32_t on, void *handle, uint32_t domain, uint32_t cbid) {
    if (!handle || domain >= DOMAINS || cbid >= CBID_LIMIT) return 1;
    callback_on[domain][cbid] = (uint8_t)on;
    return 0;
}

int cuptiActivityRegisterCallbacks(cupti_request r, cupti_complete c) { request1 = r; complete1 = c; return 0; }

int cuptiActivityRegisterCallbacks_v2(void *handle, cupti_request2 r, cupti_complete2 c) {
    if (!handle) return 1;
    request_v2 = r;
    complete_v2 = c;
    return 0;
}

int cuptiActivityEnable(uint32_t kind) {
    if (setting("FAKE_GPU_CRASH")) raise(SIGSEGV);
    if (kind >= 64) return 21;
    enabled_kind[kind] = 1;
    return 0;
}

int cuptiActivityDisable(uint32_t kind) {
    if (kind >= 64) return 21;
    enabled_kind[kind] = 0;
    return 0;
}

int cuptiActivityEnable_v2(void *h, uint32_t kind, void *config) { (void)config; return h ? cuptiActivityEnable(kind) : 1; }
int cuptiActivityDisable_v2(void *h, uint32_t kind, void *config) { (void)config; return h ? cuptiActivityDisable(kind) : 1; }

int cuptiActivityEnableDriverApi(uint32_t cbid, uint8_t on) {
    if (cbid >= CBID_LIMIT) return 1;
    api_kind[cbid] = on;
    return 0;
}

int cuptiActivityEnableRuntimeApi(uint32_t cbid, uint8_t on) { (void)on; return cbid < CBID_LIMIT ? 0 : 1; }

int cuptiActivitySetAttribute(uint32_t attribute, size_t *width, void *value) {
    return attribute > 20 || !*width || !value;
}

int cuptiActivityFlushAll(uint32_t flag) {
    if (flag) forbidden("cuptiActivityFlushAll with a flag");
    if (!request1 && !request_v2) return 7;
    deliver();
    return 0;
}

int cuptiActivityGetNextRecord(uint8_t *from, size_t valid, cupti_record **record) {
    static const size_t sizes[64] = {[KIND_MEMCPY] = COPY_BYTES, [KIND_MEMSET] = COPY_BYTES, [KIND_DRIVER] = API_BYTES,
                                     [KIND_RUNTIME] = API_BYTES, [KIND_CONCURRENT_KERNEL] = KERNEL_BYTES,
                                     [KIND_OVERHEAD] = GRAPH_BYTES, [KIND_GRAPH_TRACE] = GRAPH_BYTES};
    uint8_t *next = *record ? (uint8_t *)*record + sizes[(*record)->kind] : from;
    if (next >= from + valid) return 12;
    *record = (cupti_record *)(void *)next;
    return 0;
}

int cuptiActivityGetNextRecord_v2(void *h, uint8_t *from, size_t valid, cupti_record **record) {
    return h ? cuptiActivityGetNextRecord(from, valid, record) : 1;
}

int cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream, size_t *dropped) {
    (void)context, (void)stream;
    if (complete_v2 && !asked_by_new_api) return 14;
    *dropped = (size_t)setting("FAKE_GPU_DROP");
    return 0;
}

int cuptiActivityGetNumDroppedRecords_v2(void *h, void *context, uint32_t stream, size_t *dropped) {
    asked_by_new_api = 1;
    return h ? cuptiActivityGetNumDroppedRecords(context, stream, dropped) : 1;
}

/* ---- CUDA driver ---- */

int cuInit(unsigned flags) {
    const char *path = getenv("CUDA_INJECTION64_PATH");
    void *injected = path ? dlopen(path, RTLD_NOW) : NULL;
    int (*start)(void) = injected ? (int (*)(void))(uintptr_t)dlsym(injected, "InitializeInjection") : NULL;
    if (start) start();
    return flags ? 1 : 0;
}

int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int room, int device) { (void)device; snprintf(name, (size_t)room, "Fake GPU"); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { (void)attribute, (void)device; *value = 4; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &subscribers; return 0; }
int cuCtxSetCurrent(void *context) { (void)context; return 0; }
int cuModuleLoadData(void **module, const void *image) { *module = &graphs; return image ? 0 : 1; }
int cuModuleGetFunction(void **f, void *module, const char *name) { *f = module; return name && module ? 0 : 1; }
int cuMemAlloc_v2(uint64_t *pointer, size_t size) { *pointer = 4096; return size ? 0 : 1; }
int cuMemAllocManaged(uint64_t *pointer, size_t size, unsigned flags) {
    (void)pointer, (void)size, (void)flags;
    forbidden("cuMemAllocManaged");
    return 1;
}
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) { *free_bytes = 1u << 30; *total = 2u << 30; return 0; }
int cuStreamCreate(void **stream, unsigned flags) { (void)flags; *stream = &busy_until; return 0; }
int cuGetErrorName(int code, const char **name) { (void)code; *name = "CUDA_ERROR_FAKE"; return 0; }

static int copy(uint32_t kind) {
    uint8_t record[COPY_BYTES] = {0};
    memcpy(record, &kind, sizeof kind);
    correlation++;
    if (enabled_kind[kind]) emit(record, sizeof record);
    return 0;
}

int cuMemsetD8Async(uint64_t to, uint8_t value, size_t size, void *stream) {
    (void)to, (void)value, (void)size, (void)stream;
    return copy(KIND_MEMSET);
}

int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *stream) {
    (void)to, (void)from, (void)size, (void)stream;
    return copy(KIND_MEMCPY);
}

int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **params, void **extra) {
    (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
    if (!f || !params) return 1;
    notify(CB_LAUNCH, "cuLaunchKernel");
    if (capturing >= 0) graphs[capturing].nodes++;
    else emit_kernel(0, 0);
    return 0;
}

int cuStreamBeginCapture_v2(void *stream, int mode) {
    (void)stream, (void)mode;
    if (graph_count == MAX_GRAPHS) return 2;
    capturing = graph_count++;
    return 0;
}

int cuStreamEndCapture(void *stream, void **made) {
    (void)stream;
    *made = &graphs[capturing];
    capturing = -1;
    return 0;
}

int cuGraphInstantiateWithFlags(void **exec, void *made, unsigned long long flags) {
    ((graph *)made)->seen = enabled_kind[KIND_CONCURRENT_KERNEL] || !setting("FAKE_GPU_LATE_BLIND");
    *exec = made;
    return flags ? 1 : 0;
}

int cuGraphLaunch(void *exec, void *stream) {
    const graph *g = exec;
    uint32_t id = (uint32_t)(g - graphs) + 1;
    uint8_t record[GRAPH_BYTES] = {0};
    (void)stream;
    notify(CB_GRAPH, "cuGraphLaunch");
    cupti_graph trace = {.kind = KIND_GRAPH_TRACE, .correlation = correlation, .start = wall(), .graph = id};
    for (int i = 0; i < g->nodes; i++)
        if (g->seen && !enabled_kind[KIND_GRAPH_TRACE]) emit_kernel(id, (uint64_t)id << 32 | (unsigned)i);
    trace.end = trace.start + (uint64_t)g->nodes * KERNEL_NS;
    memcpy(record, &trace, sizeof trace);
    if (enabled_kind[KIND_GRAPH_TRACE]) emit(record, sizeof record);
    return 0;
}

int cuStreamSynchronize(void *stream) {
    (void)stream;
    while (wall() < busy_until) usleep(1);
    return 0;
}

int cuCtxSynchronize(void) { return cuStreamSynchronize(NULL); }

/* ---- NVML ---- */

static int lost(void) { return setting("FAKE_GPU_LOST") ? 15 : 0; }
static uint64_t energy_mj(void) { return wall() / 20000000u * 20u * 300u; } /* 300 W, every 20 ms */

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &energy_mj; return index ? 6 : 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { (void)d; *mj = energy_mj(); return lost(); }
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { (void)d; *mw = 300000; return lost(); }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *c) { (void)d, (void)sensor; *c = 40; return lost(); }
int nvmlDeviceGetClockInfo(void *d, int kind, unsigned *mhz) { (void)d, (void)kind; *mhz = 1980; return lost(); }
int nvmlDeviceGetUtilizationRates(void *d, unsigned *pair) { (void)d; pair[0] = 50; pair[1] = 20; return lost(); }
int nvmlDeviceGetName(void *d, char *text, unsigned room) { (void)d; snprintf(text, room, "Fake GPU"); return 0; }

typedef struct { unsigned id, scope; long long at, latency; int type, code; unsigned long long value; } field_value;

int nvmlDeviceGetFieldValues(void *d, int count, field_value *fields) {
    (void)d;
    for (int i = 0; i < count; i++) {
        fields[i].code = fields[i].id == 83 || fields[i].id == 185 || fields[i].id == 186 ? 0 : 3;
        fields[i].at = (long long)(wall() / 1000u);
        fields[i].latency = 5;
        fields[i].type = fields[i].id == 83 ? 3 : 1;
        fields[i].value = fields[i].id == 83 ? energy_mj() : 300000;
    }
    return lost();
}
