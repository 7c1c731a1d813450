/* A target for libFuzzer: the first byte chooses the signal and the way in, the rest is the body.
 *
 * Beside what the sanitizers see it holds three promises: what `check` takes can be decoded, the
 * rows are as many as were counted, and they take no more than was said.
 */
#include <stdlib.h>

#include "failure.h"
#include "session.h"
#include "transcode.h"

enum { SIGNALS = 3, FRAME = 128 /* names, types and frames of a column */ };

static const Signal *const signals[SIGNALS] = {&TRACES, &LOGS, &METRICS};
static const Shape *const shapes[SIGNALS] = {&TRACES_SHAPE, &LOGS_SHAPE, &METRICS_SHAPE};

typedef struct {
    Session session;
    Slice body;
} Task;

static void walk(void *with)
{
    Task *task = with;
    session_request(&task->session, task->body);
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

static void decode(const Signal *signal, Slice body)
{
    static Task task; /* too large for a stack */
    Failure failure;
    task.body = body;
    session_begin(&task.session, signal, false);
    bool good = attempt(&failure, walk, &task);
    uint64_t rows = task.session.items - task.session.rejected, expanded = task.session.expanded;
    session_free(&task.session);
    session_begin(&task.session, signal, true);
    hold(attempt(&failure, walk, &task) == good);
    if (good)
        write_tables(&task.session, rows, expanded);
    session_free(&task.session);
}

static void decode_json(unsigned signal, Slice body)
{
    Failure failure;
    Transcoding work = {.json = body, .shape = shapes[signal]};
    if (attempt(&failure, walk_json, &work))
        decode(signals[signal], buffer_all(&work.protobuf));
    transcode_free(&work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    Slice body = {data + 1, data + size};
    unsigned way = data[0] % (2 * SIGNALS);
    if (way < SIGNALS)
        decode(signals[way], body);
    else
        decode_json(way - SIGNALS, body);
    return 0;
}
