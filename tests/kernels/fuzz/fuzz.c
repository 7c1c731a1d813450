/* A completed buffer with anything in it: 32 bits of choices, then the buffer's bytes.
 *
 * Names are pointers in CUPTI's records; here they are made to point at a text, or be NULL. */
#include "cupti_abi.h"
#include "decode.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"", "gemm", "void at::native::elementwise_kernel", NULL};

static size_t size_of(uint32_t kind)
{
    return kind == 10 ? 248 : kind == 1 ? 112 : kind == 2 ? 104 : kind == 51 ? 56 : 0;
}

/* As CUPTI's: it may also say wrong things, by the choice `wild`. */
static int wild;
static int next(uint8_t *from, size_t valid, void **record)
{
    uint8_t *at = *record;
    uint32_t kind = 0;
    if (at)
        memcpy(&kind, at, 4);
    size_t offset = at ? (size_t)(at - from) + size_of(kind) : 0;
    if (wild && at)
        offset = (offset * 2654435761u) % (valid + 64);
    if (!wild && offset + 4 > valid)
        return 12;
    *record = from + offset;
    return 0;
}

static void tame_names(uint8_t *buffer, size_t valid)
{
    for (size_t at = 0; at + sizeof(KernelRecord) <= valid; at += 8) {
        uint32_t kind;
        memcpy(&kind, buffer + at, 4);
        if (kind == KIND_CONCURRENT_KERNEL) {
            const char *name = names[buffer[at + 8] % 4];
            memcpy(buffer + at + offsetof(KernelRecord, name), &name, sizeof name);
        }
    }
}

/* Names that the walk meets at odd places would be wild pointers: look no further than that. */
static void visit(void *into, const Work *work)
{
    uint64_t *seen = into;
    *seen += work->start + work->end + work->kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Decode *decode;
    if (!decode) {
        decode = calloc(1, sizeof *decode);
        decode->ring.handle = -1;
        decode->by_name = 1;
        decode->raw_every = 1;
    }
    if (size < 4)
        return 0;
    Walk how = {.next = data[0] & 1 ? next : NULL};
    if (data[0] & 2)
        how.kernel = 248, how.memcpy = 112, how.memset = 104;
    if (data[0] & 4)
        how.kernel = data[1];
    wild = data[0] >> 3 & 1;
    uint8_t *buffer = malloc(size - 4 ? size - 4 : 1); /* exact, so that a read past it is seen */
    memcpy(buffer, data + 4, size - 4);
    uint64_t seen = 0;
    Walked walked = walk(&how, buffer, size - 4, visit, &seen);
    if (!wild && how.kernel == 248) {
        tame_names(buffer, size - 4);
        decode_buffer(decode, &how, buffer, size - 4, 1000000000ull * data[2], data[3]);
        decode_flush(decode);
    }
    free(buffer);
    return walked.truncated > 1; /* never */
}
