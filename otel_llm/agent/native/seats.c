#include "seats.h"

#include <stdlib.h>
#include <string.h>

enum { FEWEST = 256, SLOTS_PER_SEAT = 4 };
static const size_t MOST = (size_t)1 << 28;
static const uint32_t EMPTY_SLOT = UINT32_MAX;

/* Numbers of a damaged checkpoint may be anything, so sums wrap as those of arrays do. */
static int64_t plus(int64_t one, int64_t other)
{
    return (int64_t)((uint64_t)one + (uint64_t)other);
}

static int64_t minus(int64_t one, int64_t other)
{
    return (int64_t)((uint64_t)one - (uint64_t)other);
}

static int64_t least(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t most(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

/* -- where they are: open addressing, the next slot where one is taken */

static size_t slot_for(const Seats *seats, int64_t request)
{
    uint64_t hash = (uint64_t)request ^ seats->secret;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd; /* MurmurHash3's last steps */
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
    return (size_t)(hash ^ hash >> 33) & (SLOTS_PER_SEAT * seats->room - 1);
}

static size_t after(const Seats *seats, size_t slot)
{
    return (slot + 1) & (SLOTS_PER_SEAT * seats->room - 1);
}

/* Where a request's seat stands, or would. */
static uint32_t *slot_of(const Seats *seats, int64_t request)
{
    size_t slot = slot_for(seats, request);
    while (seats->slots[slot] != EMPTY_SLOT &&
           seats->seats[seats->slots[slot]].request != request)
        slot = after(seats, slot);
    return seats->slots + slot;
}

/* Empties a slot, and moves up those behind it that would no longer be found. */
static void empty(Seats *seats, size_t hole)
{
    size_t mask = SLOTS_PER_SEAT * seats->room - 1;
    for (size_t slot = after(seats, hole); seats->slots[slot] != EMPTY_SLOT;
         slot = after(seats, slot)) {
        size_t home = slot_for(seats, seats->seats[seats->slots[slot]].request);
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            seats->slots[hole] = seats->slots[slot];
            hole = slot;
        }
    }
    seats->slots[hole] = EMPTY_SLOT;
}

static bool resized(uint32_t **numbers, size_t count)
{
    uint32_t *made = realloc(*numbers, count * sizeof **numbers);
    if (made != NULL)
        *numbers = made;
    return made != NULL;
}

static bool grow(Seats *seats, size_t room)
{
    Seat *moved = room <= MOST ? realloc(seats->seats, room * sizeof *moved) : NULL;
    if (moved == NULL)
        return false;
    seats->seats = moved;
    if (!resized(&seats->free, room) || !resized(&seats->tried, room) ||
        !resized(&seats->slots, SLOTS_PER_SEAT * room))
        return false;
    size_t before = seats->room;
    seats->room = room;
    for (size_t number = room; number-- > before;) {
        seats->seats[number].request = ABSENT;
        seats->free[seats->free_count++] = (uint32_t)number;
        seats->tried[number] = 0;
    }
    memset(seats->slots, 0xff, SLOTS_PER_SEAT * room * sizeof *seats->slots);
    for (size_t number = 0; number < before; number++) /* only a full table grows */
        *slot_of(seats, seats->seats[number].request) = (uint32_t)number;
    return true;
}

bool seats_begin(Seats *seats, uint64_t secret)
{
    *seats = (Seats){.secret = secret};
    return grow(seats, FEWEST);
}

void seats_free(Seats *seats)
{
    free(seats->seats);
    free(seats->free);
    free(seats->slots);
    free(seats->tried);
    *seats = (Seats){0};
}

Seat *seats_get(const Seats *seats, int64_t request)
{
    uint32_t number = *slot_of(seats, request);
    return number == EMPTY_SLOT ? NULL : seats->seats + number;
}

Seat *seats_at(Seats *seats, size_t place, int64_t request)
{
    if (place >= seats->room)
        return seats_get(seats, request);
    Seat *seat = seats->seats + seats->tried[place];
    if (seat->request != request || request < 0) {
        seat = seats_get(seats, request);
        if (seat != NULL)
            seats->tried[place] = (uint32_t)(seat - seats->seats);
    }
    return seat;
}

Seat *seats_take(Seats *seats, int64_t request)
{
    Seat *seat = seats_get(seats, request);
    if (seat != NULL)
        return seat;
    if (seats->free_count == 0 && !grow(seats, 2 * seats->room))
        return NULL;
    uint32_t number = seats->free[--seats->free_count];
    *slot_of(seats, request) = number;
    seat = seats->seats + number;
    *seat = (Seat){.request = request};
    seat->numbers[SCHEDULED_NS] = seat->numbers[PHASE] = ABSENT;
    seat->numbers[FIRST_TOKEN_NS] = seat->numbers[LAST_TOKEN_NS] = ABSENT;
    return seat;
}

bool seats_leave(Seats *seats, int64_t request)
{
    uint32_t *slot = slot_of(seats, request), number = *slot;
    if (number == EMPTY_SLOT)
        return false;
    empty(seats, (size_t)(slot - seats->slots));
    seats->seats[number].request = ABSENT;
    seats->free[seats->free_count++] = number;
    return true;
}

/* -- what a step means for one of them */

/* Whether work was lost: back to prefill, or a prefill that goes on from an earlier token. */
static bool resumes(const Seat *seat, uint8_t phase, int64_t context)
{
    return phase == PREFILL &&
           (seat->numbers[PHASE] == DECODE || context < seat->numbers[COMPUTED]);
}

/* A step goes on from another token than the one before it ended with, or in another phase. */
static bool moved(int64_t *numbers, bool resumed, int64_t context, int64_t end)
{
    int64_t reached = numbers[REACHED];
    if (resumed)
        numbers[REDONE] = reached;
    else if (context > reached) /* what others computed meanwhile spares it work */
        numbers[CACHED_TOKENS] = plus(numbers[CACHED_TOKENS], minus(context, reached));
    if (context < reached) {
        int64_t again = minus(least(end, reached), context);
        numbers[RECOMPUTED_TOKENS] = plus(numbers[RECOMPUTED_TOKENS], again);
    }
    return resumed;
}

bool seat_included(Seat *seat, uint8_t phase, int64_t context, int64_t tokens, int64_t schedule_ns)
{
    int64_t *numbers = seat->numbers, end = plus(context, tokens);
    bool resumed = false;
    if (numbers[SCHEDULED_NS] < 0) {
        numbers[SCHEDULED_NS] = schedule_ns;
        numbers[CACHED_TOKENS] = context;
    } else if (numbers[REACHED] != context || numbers[PHASE] != phase) {
        resumed = moved(numbers, resumes(seat, phase, context), context, end);
    }
    numbers[PHASE] = phase;
    numbers[COMPUTED] = end;
    numbers[REACHED] = most(numbers[REACHED], end);
    return resumed;
}

void seat_emitted(Seat *seat, int64_t tokens, int64_t result_ns)
{
    if (tokens <= 0)
        return;
    int64_t *numbers = seat->numbers;
    numbers[OUTPUT_TOKENS] = plus(numbers[OUTPUT_TOKENS], tokens);
    numbers[LAST_TOKEN_NS] = result_ns;
    if (numbers[FIRST_TOKEN_NS] < 0)
        numbers[FIRST_TOKEN_NS] = result_ns;
}

void seat_rejected(Seat *seat, int64_t tokens)
{
    if (tokens <= 0)
        return;
    int64_t *numbers = seat->numbers;
    numbers[REJECTED_TOKENS] = plus(numbers[REJECTED_TOKENS], tokens);
    numbers[REACHED] = most(minus(numbers[REACHED], tokens), 0);
}

void seat_discarded(Seat *seat, int64_t context, int64_t tokens, int64_t prompt_tokens)
{
    int64_t *numbers = seat->numbers, fresh_from = most(most(context, prompt_tokens), numbers[REDONE]);
    int64_t fresh = most(0, minus(plus(context, tokens), fresh_from));
    numbers[DISCARDED_TOKENS] = plus(numbers[DISCARDED_TOKENS], fresh);
}
