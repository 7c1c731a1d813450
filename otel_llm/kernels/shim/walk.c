#include "walk.h"

#include "cupti_abi.h"
#include "format.h"

#include <string.h>

enum { AHEAD = 3072 };

static uint32_t at_most_32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Bytes of a kind that we read; 0 for a kind that we know nothing of. */
static size_t needed(uint32_t kind)
{
    if (kind == KIND_CONCURRENT_KERNEL)
        return sizeof(KernelRecord);
    return kind == KIND_MEMCPY || kind == KIND_MEMSET ? sizeof(TransferRecord) : 0;
}

static size_t size_of(const Walk *how, uint32_t kind)
{
    return kind == KIND_CONCURRENT_KERNEL ? how->kernel
           : kind == KIND_MEMCPY          ? how->memcpy
           : kind == KIND_MEMSET          ? how->memset
                                          : 0;
}

/* Field by field: a copy of the whole record would touch more of it than we want. */
#define READ(into, at, type, name) memcpy(&(into), (at) + offsetof(type, name), sizeof(into))

static inline void read_kernel(const uint8_t *at, Work *work)
{
    uint64_t node;
    READ(work->start, at, KernelRecord, start);
    READ(work->end, at, KernelRecord, end);
    READ(work->name, at, KernelRecord, name);
    READ(work->device, at, KernelRecord, device);
    READ(work->stream, at, KernelRecord, stream);
    READ(work->correlation, at, KernelRecord, correlation);
    READ(node, at, KernelRecord, graph_node);
    work->extra = (uint32_t)node;
    work->kind = WORK_KERNEL;
}

static inline void read_transfer(const uint8_t *at, uint32_t kind, Work *work)
{
    uint64_t bytes;
    READ(work->start, at, TransferRecord, start);
    READ(work->end, at, TransferRecord, end);
    READ(work->device, at, TransferRecord, device);
    READ(work->stream, at, TransferRecord, stream);
    READ(work->correlation, at, TransferRecord, correlation);
    READ(bytes, at, TransferRecord, bytes);
    work->name = NULL;
    work->extra = at_most_32(bytes);
    work->kind = kind == KIND_MEMCPY ? WORK_MEMCPY : WORK_MEMSET;
}

static void deliver(const uint8_t *at, uint32_t kind, Visit visit, void *into)
{
    Work work;
    if (kind == KIND_CONCURRENT_KERNEL)
        read_kernel(at, &work);
    else
        read_transfer(at, kind, &work);
    visit(into, &work);
}

/* By CUPTI's own function, from the buffer's beginning or after `from`. */
static void by_cupti(const Walk *how, uint8_t *buffer, size_t valid, uint8_t *from, Visit visit,
                     void *into, Walked *walked)
{
    void *record = from;
    uint8_t *last = from;
    while (how->next(buffer, valid, &record) == CUPTI_OK && record) {
        uint8_t *at = record;
        if (at < buffer || (last && at <= last) || (size_t)(at - buffer) + 4 > valid) {
            walked->truncated = 1;
            return;
        }
        uint32_t kind;
        memcpy(&kind, at, sizeof kind);
        last = at;
        if (!needed(kind))
            walked->foreign++;
        else if (needed(kind) > valid - (size_t)(at - buffer)) {
            walked->truncated = 1;
            return;
        } else
            deliver(at, kind, visit, into);
    }
}

Walked walk(const Walk *how, uint8_t *buffer, size_t valid, Visit visit, void *into)
{
    Walked walked = {0, 0};
    uint8_t *last = NULL;
    size_t at = 0;
    while (at < valid) {
        uint32_t kind = 0;
        if (valid - at >= sizeof kind)
            memcpy(&kind, buffer + at, sizeof kind);
        size_t size = size_of(how, kind);
        if (size < needed(kind) || !size) { /* its size is not known: ask CUPTI from here on */
            if (how->next)
                by_cupti(how, buffer, valid, last, visit, into, &walked);
            else
                walked.truncated = 1;
            return walked;
        }
        if (size > valid - at) {
            walked.truncated = 1;
            return walked;
        }
        for (int line = 0; line < 4; line++) /* buffers are large and come from another core */
            __builtin_prefetch(buffer + at + AHEAD + 64 * line);
        deliver(buffer + at, kind, visit, into);
        last = buffer + at;
        at += size;
    }
    return walked;
}
