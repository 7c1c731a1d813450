#define _GNU_SOURCE
#include "session.h"

#include "decode.h"
#include "shim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { BUFFER_BYTES = 1 << 20, BUFFERS = 32, FIRST_GOOD_VERSION = 130400 };
enum { TIMED = 256, DOUBTFUL_NS = 2000 };

static Library library;
static Decode *decode;
static pthread_mutex_t decoding = PTHREAD_MUTEX_INITIALIZER;
static void *subscriber;
static int activities, forked;
static volatile int tagging;
static uint64_t current_step, last_step; /* the last is never 0 once there was one */
static uint64_t launches, callback_ns, declined, decode_ns;
static __thread int on_own_thread; /* whose CPU time is counted as a whole */
/* Buffers are kept for ever: CUPTI may hold one as long as the process lives. */
static pthread_mutex_t pooling = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *pool[BUFFERS], *ours[BUFFERS];
static unsigned pooled, made;

static uint64_t clock_ns(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void add(uint64_t *to, uint64_t by)
{
    __atomic_fetch_add(to, by, __ATOMIC_RELAXED);
}

static uint64_t value_of(uint64_t *of)
{
    return __atomic_load_n(of, __ATOMIC_RELAXED);
}

/* -- what CUPTI calls */

/* Tag, and say what it took; one callback in TIMED stands for the others. Where it took so long that
 * the thread may have lost the CPU meanwhile, it is charged what it ran. That clock is a system call
 * of more than a hundred callbacks, so its first reading is outside of what is timed. */
static uint64_t tag_timed(uint32_t correlation)
{
    uint64_t ran = clock_ns(CLOCK_THREAD_CPUTIME_ID), began = clock_ns(CLOCK_MONOTONIC);
    tag(correlation, value_of(&current_step));
    uint64_t took = clock_ns(CLOCK_MONOTONIC) - began;
    if (took < DOUBTFUL_NS)
        return took;
    ran = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran;
    return ran < took ? ran : took;
}

static void on_launch(void *user, uint32_t domain, uint32_t id, const void *data)
{
    (void)user, (void)domain, (void)id;
    const CallbackData *call = data;
    if (!tagging || !call || call->site != SITE_ENTER)
        return;
    uint64_t number = __atomic_fetch_add(&launches, 1, __ATOMIC_RELAXED);
    if (number % TIMED) {
        tag(call->correlation, value_of(&current_step));
        return;
    }
    add(&callback_ns, TIMED * tag_timed(call->correlation));
}

static void on_buffer_requested(uint8_t **buffer, size_t *size, size_t *most_records)
{
    *most_records = 0;
    *buffer = NULL;
    pthread_mutex_lock(&pooling);
    if (pooled)
        *buffer = pool[--pooled];
    else if (made < BUFFERS && (*buffer = aligned_alloc(64, BUFFER_BYTES)))
        ours[made++] = *buffer;
    pthread_mutex_unlock(&pooling);
    *size = *buffer ? BUFFER_BYTES : 0;
    if (!*buffer)
        add(&declined, 1);
}

/* Another user's buffer may come to us, of before we had CUPTI: it is not ours to keep. */
static int is_ours(const uint8_t *buffer)
{
    unsigned at = 0;
    pthread_mutex_lock(&pooling);
    while (at < made && ours[at] != buffer)
        at++;
    int found = at < made;
    pthread_mutex_unlock(&pooling);
    return found;
}

static void give_back(uint8_t *buffer)
{
    pthread_mutex_lock(&pooling);
    if (pooled < BUFFERS)
        pool[pooled++] = buffer;
    pthread_mutex_unlock(&pooling);
}

static Walk sizes(void)
{
    Walk how = {.next = library.next_record};
    if (library.struct_size) {
        library.struct_size(KIND_CONCURRENT_KERNEL, 0, &how.kernel);
        library.struct_size(KIND_MEMCPY, 0, &how.memcpy);
        library.struct_size(KIND_MEMSET, 0, &how.memset);
    }
    return how;
}

static void on_buffer_completed(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                                size_t valid)
{
    static Walk how;
    size_t dropped = 0;
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (!buffer || forked)
        return;
    pthread_mutex_lock(&decoding);
    if (!how.next)
        how = sizes();
    decode_buffer(decode, &how, buffer, valid < size ? valid : size, clock_ns(CLOCK_REALTIME),
                  value_of(&last_step));
    if (!library.dropped(context, stream, &dropped))
        decode->counters[N_DROPPED_BY_CUPTI] += dropped;
    pthread_mutex_unlock(&decoding);
    if (is_ours(buffer))
        give_back(buffer);
    if (!on_own_thread)
        add(&decode_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
}

/* -- attaching */

int session_prepare(void)
{
    if (!decode)
        decode = calloc(1, sizeof *decode);
    if (!decode)
        return 0;
    free(decode->names.text);
    memset(decode, 0, sizeof *decode);
    decode->ring.handle = -1;
    decode->by_name = 1;
    launches = callback_ns = declined = decode_ns = 0;
    return 1;
}

int session_make_ring(int directory, const char *name, uint64_t bytes, int mode,
                      const char *producer)
{
    pthread_mutex_lock(&decoding);
    int problem = ring_create(&decode->ring, directory, name, bytes, mode, producer);
    pthread_mutex_unlock(&decoding);
    return problem;
}

static int why_of(int code)
{
    switch (code) {
    case CUPTI_OK:
        return WHY_NONE;
    case CUPTI_UNKNOWN:
        return WHY_NO_DRIVER;
    case CUPTI_NOT_INITIALIZED:
        return WHY_NOT_INITIALIZED;
    case CUPTI_MULTIPLE_SUBSCRIBERS:
        return WHY_BUSY;
    case CUPTI_INSUFFICIENT_PRIVILEGES:
    case CUPTI_VIRTUALIZED_INSUFFICIENT_PRIVILEGES:
        return WHY_PERMISSION;
    default:
        return WHY_CUPTI_ERROR;
    }
}

/* Note a code that is not success. */
static int noted(int code)
{
    if (code)
        session_count(N_CUPTI_ERRORS, 1);
    return code;
}

int session_open(const char *configured, int any_version, char *path, size_t room,
                 uint32_t *version)
{
    int why = library_open(&library, configured);
    if (why)
        return why;
    strncpy(path, library.path, room - 1);
    why = why_of(noted(library.get_version(&library.version)));
    *version = library.version;
    if (!why && library.version < FIRST_GOOD_VERSION && !any_version)
        return WHY_OLD_VERSION;
    return why;
}

static int enable_callbacks(uint32_t on)
{
#define ONE(domain, id)                                                                            \
    if (noted(library.enable_callback(on, subscriber, domain, id)))                                \
        failed++;
#define RUNTIME(id, name) tried++; ONE(DOMAIN_RUNTIME, id)
#define DRIVER(id, name) tried++; ONE(DOMAIN_DRIVER, id)
    int failed = 0, tried = 0;
    LAUNCHES(RUNTIME, DRIVER)
    return failed < tried; /* an older CUPTI does not know the newest */
}

static int subscribe(uint32_t device_buffers)
{
    int code = noted(library.subscribe(&subscriber, on_launch, NULL));
    if (code) {
        subscriber = NULL;
        return why_of(code);
    }
    size_t limit = device_buffers, size = sizeof limit;
    noted(library.set_attribute(ATTR_DEVICE_BUFFER_POOL_LIMIT, &size, &limit));
    tagging = 1;
    return enable_callbacks(1) ? WHY_NONE : WHY_CUPTI_ERROR;
}

static int enable_activities(void)
{
    /* Each time: whoever had CUPTI meanwhile has put his own in their place. */
    int code = library.register_callbacks(on_buffer_requested, on_buffer_completed);
    if (!code)
        code = library.enable(KIND_CONCURRENT_KERNEL);
    if (noted(code))
        return why_of(code);
    activities = 1;
    noted(library.enable(KIND_MEMCPY));
    noted(library.enable(KIND_MEMSET));
    return WHY_NONE;
}

static void disable_activities(void)
{
    if (!activities)
        return;
    activities = 0;
    noted(library.disable(KIND_CONCURRENT_KERNEL));
    noted(library.disable(KIND_MEMCPY));
    noted(library.disable(KIND_MEMSET));
    noted(library.flush_all(0));
}

int session_attach(int with_activities, uint32_t device_buffers)
{
    int why = subscriber ? WHY_NONE : subscribe(device_buffers);
    if (!why && with_activities && !activities)
        why = enable_activities();
    if (!why && !with_activities)
        disable_activities();
    if (why) {
        session_count(N_ATTACH_FAILURES, 1);
        session_detach();
    }
    return why;
}

void session_detach(void)
{
    disable_activities();
    if (!subscriber)
        return;
    enable_callbacks(0);
    tagging = 0;
    noted(library.unsubscribe(subscriber));
    subscriber = NULL;
}

int session_is_attached(void)
{
    return subscriber != NULL;
}

void session_flush(void)
{
    if (activities)
        noted(library.flush_all(0));
    pthread_mutex_lock(&decoding);
    decode_flush(decode);
    pthread_mutex_unlock(&decoding);
}

void session_close(int closed)
{
    if (!decode)
        return;
    pthread_mutex_lock(&decoding);
    if (closed)
        ring_close(&decode->ring);
    else
        ring_abandon(&decode->ring);
    pthread_mutex_unlock(&decoding);
}

void session_in_child(void)
{
    tagging = 0;
    forked = subscriber != NULL;
    subscriber = NULL;
    activities = 0;
    pthread_mutex_init(&decoding, NULL);
    pthread_mutex_init(&pooling, NULL);
}

/* -- what the thread asks for */

void session_set_rates(uint32_t raw_every, int by_name)
{
    pthread_mutex_lock(&decoding);
    decode->raw_every = raw_every;
    decode->by_name = by_name;
    pthread_mutex_unlock(&decoding);
}

void session_count(int counter, uint64_t by)
{
    add(&decode->counters[counter], by);
}

void session_on_own_thread(void)
{
    on_own_thread = 1;
}

void session_set_thread_cost(uint64_t ns)
{
    decode->counters[N_FLUSH_NS] = ns;
}

uint64_t session_cost_ns(void)
{
    return value_of(&callback_ns) + value_of(&decode_ns);
}

void session_counters(uint64_t *into)
{
    if (!decode)
        return;
    pthread_mutex_lock(&decoding);
    memcpy(into, decode->counters, sizeof decode->counters);
    pthread_mutex_unlock(&decoding);
    into[N_LAUNCHES] = value_of(&launches);
    into[N_CALLBACK_NS] = value_of(&callback_ns);
    into[N_DECODE_NS] = value_of(&decode_ns);
    into[N_BUFFERS_DECLINED] = value_of(&declined);
}

static void write_frame(uint8_t kind, const void *payload, size_t length)
{
    pthread_mutex_lock(&decoding);
    if (decode && decode->ring.handle >= 0)
        decode_append(decode, kind, payload, length, 0);
    pthread_mutex_unlock(&decoding);
}

void session_write_anchor(void)
{
    int64_t anchor[4] = {0};
    uint64_t before = clock_ns(CLOCK_MONOTONIC);
    uint64_t wall = clock_ns(CLOCK_REALTIME);
    uint64_t after = clock_ns(CLOCK_MONOTONIC);
    anchor[0] = (int64_t)wall;
    anchor[1] = (int64_t)(before + (after - before) / 2);
    anchor[2] = (int64_t)((after - before + 1) / 2);
    if (subscriber) {
        uint64_t stamp = 0, first = clock_ns(CLOCK_REALTIME);
        int code = noted(library.get_timestamp(&stamp));
        uint64_t second = clock_ns(CLOCK_REALTIME);
        if (!code)
            anchor[3] = (int64_t)(stamp - (first + (second - first) / 2));
    }
    write_frame(FRAME_ANCHOR, anchor, sizeof anchor);
}

void session_write_counters(void)
{
    uint64_t counters[COUNTERS];
    session_counters(counters);
    write_frame(FRAME_COUNTERS, counters, sizeof counters);
}

void session_write_state(uint64_t mono_ns, uint32_t state, uint32_t reason)
{
    struct {
        uint64_t mono_ns;
        uint32_t state, reason;
    } frame = {mono_ns, state, reason};
    write_frame(FRAME_STATE, &frame, sizeof frame);
}

void otel_llm_kernels_set_step(uint64_t step)
{
    __atomic_store_n(&current_step, step, __ATOMIC_RELAXED);
    if (step)
        __atomic_store_n(&last_step, step, __ATOMIC_RELAXED);
}

int otel_llm_kernels_identify(const char *json)
{
    size_t length = strlen(json);
    if (!decode || length >= sizeof decode->identity)
        return 0;
    pthread_mutex_lock(&decoding);
    memcpy(decode->identity, json, length + 1);
    if (decode->ring.handle >= 0)
        decode_append(decode, FRAME_IDENTITY, json, length, 0);
    pthread_mutex_unlock(&decoding);
    return 1;
}
