/* A target for libFuzzer: the first byte chooses the signal, the way in and the window of times, the
 * rest is the body.
 *
 * Beside what the sanitizers see it holds four promises: what `check` takes can be decoded, the rows
 * are as many as were counted, they take no more than was said, and the work grows with the request
 * and its rows alone. Work is counted in basic blocks, at which -fsanitize-coverage=trace-pc calls.
 */
#include <stdlib.h>

#include "failure.h"
#include "session.h"
#include "transcode.h"

enum {
    SIGNALS = 3,
    FRAME = 128, /* names, types and frames of a column */
    WINDOWED = 0x80,
    LIMIT = 1 << 12, /* of the protobuf that JSON becomes */
    WORK_BEGIN = 20000, /* sorting by radix has so many, however few the items */
    WORK_BYTE = 20
};

static const Signal *const signals[SIGNALS] = {&TRACES, &LOGS, &METRICS};
static const Shape *const shapes[SIGNALS] = {&TRACES_SHAPE, &LOGS_SHAPE, &METRICS_SHAPE};

typedef struct {
    Session session;
    Slice body;
    Window window;
} Task;

static uint64_t work;

/* In the place of __sanitizer_cov_trace_pc (-Wl,--wrap), which libFuzzer has too. */
#if defined(__clang__)
__attribute__((no_sanitize("coverage")))
#else
__attribute__((no_sanitize_coverage))
#endif
void __wrap___sanitizer_cov_trace_pc(void)
{
    work++;
}

static void walk(void *with)
{
    Task *task = with;
    session_request(&task->session, task->body, task->window);
    session_finish(&task->session);
}

static void walk_json(void *with)
{
    transcode(with);
}

static void hold(bool promise)
{
    if (!promise)
        abort();
}

/* Runs a walk whose rows take so much. */
static bool run(Task *task, uint64_t expanded)
{
    Failure failure;
    work = 0;
    bool good = attempt(&failure, walk, task);
    hold(work <= WORK_BEGIN + WORK_BYTE * slice_size(task->body) + expanded);
    return good;
}

static void write_tables(const Session *session, uint64_t expected, uint64_t expanded)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < session->signal->tables_count; i++) {
        const Table *table = session->tables + i;
        size_t size = table_size(table);
        uint8_t *block = malloc(size);
        table_write(table, block);
        free(block);
        rows += table->rows;
        expanded += FRAME * table->spec->columns_count;
        hold(size <= expanded);
    }
    hold(rows == expected);
}

static void decode(const Signal *signal, Slice body, Window window)
{
    static Task task; /* too large for a stack */
    task.body = body;
    task.window = window;
    session_begin(&task.session, signal, false);
    bool good = run(&task, 0);
    uint64_t rows = task.session.items - task.session.rejected, expanded = task.session.expanded;
    hold(task.session.outside <= task.session.rejected);
    session_free(&task.session);
    session_begin(&task.session, signal, true);
    hold(run(&task, expanded) == good);
    if (good)
        write_tables(&task.session, rows, expanded);
    session_free(&task.session);
}

static void decode_json(unsigned signal, Slice body, Window window)
{
    Failure failure;
    Transcoding made = {.json = body, .shape = shapes[signal], .limit = LIMIT};
    if (attempt(&failure, walk_json, &made)) {
        hold(made.protobuf.size <= LIMIT);
        decode(signals[signal], buffer_all(&made.protobuf), window);
    }
    hold(made.protobuf.size <= LIMIT + slice_size(body) + FRAME);
    transcode_free(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const Window ever = {0, INT64_MAX}, some = {1, (int64_t)1 << 60};
    if (size == 0)
        return 0;
    Slice body = {data + 1, data + size};
    Window window = data[0] & WINDOWED ? some : ever;
    unsigned way = (data[0] & ~WINDOWED) % (2 * SIGNALS);
    if (way < SIGNALS)
        decode(signals[way], body, window);
    else
        decode_json(way - SIGNALS, body, window);
    return 0;
}
