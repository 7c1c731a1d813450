#include "decode.h"

#include <string.h>

static const uint64_t SECOND = 1000000000;
static const uint64_t LONGEST = 600 * SECOND, PAST = 3600 * SECOND, AHEAD = 60 * SECOND;
enum { FRAME_ROWS = 2048, NAMES_FRAME = 64 << 10 };

uint64_t tags[TAGS];

static uint32_t at_most_32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void append(Decode *decode, uint8_t kind, const void *payload, size_t length, uint64_t rows)
{
    if (!ring_append(&decode->ring, kind, payload, length)) {
        decode->counters[N_RING_ERRORS] += rows;
        ring_count_dropped(&decode->ring, decode->counters[N_RING_ERRORS]);
    }
}

/* Names from number `from` on. */
static void write_names(Decode *decode, uint32_t from)
{
    static uint8_t frame[NAMES_FRAME + NAME_BYTES + 16];
    size_t used = 0;
    for (uint32_t id = from; id <= decode->names.count; id++) {
        uint32_t head[2] = {id, decode->names.length[id]};
        memset(frame + used, 0, 16 + head[1]);
        memcpy(frame + used, head, 8);
        memcpy(frame + used + 8, decode->names.text + decode->names.at[id], head[1]);
        used += (8 + head[1] + 7) & ~7u;
        if (used >= NAMES_FRAME || id == decode->names.count) {
            append(decode, FRAME_NAMES, frame, used, 0);
            used = 0;
        }
    }
    decode->names_written = decode->names.count;
}

/* A ring forgets: say names and identity again before it could have lost them. */
static void repeat(Decode *decode)
{
    if (decode->ring.head - decode->repeated_at < decode->ring.capacity / 4)
        return;
    decode->repeated_at = decode->ring.head;
    if (decode->identity[0])
        append(decode, FRAME_IDENTITY, decode->identity, strlen(decode->identity), 0);
    write_names(decode, 1);
}

void decode_append(Decode *decode, uint8_t kind, const void *payload, size_t length, uint64_t rows)
{
    repeat(decode);
    if (decode->names_written < decode->names.count)
        write_names(decode, decode->names_written + 1);
    append(decode, kind, payload, length, rows);
}

static void write_steps(Decode *decode)
{
    Sums *sums = &decode->steps;
    for (uint32_t at = 0; at < sums->count; at += FRAME_ROWS) {
        uint32_t rows = sums->count - at < FRAME_ROWS ? sums->count - at : FRAME_ROWS;
        decode_append(decode, FRAME_STEPS, sums->rows + at, rows * sizeof(Aggregate), rows);
    }
    sums_empty(sums);
}

static void write_raw(Decode *decode)
{
    uint32_t rows = decode->staged_count;
    if (rows)
        decode_append(decode, FRAME_RAW, decode->staged, rows * sizeof(Raw), rows);
    decode->staged_count = 0;
}

/* The whole number of a step of which a launch's tag keeps 32 bits: never one of the future. */
static uint64_t whole_step(uint64_t now, uint32_t low)
{
    if (!low)
        return 0;
    uint64_t step = (now & ~(uint64_t)UINT32_MAX) | low;
    return step > now && step > UINT32_MAX ? step - UINT32_MAX - 1 : step;
}

static uint64_t step_of(Decode *decode, const Work *work)
{
    uint64_t entry = __atomic_load_n(&tags[work->correlation & (TAGS - 1)], __ATOMIC_RELAXED);
    if (entry >> 32 == work->correlation && work->correlation)
        return whole_step(decode->step_now, (uint32_t)entry);
    decode->counters[N_UNTAGGED]++;
    return 0;
}

static uint32_t name_of(Decode *decode, const Work *work)
{
    if (!work->name)
        return 0;
    if (!decode->by_name) {
        decode->counters[N_NAMES_THINNED]++;
        return 0;
    }
    uint32_t id = names_find(&decode->names, work->name);
    decode->counters[N_NAMES_OVER] += id == 0;
    return id;
}

static int has_true_times(Decode *decode, const Work *work)
{
    if (!work->start || work->end < work->start) {
        decode->counters[N_ZERO_TIMESTAMPS]++;
        return 0;
    }
    if (work->end - work->start > LONGEST || work->start > decode->now + AHEAD ||
        work->start + PAST < decode->now) {
        decode->counters[N_ABSURD_TIMESTAMPS]++;
        return 0;
    }
    return 1;
}

/* Whether single kernels of a step are kept: asked once for each run of them, not by division. */
static int is_raw(Decode *decode, uint64_t step)
{
    if (step != decode->raw_step) {
        decode->raw_step = step;
        decode->raw_kept = decode->raw_every && step % decode->raw_every == 0;
    }
    return decode->raw_kept;
}

static void stage(Decode *decode, const Work *work, const Aggregate *row, uint32_t took)
{
    if (!is_raw(decode, row->key)) {
        decode->counters[N_RAW_THINNED]++;
        return;
    }
    decode->staged[decode->staged_count++] = (Raw){
        .start_ns = work->start, .duration_ns = took, .step = (uint32_t)row->key,
        .name = row->name, .correlation = work->correlation,
        .stream = work->stream > UINT16_MAX ? UINT16_MAX : (uint16_t)work->stream,
        .device = row->device, .kind = work->kind, .extra = work->extra};
    decode->counters[N_RAW_WRITTEN]++;
    if (!(decode->staged_count & 1)) /* two rows are a line */
        ring_expect(&decode->ring, decode->staged_count * sizeof(Raw));
    if (decode->staged_count == STAGED)
        write_raw(decode);
}

static Aggregate *row_of(Decode *decode, const Work *work)
{
    uint32_t device = work->device > UINT8_MAX ? UINT8_MAX : work->device;
    uint32_t who = name_of(decode, work) | device << 16 | (uint32_t)work->kind << 24;
    uint64_t step = step_of(decode, work);
    Aggregate *row = sums_row_of(&decode->steps, step, who);
    if (row)
        return row;
    write_steps(decode);
    return sums_row(&decode->steps, step, who);
}

static void visit(void *into, const Work *work)
{
    Decode *decode = into;
    if (!has_true_times(decode, work))
        return;
    uint32_t took = at_most_32(work->end - work->start);
    Aggregate *row = row_of(decode, work);
    sums_add(row, work->start, work->end, took);
    decode->counters[N_RECORDS]++;
    decode->counters[N_KERNELS + work->kind - WORK_KERNEL]++;
    stage(decode, work, row, took);
}

void decode_buffer(Decode *decode, const Walk *how, uint8_t *buffer, size_t valid, uint64_t now,
                   uint64_t step_now)
{
    decode->now = now;
    decode->step_now = step_now;
    decode->raw_step = 0; /* the rate may be another one now */
    decode->raw_kept = decode->raw_every != 0;
    Walked walked = walk(how, buffer, valid, visit, decode);
    decode->counters[N_BUFFERS]++;
    decode->counters[N_FOREIGN] += walked.foreign;
    decode->counters[N_TRUNCATED] += (uint64_t)walked.truncated;
}

void decode_flush(Decode *decode)
{
    write_raw(decode);
    write_steps(decode);
    names_forget_pointers(&decode->names);
}
