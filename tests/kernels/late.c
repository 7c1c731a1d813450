/*
 * Preloaded, it makes the second clock reading of a launch callback late: the thread sleeps before it,
 * as one that lost the CPU, or works, as in a callback that is slow.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LATE_MS = 50 };
static __thread int until_late, works;

static uint64_t ran_ns(void)
{
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void be_late(void)
{
    uint64_t until = ran_ns() + LATE_MS * 1000000u;
    if (!works)
        usleep(LATE_MS * 1000);
    while (works && ran_ns() < until)
        ;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    if (which == CLOCK_MONOTONIC && until_late && !--until_late)
        be_late();
    return (int)syscall(SYS_clock_gettime, which, now);
}

/* So many launches, each late if its callback is timed. */
void launch_late(uint32_t (*launch)(uint32_t, uint32_t, uint32_t, int), int launches, int work)
{
    works = work;
    for (int made = 0; made < launches; made++) {
        until_late = 2;
        launch(2, 211, 0, 0);
    }
    until_late = 0;
}
