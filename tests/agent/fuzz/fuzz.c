/* Bytes as a record whose lists are packed, and as calls on seats: beside a plain list of who has
 * one. A broken promise aborts. */
#include "numbers.h"
#include "seats.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 1 << 10 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void pack(const uint8_t *data, size_t size)
{
    uint8_t *to = malloc(packed_most(size) + 1); /* exact but for one, so that a write past is seen */
    for (uint64_t lists = 0; lists < 3; lists++) {
        size_t made = numbers_packed(data, size, lists == 2 ? 0x434 : lists, to);
        check(made <= packed_most(size));
    }
    free(to);
    int64_t *numbers = malloc(size / 8 * 8 + 1);
    memcpy(numbers, data, size / 8 * 8);
    numbers_bits(numbers, size / 8);
    free(numbers);
}

/* Small numbers, great ones, and ones that end in the same bits. */
static int64_t request_of(size_t number)
{
    return number % 3 ? (int64_t)(number << (number % 3 == 1 ? 20 : 53)) : (int64_t)number;
}

static int64_t any(const uint8_t *data)
{
    int64_t number;
    memcpy(&number, data, sizeof number);
    return data[0] & 1 ? number : number & 0xff;
}

static void step(Seats *seats, bool *has, const uint8_t *data)
{
    size_t number = (data[1] | data[2] << 8) % REQUESTS, place = data[3] | data[0] / 8 << 8;
    int64_t request = request_of(number);
    if (data[0] % 8 == 0) {
        check(seats_leave(seats, request) == has[number]);
        has[number] = false;
        return;
    }
    if (data[0] % 8 == 1) {
        check(seats_take(seats, request)->request == request);
        has[number] = true;
    }
    Seat *seat = data[0] & 16 ? seats_get(seats, request) : seats_at(seats, place, request);
    check((seat != NULL) == has[number]);
    if (seat == NULL)
        return;
    check(seat->request == request);
    if (data[0] % 8 < 4)
        seat_included(seat, data[3] & 1, any(data + 4), any(data + 5), any(data + 6));
    seat_emitted(seat, any(data + 7), any(data + 8));
    seat_rejected(seat, any(data + 8));
    seat_discarded(seat, any(data + 4), any(data + 5), any(data + 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool has[REQUESTS] = {false};
    Seats seats;
    pack(data, size);
    check(seats_begin(&seats, size ? data[0] : 0));
    check(seats_get(&seats, ABSENT) == NULL && seats_at(&seats, 0, ABSENT) == NULL);
    /* Half of the inputs begin with a full house, so that the table has grown. */
    for (size_t number = 0; size % 2 && number < REQUESTS; number++)
        has[number] = seats_take(&seats, request_of(number)) != NULL;
    for (; size >= 16; data += 3, size -= 3)
        step(&seats, has, data);
    size_t taken = 0;
    for (size_t number = 0; number < REQUESTS; number++) {
        const Seat *seat = seats_get(&seats, request_of(number));
        check((seat != NULL) == has[number]);
        taken += has[number];
    }
    check(seats_taken(&seats) == taken);
    seats_free(&seats);
    return 0;
}
