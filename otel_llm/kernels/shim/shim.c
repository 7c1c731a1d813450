/* The shim's life: its thread, its states, its budget. What CUPTI calls is in session.c. */
#define _GNU_SOURCE
#include "shim.h"

#include "config.h"
#include "folder.h"
#include "session.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, SECOND_MS = 1000, LONGEST_WAIT_MS = 60000, STOPPED_MS = 60000 };
enum { LEVELS = 4, CALM_SECONDS = 10 };

static struct {
    pthread_mutex_t lock; /* of everything here; never taken by what CUPTI calls */
    pthread_cond_t wake;
    pthread_t thread;
    int running, stopping, hooked;
    Config config;
    Orders orders;
    Report report;
    char id[33];
    int directory, control;
    uint64_t flushed_ms, second_ms, retry_ms, wait_ms, cost_ns, thread_ns;
    unsigned calm;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER, .directory = -1, .control = -1};

static uint64_t clock_ns(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t now_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000u;
}

static void say(uint32_t state, uint32_t reason)
{
    if (shim.report.state == state && shim.report.reason == reason)
        return;
    __atomic_store_n(&shim.report.state, state, __ATOMIC_RELAXED);
    shim.report.reason = reason;
    session_write_state(clock_ns(CLOCK_MONOTONIC), state, reason);
}

static void report(void)
{
    shim.report.seen_ns = clock_ns(CLOCK_MONOTONIC);
    shim.report.seq = shim.orders.seq;
    session_counters(shim.report.counters);
    if (shim.control >= 0)
        control_report(shim.control, &shim.report);
}

/* What thinning leaves of the orders. */
static void thin(void)
{
    uint32_t every = shim.orders.raw_every;
    if (shim.report.level == 1)
        every = every > UINT32_MAX / 8 ? 0 : every * 8;
    session_set_rates(shim.report.level >= 2 ? 0 : every, shim.report.level < 3);
}

static int make_ring(void)
{
    char name[64], producer[2048];
    if (shim.report.ring[0])
        return WHY_NONE;
    snprintf(name, sizeof name, "kernels-%s.ring", shim.id);
    producer_json(producer, sizeof producer, shim.id, shim.report.library,
                  shim.report.cupti_version);
    int mode = shim.config.group_readable ? 0640 : 0600;
    if (session_make_ring(shim.directory, name, shim.config.ring_bytes, mode, producer))
        return WHY_NO_SPACE;
    snprintf(shim.report.ring, sizeof shim.report.ring, "%s", name);
    return WHY_NONE;
}

static int try_attach(uint32_t mode)
{
    int why = session_open(shim.config.libcupti, shim.config.any_version, shim.report.library,
                           sizeof shim.report.library, &shim.report.cupti_version);
    if (!why)
        why = make_ring();
    return why ? why : session_attach(mode == MODE_ON, shim.config.device_buffers);
}

/* Try again at once, or after a wait that doubles up to a minute. */
static void wait_longer(int why)
{
    shim.wait_ms = shim.wait_ms ? 2 * shim.wait_ms : SECOND_MS;
    if (shim.wait_ms > LONGEST_WAIT_MS)
        shim.wait_ms = LONGEST_WAIT_MS;
    shim.retry_ms = now_ms() + shim.wait_ms;
    say(why == WHY_BUSY ? STATE_WAITING : STATE_OFF, (uint32_t)why);
}

static void apply(void)
{
    uint32_t mode = shim.report.level >= LEVELS ? MODE_DORMANT : shim.orders.mode;
    thin();
    if (mode == MODE_DORMANT) {
        session_detach();
        if (shim.report.level >= LEVELS)
            say(STATE_STOPPED, WHY_BUDGET);
        else
            say(STATE_DORMANT, shim.orders.seq > 1 ? WHY_ASKED : WHY_NONE);
        return;
    }
    int why = try_attach(mode);
    if (why) {
        wait_longer(why);
        return;
    }
    shim.wait_ms = shim.retry_ms = 0;
    if (mode == MODE_CALLBACKS)
        say(STATE_CALLBACKS, WHY_NONE);
    else
        say(shim.report.level ? STATE_THINNED : STATE_ON, shim.report.level ? WHY_BUDGET : WHY_NONE);
}

/* The same on our own thread. What attaching takes is taken once: it is no cost of recording. */
static void apply_here(void)
{
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    apply();
    shim.thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    shim.cost_ns += shim.thread_ns - began;
}

/* Share of one core that we took in the last second, callbacks included, against the budget. */
static void keep_budget(uint64_t elapsed_ms)
{
    uint64_t cost = session_cost_ns() + shim.thread_ns;
    uint64_t ppm = (cost - shim.cost_ns) / (elapsed_ms ? elapsed_ms : 1);
    uint32_t level = shim.report.level;
    shim.cost_ns = cost;
    shim.report.cost_ppm = ppm > UINT32_MAX ? UINT32_MAX : (uint32_t)ppm;
    if (level >= LEVELS) {
        if (now_ms() >= shim.retry_ms)
            shim.report.level = LEVELS - 1;
    } else if (ppm > shim.orders.budget_ppm) {
        shim.report.level++;
        shim.calm = 0;
    } else {
        shim.calm = ppm < shim.orders.budget_ppm / 2 ? shim.calm + 1 : 0;
        if (level && shim.calm >= CALM_SECONDS) {
            shim.report.level--;
            shim.calm = 0;
        }
    }
    if (level == shim.report.level)
        return;
    session_count(N_BUDGET_CHANGES, 1);
    if (shim.report.level >= LEVELS)
        shim.retry_ms = now_ms() + STOPPED_MS;
    apply_here();
}

static void each_second(uint64_t now)
{
    uint64_t elapsed = now - shim.second_ms;
    shim.second_ms = now;
    shim.report.copies = (uint32_t)library_copies();
    session_write_anchor();
    session_write_counters();
    if (shim.orders.mode != MODE_DORMANT)
        keep_budget(elapsed);
}

static void tick(void)
{
    uint64_t now = now_ms();
    if (control_poll(shim.control, &shim.orders)) {
        shim.report.level = 0;
        shim.wait_ms = shim.retry_ms = 0;
        apply_here();
    } else if (shim.retry_ms && now >= shim.retry_ms && shim.report.level < LEVELS)
        apply_here();
    if (now - shim.flushed_ms >= shim.orders.flush_ms) {
        shim.flushed_ms = now;
        session_flush();
    }
    if (now - shim.second_ms >= SECOND_MS)
        each_second(now);
    shim.thread_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    session_set_thread_cost(shim.thread_ns);
    report();
}

static void *run(void *unused)
{
    (void)unused;
    session_on_own_thread();
    pthread_mutex_lock(&shim.lock);
    while (!shim.stopping) {
        tick();
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&shim.wake, &shim.lock, &until);
    }
    pthread_mutex_unlock(&shim.lock);
    return NULL;
}

static int start_thread(void)
{
    sigset_t all, before;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shim.wake, &attributes);
    sigfillset(&all); /* the host's signals are for the host's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&shim.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!problem)
        pthread_setname_np(shim.thread, "otel-llm-cupti");
    return problem;
}

static void let_go(int closed)
{
    session_close(closed);
    if (shim.control >= 0)
        close(shim.control);
    if (shim.directory >= 0)
        close(shim.directory);
    shim.control = shim.directory = -1;
    shim.running = 0;
    memset(&shim.report, 0, sizeof shim.report);
}

/* The child has none of our threads, and CUDA does not survive a fork: it holds nothing of ours. */
static void in_child(void)
{
    int had_cupti = session_is_attached();
    pthread_mutex_init(&shim.lock, NULL);
    session_in_child();
    let_go(0);
    shim.report.state = STATE_OFF;
    shim.report.reason = had_cupti ? WHY_FORKED : WHY_NONE;
}

static void hook_process(void)
{
    if (shim.hooked)
        return;
    shim.hooked = 1;
    pthread_atfork(NULL, NULL, in_child);
    atexit(otel_llm_kernels_stop);
}

static int begin(void)
{
    char name[64];
    config_read(&shim.config);
    if (shim.config.off)
        return 0;
    memset(&shim.report, 0, sizeof shim.report);
    shim.orders = shim.config.orders;
    shim.directory = folder_open(shim.config.directory, shim.config.group_readable);
    if (shim.directory < 0) {
        shim.report.reason = WHY_NO_SPACE;
        return 0;
    }
    folder_sweep(shim.directory);
    random_id(shim.id);
    snprintf(name, sizeof name, "kernels-%s.control", shim.id);
    int mode = shim.config.group_readable ? 0660 : 0600;
    shim.control = control_create(shim.directory, name, mode, &shim.orders);
    if (shim.control < 0 || !session_prepare())
        return 0;
    shim.flushed_ms = shim.second_ms = now_ms();
    shim.retry_ms = shim.wait_ms = shim.cost_ns = shim.thread_ns = 0;
    shim.stopping = 0;
    hook_process();
    shim.report.copies = (uint32_t)library_copies();
    apply(); /* now, not on the thread: kernels must be instrumented before graphs are captured */
    report();
    return !start_thread();
}

int otel_llm_kernels_start(void)
{
    pthread_mutex_lock(&shim.lock);
    if (!shim.running && shim.report.reason != WHY_FORKED) {
        shim.running = begin();
        if (!shim.running) {
            uint32_t reason = shim.report.reason;
            let_go(0);
            shim.report.reason = reason;
        }
    }
    int state = (int)shim.report.state;
    pthread_mutex_unlock(&shim.lock);
    return state;
}

int InitializeInjection(void)
{
    otel_llm_kernels_start();
    return 1;
}

int otel_llm_kernels_set_mode(uint32_t mode)
{
    pthread_mutex_lock(&shim.lock);
    if (shim.running && mode < MODES) {
        shim.orders.mode = mode;
        shim.report.level = 0;
        shim.wait_ms = shim.retry_ms = 0;
        apply();
        report();
    }
    int state = (int)shim.report.state;
    pthread_mutex_unlock(&shim.lock);
    return state;
}

int otel_llm_kernels_state(void)
{
    return (int)__atomic_load_n(&shim.report.state, __ATOMIC_RELAXED);
}

void otel_llm_kernels_report(Report *into)
{
    pthread_mutex_lock(&shim.lock);
    if (shim.running)
        report();
    *into = shim.report;
    pthread_mutex_unlock(&shim.lock);
}

void otel_llm_kernels_flush(void)
{
    pthread_mutex_lock(&shim.lock);
    if (shim.running)
        session_flush();
    pthread_mutex_unlock(&shim.lock);
}

void otel_llm_kernels_stop(void)
{
    pthread_mutex_lock(&shim.lock);
    if (!shim.running) {
        pthread_mutex_unlock(&shim.lock);
        return;
    }
    shim.stopping = 1;
    pthread_cond_signal(&shim.wake);
    pthread_mutex_unlock(&shim.lock);
    pthread_join(shim.thread, NULL);
    pthread_mutex_lock(&shim.lock);
    session_detach();
    session_flush();
    session_write_counters();
    report();
    let_go(1);
    pthread_mutex_unlock(&shim.lock);
}
