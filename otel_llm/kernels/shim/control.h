/* The file by which an agent tells a shim what to do and reads how it fares. control.py mirrors it.
 *
 *     0    magic, version u32
 *     64   Orders, written by the agent
 *     256  Report, written by the shim
 *
 * Both are read and written with pread and pwrite, never through a mapping: whoever cuts the file
 * off cannot kill an engine with SIGBUS. What is not whole and true is as if it were not there.
 */
#ifndef OTEL_LLM_CONTROL_H
#define OTEL_LLM_CONTROL_H

#include "format.h"

enum { MODE_DORMANT, MODE_CALLBACKS, MODE_ON, MODES };

typedef struct {
    uint64_t seq; /* grows with every change */
    uint32_t mode;
    uint32_t raw_every;  /* raw rows of steps whose number this divides; 0: none */
    uint32_t budget_ppm; /* most share of time, in millionths */
    uint32_t flush_ms;
    uint32_t unused;
    uint32_t check; /* CRC-32 of the bytes before it */
} Orders;

typedef struct {
    uint64_t seen_ns; /* CLOCK_MONOTONIC of this report */
    uint64_t seq;     /* of the orders that hold */
    uint32_t state, reason;
    uint32_t cupti_version;
    uint32_t level; /* of thinning: 0 to 4 */
    uint32_t copies, cost_ppm;
    uint64_t counters[COUNTERS];
    char library[512];
    char ring[64];
    uint32_t unused;
    uint32_t check;
} Report;

/* Make the file, locked, with the first orders. A handle, or -1. */
int control_create(int directory, const char *name, int mode, const Orders *orders);
/* Whether there are whole orders that are newer than `orders`; then they are in it. */
int control_poll(int handle, Orders *orders);
void control_report(int handle, Report *report);
/* Bounds of what anybody may ask for. */
int orders_are_sane(const Orders *orders);

#endif
