/* How far its steps have brought each request: a seat of numbers for each that a step included. */
#ifndef OTEL_LLM_SEATS_H
#define OTEL_LLM_SEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fields of `Progress` in seats.py, in their order. */
enum Number {
    SCHEDULED_NS,
    PHASE,
    CACHED_TOKENS,
    COMPUTED,
    REACHED,
    REDONE,
    RECOMPUTED_TOKENS,
    REJECTED_TOKENS,
    DISCARDED_TOKENS,
    OUTPUT_TOKENS,
    FIRST_TOKEN_NS,
    LAST_TOKEN_NS,
    NUMBERS
};

enum { PREFILL, DECODE }; /* PHASE_PREFILL and PHASE_DECODE */

static const int64_t ABSENT = -1; /* where Python has None, and the request of a seat that is free */

typedef struct {
    int64_t request;
    int64_t numbers[NUMBERS];
} Seat;

typedef struct {
    Seat *seats;
    uint32_t *free;  /* numbers of the seats that are, the next one last */
    uint32_t *slots; /* numbers of seats by their requests' hash; EMPTY_SLOT where there is none */
    uint32_t *tried; /* the seat that was found last at each place of a batch: it is tried first */
    size_t room;     /* seats there are; there are four times as many slots, and as many `tried` */
    size_t free_count;
    uint64_t secret;
} Seats;

/* One step's members, `count` of each: numbers as a journal has them, whatever they are. */
typedef struct {
    const int64_t *request;
    const uint8_t *phase;
    const int64_t *tokens;
    const int64_t *context;
    size_t count;
} Batch;

/* An empty table. False if memory cannot be had; `seats_free` in any case. `secret` should not be
 * known to who chooses the requests' numbers. */
bool seats_begin(Seats *seats, uint64_t secret);
void seats_free(Seats *seats);

/* The seat of a request; NULL if it has none. */
Seat *seats_get(const Seats *seats, int64_t request);

/* The same, of who is at this place of a batch. */
Seat *seats_at(Seats *seats, size_t place, int64_t request);

/* The seat of a request that is no less than 0, a new one if it has none. NULL if memory cannot be
 * had; other seats may move. */
Seat *seats_take(Seats *seats, int64_t request);

/* Lets go of a request's seat; whether it had one. */
bool seats_leave(Seats *seats, int64_t request);

static inline size_t seats_taken(const Seats *seats)
{
    return seats->room - seats->free_count;
}

/* A step included a member: what that means for its seat. Whether it was preempted before and is
 * resumed. */
bool seat_included(Seat *seat, uint8_t phase, int64_t context, int64_t tokens, int64_t schedule_ns);

/* A step's result gave it output tokens; nothing if that is not more than 0. */
void seat_emitted(Seat *seat, int64_t tokens, int64_t result_ns);

/* A step's result rejected so many of its drafts; nothing if that is not more than 0. */
void seat_rejected(Seat *seat, int64_t tokens);

/* A step that included it will never have a result. Its tokens past the prompt are thrown away, but
 * for those that were computed before. */
void seat_discarded(Seat *seat, int64_t context, int64_t tokens, int64_t prompt_tokens);

#endif
