#define _GNU_SOURCE
#include "ring.h"

#include "crc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PRODUCER_AT = 256, FRAME_BYTES = 16, VERSION = 2, PARTS = 64 };
enum { DROPPED_AT = 64, CLEAN_CLOSE_AT = 80, SLOT_A = 128, SLOT_B = 192 };
static const uint64_t MAX_FRAME = 4 << 20;

static void put(Ring *ring, uint64_t at, const void *bytes, size_t length)
{
    at %= ring->capacity;
    size_t room = ring->capacity - at;
    size_t first = length < room ? length : room;
    memcpy(ring->map + HEADER_BYTES + at, bytes, first);
    memcpy(ring->map + HEADER_BYTES, (const uint8_t *)bytes + first, length - first);
}

/* Into the two slots in turn, so that one is whole whenever we are killed. */
static void store_state(Ring *ring)
{
    uint64_t state[5] = {ring->head, ring->seq, ring->tail, ring->tail_seq,
                         ring->head ^ ring->seq ^ ring->tail_check};
    ring->slot = SLOT_A + SLOT_B - ring->slot;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    volatile uint64_t *slot = (volatile uint64_t *)(ring->map + ring->slot);
    for (int word = 0; word < 5; word++)
        slot[word] = state[word];
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void move_tail(Ring *ring, uint64_t tail, uint64_t tail_seq)
{
    uint64_t words[2] = {tail, tail_seq};
    ring->tail = tail;
    ring->tail_seq = tail_seq;
    ring->tail_check = (uint64_t)crc_of(0, words, sizeof words) << 24;
    store_state(ring);
}

/* Readers are told before anything is overwritten. */
static void make_room(Ring *ring, uint64_t head)
{
    while (head > ring->tail + ring->capacity) {
        unsigned mark = ring->first_mark;
        ring->first_mark = (mark + 1) % MARKS;
        ring->marks--;
        move_tail(ring, ring->mark_at[mark], ring->mark_seq[mark]);
    }
}

int ring_append(Ring *ring, uint8_t kind, const void *payload, size_t length)
{
    uint64_t whole = FRAME_BYTES + length, most = ring->capacity / 4;
    if (ring->handle < 0 || whole > (most < MAX_FRAME ? most : MAX_FRAME))
        return 0;
    uint64_t following = ring->head + ((whole + 7) & ~7ull);
    uint64_t word = ring->seq << 8 | kind;
    make_room(ring, following);
    if (ring->head >= ring->next_mark) {
        unsigned mark = (ring->first_mark + ring->marks++) % MARKS;
        ring->mark_at[mark] = ring->head;
        ring->mark_seq[mark] = ring->seq;
        ring->next_mark = ring->head + ring->capacity / PARTS;
    }
    struct {
        uint32_t check, length;
        uint64_t word;
    } frame = {crc_of((uint32_t)word, payload, length), (uint32_t)whole, word};
    put(ring, ring->head, &frame, sizeof frame);
    put(ring, ring->head + FRAME_BYTES, payload, length);
    ring->head = following;
    ring->place = following % ring->capacity;
    ring->seq++;
    store_state(ring);
    return 1;
}

static void write_header(Ring *ring, const char *producer)
{
    uint32_t length = (uint32_t)strlen(producer), check = crc_of(0, producer, length);
    uint32_t numbers[2] = {VERSION, HEADER_BYTES};
    memcpy(ring->map + PRODUCER_AT, producer, length);
    memcpy(ring->map + 8, numbers, 8);
    memcpy(ring->map + 16, &ring->capacity, 8);
    memcpy(ring->map + 24, &length, 4);
    memcpy(ring->map + 28, &check, 4);
    memcpy(ring->map, "OTLLMKRN", 8);
}

static int prepare(Ring *ring, uint64_t bytes, int mode, const char *producer)
{
    if (strlen(producer) > HEADER_BYTES - PRODUCER_AT)
        return ENAMETOOLONG;
    if (flock(ring->handle, LOCK_EX | LOCK_NB) || fchmod(ring->handle, (mode_t)mode))
        return errno;
    int problem = posix_fallocate(ring->handle, 0, (off_t)bytes);
    if (problem)
        return problem;
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->handle, 0);
    if (map == MAP_FAILED)
        return errno;
    ring->map = map;
    ring->capacity = bytes - HEADER_BYTES;
    ring->seq = 1;
    ring->slot = SLOT_A;
    ring->next_mark = ring->capacity / PARTS;
    move_tail(ring, 0, 1);
    write_header(ring, producer);
    return 0;
}

int ring_create(Ring *ring, int directory, const char *name, uint64_t bytes, int mode,
                const char *producer)
{
    char temporary[128];
    crc_init();
    memset(ring, 0, sizeof *ring);
    snprintf(temporary, sizeof temporary, ".%s.tmp", name);
    ring->handle = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          mode);
    if (ring->handle < 0)
        return errno;
    int problem = prepare(ring, bytes & ~4095ull, mode, producer);
    if (!problem && renameat(directory, temporary, directory, name))
        problem = errno;
    if (problem) {
        unlinkat(directory, temporary, 0);
        ring_abandon(ring);
    }
    return problem;
}

void ring_count_dropped(Ring *ring, uint64_t dropped)
{
    if (ring->handle >= 0)
        memcpy(ring->map + DROPPED_AT, &dropped, sizeof dropped);
}

void ring_close(Ring *ring)
{
    uint64_t closed = 1;
    if (ring->handle >= 0)
        memcpy(ring->map + CLEAN_CLOSE_AT, &closed, sizeof closed);
    ring_abandon(ring);
}

void ring_abandon(Ring *ring)
{
    if (ring->map)
        munmap(ring->map, ring->capacity + HEADER_BYTES);
    if (ring->handle >= 0)
        close(ring->handle);
    ring->map = NULL;
    ring->handle = -1;
}
