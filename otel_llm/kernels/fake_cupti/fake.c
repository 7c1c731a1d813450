/*
 * A libcupti without a GPU: it replays recorded kernels for launches that a test makes.
 *
 * FAKE_CUPTI_FIXTURE names the recording. Faults, all off by default:
 *   FAKE_CUPTI_SUBSCRIBE=CODE  cuptiSubscribe's answer (39 busy, 35 permission, 15, 999)
 *   FAKE_CUPTI_BUSY=N          only the first N times
 *   FAKE_CUPTI_VERSION=N       what cuptiGetVersion says (default 130500; CODE 999 fails it too)
 *   FAKE_CUPTI_DROP=N          every Nth record is dropped, and counted as CUPTI does
 *   FAKE_CUPTI_ZERO=N          every Nth has no timestamps
 *   FAKE_CUPTI_ABSURD=N        every Nth began a year from now
 *   FAKE_CUPTI_CUT=N           every Nth buffer ends within its last record
 *   FAKE_CUPTI_SLOW_MS=N       a completed buffer waits so long
 * Built with FAKE_OLD it is CUPTI 12.9: version 28, records of 208 bytes, no GetStructSize.
 */
#define _GNU_SOURCE
#include "../shim/cupti_abi.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#ifdef FAKE_OLD
enum { KERNEL_BYTES = 208, MEMCPY_BYTES = 88, MEMSET_BYTES = 88, VERSION = 28 };
#else
enum { KERNEL_BYTES = 248, MEMCPY_BYTES = 112, MEMSET_BYTES = 104, VERSION = 130500 };
#endif

typedef struct {
    uint64_t bytes;
    uint32_t duration_ns, name;
    uint16_t stream;
    uint8_t kind, device;
    uint32_t unused;
} Row;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Callback callback;
static uint8_t enabled_runtime[2048], enabled_driver[2048], kinds[64];
static BufferRequested requested;
static BufferCompleted completed;
static uint8_t *buffer;
static size_t buffer_bytes, used;
static size_t dropped;
static uint32_t correlation;
static uint64_t made, delivered, clock_at, lost_without_buffer;
static Row *rows;
static char **names;
static uint32_t row_count, name_count, next_row;
static int subscribed, attempts;

static long option(const char *name, long otherwise)
{
    char variable[64];
    snprintf(variable, sizeof variable, "FAKE_CUPTI_%s", name);
    const char *value = getenv(variable);
    return value ? atol(value) : otherwise;
}

static int each(const char *name, uint64_t number)
{
    long every = option(name, 0);
    return every && number % (uint64_t)every == 0;
}

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void load(void)
{
    if (rows)
        return;
    const char *path = getenv("FAKE_CUPTI_FIXTURE");
    FILE *file = path ? fopen(path, "rb") : NULL;
    char magic[8];
    uint32_t counts[2];
    if (!file || fread(magic, 8, 1, file) != 1 || memcmp(magic, "FAKECUPT", 8) ||
        fread(counts, sizeof counts, 1, file) != 1) {
        fprintf(stderr, "fake libcupti: FAKE_CUPTI_FIXTURE is no recording\n");
        abort();
    }
    row_count = counts[0], name_count = counts[1];
    rows = calloc(row_count, sizeof *rows);
    names = calloc(name_count, sizeof *names);
    size_t got = fread(rows, sizeof *rows, row_count, file);
    for (uint32_t index = 0; index < name_count; index++) {
        uint32_t length = 0;
        got += fread(&length, sizeof length, 1, file);
        names[index] = calloc(1, length + 1);
        got += fread(names[index], 1, length, file) > 0;
    }
    fclose(file);
    if (got != row_count + 2ul * name_count)
        abort();
}

/* -- the part of CUPTI that the shim uses */

API int cuptiGetVersion(uint32_t *version)
{
    if (option("SUBSCRIBE", 0) == CUPTI_UNKNOWN)
        return CUPTI_UNKNOWN;
    *version = (uint32_t)option("VERSION", VERSION);
    return CUPTI_OK;
}

API int cuptiGetTimestamp(uint64_t *stamp)
{
    *stamp = wall_ns();
    return CUPTI_OK;
}

API int cuptiSubscribe(void **subscriber, Callback to, void *user)
{
    (void)user;
    long code = option("SUBSCRIBE", 0), busy = option("BUSY", 0);
    if (code && (!busy || attempts < busy)) {
        attempts++;
        return (int)code;
    }
    if (subscribed)
        return CUPTI_MULTIPLE_SUBSCRIBERS;
    load();
    subscribed = 1;
    callback = to;
    *subscriber = &callback;
    return CUPTI_OK;
}

API int cuptiUnsubscribe(void *subscriber)
{
    (void)subscriber;
    subscribed = 0;
    callback = NULL;
    return CUPTI_OK;
}

API int cuptiEnableCallback(uint32_t on, void *subscriber, uint32_t domain, uint32_t id)
{
    if (subscriber != &callback || id >= sizeof enabled_driver)
        return 1;
    (domain == DOMAIN_RUNTIME ? enabled_runtime : enabled_driver)[id] = (uint8_t)on;
    return CUPTI_OK;
}

API int cuptiActivityRegisterCallbacks(BufferRequested ask, BufferCompleted give)
{
    requested = ask;
    completed = give;
    return CUPTI_OK;
}

API int cuptiActivityEnable(uint32_t kind)
{
    kinds[kind] = 1;
    return CUPTI_OK;
}

API int cuptiActivityDisable(uint32_t kind)
{
    kinds[kind] = 0;
    return CUPTI_OK;
}

API int cuptiActivitySetAttribute(uint32_t attribute, size_t *size, void *value)
{
    (void)attribute, (void)value;
    return *size == sizeof(size_t) ? CUPTI_OK : 1;
}

API int cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream, size_t *count)
{
    (void)context, (void)stream;
    *count = __atomic_exchange_n(&dropped, 0, __ATOMIC_RELAXED);
    return CUPTI_OK;
}

static size_t size_of(uint32_t kind)
{
    return kind == KIND_CONCURRENT_KERNEL ? KERNEL_BYTES
           : kind == KIND_MEMCPY          ? MEMCPY_BYTES
           : kind == KIND_MEMSET          ? MEMSET_BYTES
                                          : 0;
}

#ifndef FAKE_OLD
API int cuptiActivityGetStructSize(uint32_t kind, uint32_t version, size_t *size)
{
    *size = size_of(kind);
    return version == 0 && *size ? CUPTI_OK : 1;
}
#endif

API int cuptiActivityGetNextRecord(uint8_t *from, size_t valid, void **record)
{
    uint8_t *at = *record;
    size_t offset = at ? (size_t)(at - from) + size_of(*(uint32_t *)(void *)at) : 0;
    if (offset + sizeof(uint32_t) > valid)
        return 12;
    *record = from + offset;
    return size_of(*(uint32_t *)*record) ? CUPTI_OK : 21;
}

/* Hand over what is in the buffer. The lock is held, and let go of meanwhile, as CUPTI would. */
static void deliver(void)
{
    uint8_t *full = buffer;
    size_t bytes = buffer_bytes, valid = used;
    if (!full)
        return;
    buffer = NULL;
    used = 0;
    delivered++;
    if (valid && each("CUT", delivered))
        valid -= 32;
    pthread_mutex_unlock(&lock);
    usleep((useconds_t)option("SLOW_MS", 0) * 1000);
    completed(NULL, 0, full, bytes, valid);
    pthread_mutex_lock(&lock);
}

API int cuptiActivityFlushAll(uint32_t flag)
{
    if (flag) {
        fprintf(stderr, "fake libcupti: a forced flush\n");
        abort();
    }
    pthread_mutex_lock(&lock);
    deliver();
    pthread_mutex_unlock(&lock);
    return CUPTI_OK;
}

API int cuptiFinalize(void)
{
    fprintf(stderr, "fake libcupti: cuptiFinalize\n");
    abort();
}

/* -- the device */

static uint8_t *room_for(size_t bytes)
{
    size_t most = 0;
    while (buffer && used + bytes > buffer_bytes)
        deliver();
    if (!buffer && requested)
        requested(&buffer, &buffer_bytes, &most);
    if (!buffer)
        return NULL;
    uint8_t *at = buffer + used;
    used += bytes;
    memset(at, 0, bytes);
    return at;
}

static void stamp(uint64_t *start, uint64_t *end, uint32_t took)
{
    uint64_t now = wall_ns();
    clock_at = clock_at < now ? now : clock_at;
    *start = clock_at;
    *end = clock_at + took;
    if (each("ZERO", made))
        *start = *end = 0;
    if (each("ABSURD", made))
        *start = *end = now + 31536000000000000ull;
}

static void fill(uint8_t *at, const Row *row, uint32_t kind, uint32_t id, uint64_t node)
{
    if (kind == KIND_CONCURRENT_KERNEL) {
        KernelRecord record = {.kind = kind, .device = row->device, .stream = row->stream,
                               .correlation = id, .name = names[row->name], .graph_node = node};
        stamp(&record.start, &record.end, row->duration_ns);
        memcpy(at, &record, sizeof record);
        return;
    }
    TransferRecord record = {.kind = kind, .bytes = row->bytes, .device = row->device,
                             .stream = row->stream, .correlation = id};
    stamp(&record.start, &record.end, row->duration_ns);
    memcpy(at, &record, sizeof record);
}

static void run_one(uint32_t id, uint64_t node, int copies)
{
    load();
    const Row *row;
    do
        row = &rows[next_row++ % row_count];
    while (!copies && row->kind != KIND_CONCURRENT_KERNEL);
    if (!kinds[row->kind])
        return;
    made++;
    if (each("DROP", made)) {
        __atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
        return;
    }
    uint8_t *at = room_for(size_of(row->kind));
    if (at)
        fill(at, row, row->kind, id, node);
    else {
        __atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
        lost_without_buffer++;
    }
}

/* Launch `kernels` kernels with one call of this id, as a graph if more than one. Its correlation. */
API uint32_t fake_launch(uint32_t domain, uint32_t id, uint32_t kernels, int copies)
{
    pthread_mutex_lock(&lock);
    uint32_t number = ++correlation;
    Callback to = (domain == DOMAIN_RUNTIME ? enabled_runtime : enabled_driver)[id] ? callback : NULL;
    pthread_mutex_unlock(&lock);
    CallbackData data = {.site = SITE_ENTER, .function = "fake", .correlation = number};
    if (to)
        to(NULL, domain, id, &data);
    pthread_mutex_lock(&lock);
    for (uint32_t node = 0; node < kernels; node++)
        run_one(number, kernels > 1 ? node + 1 : 0, copies);
    pthread_mutex_unlock(&lock);
    data.site = SITE_EXIT;
    if (to)
        to(NULL, domain, id, &data);
    return number;
}

/* Fill a buffer of the caller with records of the recording; how many bytes. For benchmarks. */
API size_t fake_fill(uint8_t *into, size_t bytes, uint32_t first_correlation, uint32_t per_launch,
                     uint32_t *records)
{
    uint32_t count = 0;
    size_t at = 0;
    load();
    for (;; count++) {
        const Row *row = &rows[next_row++ % row_count];
        size_t size = size_of(row->kind);
        *records = count;
        if (at + size > bytes)
            return at;
        memset(into + at, 0, size);
        fill(into + at, row, row->kind, first_correlation + count / per_launch, 0);
        at += size;
    }
}

/* A name's memory, which a test may write to as a module that is loaded in another's place would. */
API char *fake_name(uint32_t number)
{
    return names[number];
}

API uint32_t fake_names(void)
{
    return name_count;
}

API void fake_counts(uint64_t *records, uint64_t *without_buffer)
{
    *records = made;
    *without_buffer = lost_without_buffer;
}

/* Hand over a buffer that fake_fill filled, on this thread. */
API void fake_complete(uint8_t *from, size_t bytes)
{
    completed(NULL, 0, from, bytes, bytes);
}
