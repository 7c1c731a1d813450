/*
 * A thin tracer over CUPTI for measuring: it counts, tags launches with the current step, and keeps
 * rows when asked. It links to nothing but libc; CUPTI is found by dlopen. It never tears CUPTI down
 * and never asks for a forced flush, since both have been seen to harm the process they run in.
 *
 * Codes returned: CUPTI's own (0 is success), or below zero the shim's: -1 nothing opened,
 * -2 this CUPTI lacks the symbol, -3 out of memory.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cupti_min.h"

enum { NOT_OPEN = -1, NO_SYMBOL = -2, NO_MEMORY = -3 };
enum { STEP_SLOTS = 1 << 20, CBIDS = 1024, NAME_SLOTS = 8192, RAW_SLOTS = 64, RAW_BYTES = 512 };
enum { BUFFER_BYTES = 4 << 20 };

typedef struct {
    uint64_t start, end, graph_node;
    uint32_t correlation, step, device, stream, graph, name, kind, tagged;
    int32_t grid[3], block[3];
} shim_row;

typedef struct {
    uint64_t callbacks, requested, completed, bytes, no_memory, kernels, graphs, apis, overheads, copies,
        others, zero_time, reversed_time, tagged, untagged, parse_cpu_ns, rows_lost, names_lost,
        kernel_bytes, overhead_ns, dropped;
} shim_counters;

static void *library;
static void *subscriber, *second;
static int (*next1)(uint8_t *, size_t, cupti_record **);
static int (*next2)(void *, uint8_t *, size_t, cupti_record **);
static int second_in_use, api_in_use; /* the old and the new (_v2) calls must not be mixed */
static atomic_uint_least32_t current_step;
static atomic_uint_least64_t callbacks_seen;
static atomic_uint_least64_t step_of[STEP_SLOTS]; /* correlation << 32 | step */
static atomic_uint_least32_t callback_count[DOMAINS][CBIDS];
static shim_counters counters;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static shim_row *rows;
static size_t rows_used, rows_cap;
static struct { const char *pointer; char *text; } names[NAME_SLOTS];
static uint8_t raw[RAW_SLOTS][RAW_BYTES];
static uint32_t raw_size[RAW_SLOTS], raw_used;
static uint8_t *spare[256];
static size_t spare_used;

static void *symbol(const char *name) { return library ? dlsym(library, name) : NULL; }

#define CALL(type, name, ...)                                                                                 \
    do {                                                                                                      \
        if (!library) return NOT_OPEN;                                                                        \
        __typeof__(type) call_ = (__typeof__(type))(uintptr_t)symbol(name);                                   \
        return call_ ? call_(__VA_ARGS__) : NO_SYMBOL;                                                        \
    } while (0)

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- opening ---- */

int shim_open(const char *path, int only_if_loaded) {
    library = dlopen(path, RTLD_NOW | (only_if_loaded ? RTLD_NOLOAD : 0));
    next1 = (__typeof__(next1))(uintptr_t)symbol("cuptiActivityGetNextRecord");
    next2 = (__typeof__(next2))(uintptr_t)symbol("cuptiActivityGetNextRecord_v2");
    return library ? CUPTI_OK : NOT_OPEN;
}

const char *shim_open_error(void) {
    const char *text = dlerror();
    return text ? text : "";
}

int shim_has(const char *name) { return symbol(name) != NULL; }

int shim_version(uint32_t *version) { CALL(int (*)(uint32_t *), "cuptiGetVersion", version); }

int shim_timestamp(uint64_t *stamp) { CALL(int (*)(uint64_t *), "cuptiGetTimestamp", stamp); }

int shim_attribute(uint32_t attribute, uint64_t value, size_t width) {
    CALL(int (*)(uint32_t, size_t *, void *), "cuptiActivitySetAttribute", attribute, &width, &value);
}

/* ---- launches: remember which step each correlation id belongs to ---- */

void shim_set_step(uint32_t step) { atomic_store_explicit(&current_step, step, memory_order_relaxed); }

static void on_launch(void *user, uint32_t domain, uint32_t cbid, const cupti_callback_data *data) {
    (void)user;
    if (data->site != SITE_ENTER) return;
    uint64_t step = atomic_load_explicit(&current_step, memory_order_relaxed);
    uint64_t entry = (uint64_t)data->correlation << 32 | step;
    atomic_store_explicit(&step_of[data->correlation & (STEP_SLOTS - 1)], entry, memory_order_relaxed);
    atomic_fetch_add_explicit(&callbacks_seen, 1, memory_order_relaxed);
    if (domain < DOMAINS && cbid < CBIDS)
        atomic_fetch_add_explicit(&callback_count[domain][cbid], 1, memory_order_relaxed);
}

uint32_t shim_callback_count(uint32_t domain, uint32_t cbid) {
    return domain < DOMAINS && cbid < CBIDS ? callback_count[domain][cbid] : 0;
}

static int subscribe_with(void **handle, int api, char *old_name, size_t old_size) {
    if (api == 1) CALL(int (*)(void **, cupti_callback, void *), "cuptiSubscribe", handle, on_launch, NULL);
    uint32_t version = 0;
    shim_version(&version);
    cupti_subscriber_params params = {0};
    params.size = version >= 130300 ? sizeof params : offsetof(cupti_subscriber_params, allow_multiple);
    params.name = "otel-llm-probe";
    params.old_name = old_name;
    params.old_size = old_size;
    params.allow_multiple = 1;
    CALL(int (*)(void **, cupti_callback, void *, cupti_subscriber_params *), "cuptiSubscribe_v2", handle, on_launch,
         NULL, &params);
}

int shim_subscribe(int api, char *old_name, size_t old_size) {
    return subscribe_with(&subscriber, api, old_name, old_size);
}

int shim_subscribe_second(int api, char *old_name, size_t old_size) {
    int code = subscribe_with(&second, api, old_name, old_size);
    second_in_use = code == CUPTI_OK;
    return code;
}

int shim_unsubscribe_second(void) {
    if (!second_in_use) return NOT_OPEN;
    second_in_use = 0;
    CALL(int (*)(void *), "cuptiUnsubscribe", second);
}

int shim_unsubscribe(void) { CALL(int (*)(void *), "cuptiUnsubscribe", subscriber); }

int shim_callback(int on, uint32_t domain, uint32_t cbid) {
    CALL(int (*)(uint32_t, void *, uint32_t, uint32_t), "cuptiEnableCallback", (uint32_t)on, subscriber, domain, cbid);
}

/* ---- records ---- */

static uint32_t intern(const char *pointer) {
    if (!pointer) return 0;
    for (uint32_t i = (uint32_t)((uintptr_t)pointer >> 4), tries = 0; tries < 64; tries++, i++) {
        uint32_t slot = i % NAME_SLOTS;
        if (names[slot].text && names[slot].pointer == pointer && !strcmp(names[slot].text, pointer)) return slot + 1;
        if (names[slot].text) continue;
        names[slot].text = strdup(pointer);
        if (!names[slot].text) break;
        names[slot].pointer = pointer;
        return slot + 1;
    }
    counters.names_lost++;
    return 0;
}

const char *shim_name(uint32_t name) {
    return name && name <= NAME_SLOTS && names[name - 1].text ? names[name - 1].text : "";
}

static void keep(const shim_row *row) {
    if (!rows_cap) return;
    if (rows_used < rows_cap) rows[rows_used++] = *row;
    else counters.rows_lost++;
}

static void look_up_step(shim_row *row) {
    uint64_t entry = atomic_load_explicit(&step_of[row->correlation & (STEP_SLOTS - 1)], memory_order_relaxed);
    row->tagged = entry && (uint32_t)(entry >> 32) == row->correlation;
    row->step = row->tagged ? (uint32_t)entry : 0;
    if (row->tagged) counters.tagged++;
    else counters.untagged++;
}

static void check_times(uint64_t start, uint64_t end) {
    if (!start || !end) counters.zero_time++;
    else if (end < start) counters.reversed_time++;
}

static void take_kernel(const cupti_kernel *k) {
    shim_row row = {.start = k->start, .end = k->end, .graph_node = k->graph_node, .correlation = k->correlation,
                    .device = k->device, .stream = k->stream, .graph = k->graph, .kind = k->kind};
    memcpy(row.grid, k->grid, sizeof row.grid);
    memcpy(row.block, k->block, sizeof row.block);
    row.name = rows_cap ? intern(k->name) : 0;
    counters.kernels++;
    check_times(k->start, k->end);
    look_up_step(&row);
    keep(&row);
}

static void take_graph(const cupti_graph *g) {
    shim_row row = {.start = g->start, .end = g->end, .correlation = g->correlation, .device = g->device,
                    .graph = g->graph, .kind = g->kind};
    counters.graphs++;
    check_times(g->start, g->end);
    look_up_step(&row);
    keep(&row);
}

static void take(const cupti_record *record) {
    switch (record->kind) {
    case KIND_CONCURRENT_KERNEL: take_kernel((const cupti_kernel *)record); break;
    case KIND_GRAPH_TRACE: take_graph((const cupti_graph *)record); break;
    case KIND_DRIVER: case KIND_RUNTIME: counters.apis++; break;
    case KIND_MEMCPY: case KIND_MEMSET: counters.copies++; break;
    case KIND_OVERHEAD: {
        const cupti_overhead *o = (const cupti_overhead *)record;
        counters.overheads++;
        counters.overhead_ns += o->end > o->start ? o->end - o->start : 0;
        break;
    }
    default: counters.others++;
    }
}

/* The distance between two neighbours is the true size of the first; keep a few whole records. */
static void measure(const uint8_t *record, size_t size) {
    if (((const cupti_record *)(const void *)record)->kind != KIND_CONCURRENT_KERNEL || size > RAW_BYTES) return;
    counters.kernel_bytes = size;
    if (!rows_cap || raw_used == RAW_SLOTS) return;
    memcpy(raw[raw_used], record, size);
    raw_size[raw_used++] = (uint32_t)size;
}

static int next_record(int api, uint8_t *buffer, size_t valid, cupti_record **record) {
    if (api == 2) return next2 ? next2(subscriber, buffer, valid, record) : NO_SYMBOL;
    return next1 ? next1(buffer, valid, record) : NO_SYMBOL;
}

static void walk(int api, uint8_t *buffer, size_t valid) {
    cupti_record *record = NULL;
    uint8_t *previous = NULL;
    uint64_t began = now(CLOCK_THREAD_CPUTIME_ID);
    pthread_mutex_lock(&lock);
    counters.completed++;
    counters.bytes += valid;
    while (valid && next_record(api, buffer, valid, &record) == CUPTI_OK) {
        if (previous) measure(previous, (size_t)((uint8_t *)record - previous));
        take(record);
        previous = (uint8_t *)record;
    }
    if (spare_used < sizeof spare / sizeof *spare) spare[spare_used++] = buffer;
    else free(buffer);
    counters.parse_cpu_ns += now(CLOCK_THREAD_CPUTIME_ID) - began;
    pthread_mutex_unlock(&lock);
}

static void request(uint8_t **buffer, size_t *size, size_t *limit) {
    pthread_mutex_lock(&lock);
    *buffer = spare_used ? spare[--spare_used] : aligned_alloc(4096, BUFFER_BYTES);
    *size = *buffer ? BUFFER_BYTES : 0;
    *limit = 0;
    counters.requested++;
    if (!*buffer) counters.no_memory++;
    pthread_mutex_unlock(&lock);
}

static void complete(void *context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
    (void)context, (void)stream, (void)size;
    if (buffer) walk(1, buffer, valid);
}

static void request2(uint8_t **buffer, size_t *size, size_t *limit, void *info) {
    (void)info;
    request(buffer, size, limit);
}

static void complete2(uint8_t *buffer, size_t size, size_t valid, void *info) {
    (void)size, (void)info;
    if (buffer) walk(2, buffer, valid);
}

int shim_register(int api) {
    api_in_use = api;
    if (api == 2)
        CALL(int (*)(void *, cupti_request2, cupti_complete2), "cuptiActivityRegisterCallbacks_v2", subscriber,
             request2, complete2);
    CALL(int (*)(cupti_request, cupti_complete), "cuptiActivityRegisterCallbacks", request, complete);
}

int shim_kind(int api, int on, uint32_t kind) {
    if (api == 2)
        CALL(int (*)(void *, uint32_t, void *), on ? "cuptiActivityEnable_v2" : "cuptiActivityDisable_v2", subscriber,
             kind, NULL);
    CALL(int (*)(uint32_t), on ? "cuptiActivityEnable" : "cuptiActivityDisable", kind);
}

int shim_api_record(int on, uint32_t domain, uint32_t cbid) {
    CALL(int (*)(uint32_t, uint8_t),
         domain == DOMAIN_RUNTIME ? "cuptiActivityEnableRuntimeApi" : "cuptiActivityEnableDriverApi", cbid,
         (uint8_t)on);
}

/* Flag 0: only buffers whose records are all complete. The forced kind loses records. */
int shim_flush(void) { CALL(int (*)(uint32_t), "cuptiActivityFlushAll", 0); }

static int ask_dropped(size_t *dropped) {
    if (api_in_use == 2)
        CALL(int (*)(void *, void *, uint32_t, size_t *), "cuptiActivityGetNumDroppedRecords_v2", subscriber, NULL, 0,
             dropped);
    CALL(int (*)(void *, uint32_t, size_t *), "cuptiActivityGetNumDroppedRecords", NULL, 0, dropped);
}

int shim_dropped(void) {
    size_t dropped = 0;
    int code = ask_dropped(&dropped);
    pthread_mutex_lock(&lock);
    counters.dropped += dropped;
    pthread_mutex_unlock(&lock);
    return code;
}

/* ---- reading back ---- */

void shim_read(shim_counters *out) {
    pthread_mutex_lock(&lock);
    *out = counters;
    pthread_mutex_unlock(&lock);
    out->callbacks = callbacks_seen;
}

size_t shim_counters_size(void) { return sizeof(shim_counters); }

int shim_keep_rows(size_t capacity) {
    pthread_mutex_lock(&lock);
    free(rows);
    rows = capacity ? malloc(capacity * sizeof *rows) : NULL;
    rows_cap = rows ? capacity : 0;
    rows_used = 0;
    pthread_mutex_unlock(&lock);
    return rows || !capacity ? CUPTI_OK : NO_MEMORY;
}

size_t shim_take_rows(shim_row *out, size_t room) {
    pthread_mutex_lock(&lock);
    size_t count = rows_used < room ? rows_used : room;
    if (count) memcpy(out, rows, count * sizeof *out);
    if (count) memmove(rows, rows + count, (rows_used - count) * sizeof *rows);
    rows_used -= count;
    pthread_mutex_unlock(&lock);
    return count;
}

size_t shim_raw(uint32_t index, uint8_t *out, size_t room) {
    if (index >= raw_used || raw_size[index] > room) return 0;
    memcpy(out, raw[index], raw_size[index]);
    return raw_size[index];
}

/* ---- launch cost, measured without an interpreter between the launches ---- */

typedef int (*launch_kernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                             void **, void **);
typedef int (*launch_graph)(void *, void *);

int shim_launch_loop(void *call, void *function, void *stream, void **params, uint32_t launches, uint64_t *ns) {
    launch_kernel launch = (launch_kernel)(uintptr_t)call;
    uint64_t began = now(CLOCK_MONOTONIC);
    int code = 0;
    for (uint32_t i = 0; i < launches && !code; i++) code = launch(function, 1, 1, 1, 32, 1, 1, 0, stream, params, NULL);
    *ns = now(CLOCK_MONOTONIC) - began;
    return code;
}

int shim_graph_loop(void *call, void *graph, void *stream, uint32_t launches, uint64_t *ns) {
    launch_graph launch = (launch_graph)(uintptr_t)call;
    uint64_t began = now(CLOCK_MONOTONIC);
    int code = 0;
    for (uint32_t i = 0; i < launches && !code; i++) code = launch(graph, stream);
    *ns = now(CLOCK_MONOTONIC) - began;
    return code;
}

/* ---- injection: the driver calls this when CUDA_INJECTION64_PATH names this file ---- */

static int injection_code[4] = {NOT_OPEN, NOT_OPEN, NOT_OPEN, NOT_OPEN};

int shim_injection_code(int index) { return index >= 0 && index < 4 ? injection_code[index] : NOT_OPEN; }

int InitializeInjection(void) {
    const char *path = getenv("OTEL_LLM_PROBE_CUPTI");
    static const uint32_t driver[] = {307, 442, 514, 515, 652, 653};
    injection_code[0] = shim_open(path ? path : "libcupti.so.13", 0);
    if (injection_code[0] != CUPTI_OK) return 1;
    injection_code[1] = shim_subscribe(1, NULL, 0);
    for (size_t i = 0; i < sizeof driver / sizeof *driver; i++) shim_callback(1, DOMAIN_DRIVER, driver[i]);
    injection_code[2] = shim_register(1);
    injection_code[3] = shim_kind(1, 1, KIND_CONCURRENT_KERNEL);
    return 1;
}
