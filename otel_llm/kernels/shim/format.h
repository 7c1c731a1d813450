/* The bytes of a ring's records; records.py says what each means, and a test compares the two. */
#ifndef OTEL_LLM_FORMAT_H
#define OTEL_LLM_FORMAT_H

#include <stdint.h>

enum { FRAME_RAW = 1, FRAME_STEPS, FRAME_NAMES, FRAME_ANCHOR, FRAME_COUNTERS,
       FRAME_STATE, FRAME_IDENTITY };
enum { WORK_KERNEL = 1, WORK_MEMCPY, WORK_MEMSET };
enum { STATE_OFF, STATE_DORMANT, STATE_CALLBACKS, STATE_ON, STATE_WAITING, STATE_THINNED,
       STATE_STOPPED };
enum { WHY_NONE, WHY_NO_LIBRARY, WHY_NO_DRIVER, WHY_NOT_INITIALIZED, WHY_OLD_VERSION,
       WHY_MISSING_SYMBOL, WHY_BUSY, WHY_PERMISSION, WHY_CUPTI_ERROR, WHY_BUDGET, WHY_ASKED,
       WHY_NO_SPACE, WHY_FORKED, WHY_TWO_COPIES };

typedef struct {
    uint64_t start_ns;
    uint32_t duration_ns;
    uint32_t step;
    uint32_t name;
    uint32_t correlation;
    uint16_t stream;
    uint8_t device;
    uint8_t kind;
    uint32_t extra;
} Raw;

typedef struct {
    uint64_t key;
    uint64_t total_ns;
    uint64_t first_ns;
    uint64_t last_ns;
    uint32_t count;
    uint32_t min_ns;
    uint32_t max_ns;
    union {
        struct {
            uint16_t name;
            uint8_t device;
            uint8_t kind;
        };
        uint32_t who; /* all three at once: a load that is wider than its stores waits for them */
    };
} Aggregate;

enum {
    N_RECORDS, N_KERNELS, N_MEMCPYS, N_MEMSETS, N_RAW_WRITTEN, N_RAW_THINNED, N_DROPPED_BY_CUPTI,
    N_ZERO_TIMESTAMPS, N_ABSURD_TIMESTAMPS, N_UNTAGGED, N_FOREIGN, N_TRUNCATED, N_BUFFERS,
    N_BUFFERS_DECLINED, N_NAMES_OVER, N_NAMES_THINNED, N_RING_ERRORS, N_LAUNCHES, N_CALLBACK_NS,
    N_DECODE_NS, N_FLUSH_NS, N_ATTACH_FAILURES, N_CUPTI_ERRORS, N_BUDGET_CHANGES, COUNTERS
};

_Static_assert(sizeof(Raw) == 32, "Raw");
_Static_assert(sizeof(Aggregate) == 48, "Aggregate");

#endif
