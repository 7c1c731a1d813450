#define _GNU_SOURCE
#include "control.h"

#include "crc.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 4096, ORDERS_AT = 64, REPORT_AT = 256 };

int orders_are_sane(const Orders *orders)
{
    return orders->mode < MODES && orders->flush_ms >= 50 && orders->flush_ms <= 10000 &&
           orders->budget_ppm <= 1000000;
}

static int write_first(int handle, int mode, const Orders *orders)
{
    uint8_t page[FILE_BYTES] = "OTLLMKCT\1";
    Orders first = *orders;
    first.check = crc_of(0, &first, offsetof(Orders, check));
    memcpy(page + ORDERS_AT, &first, sizeof first);
    return !flock(handle, LOCK_EX | LOCK_NB) && !fchmod(handle, (mode_t)mode) &&
           pwrite(handle, page, sizeof page, 0) == sizeof page;
}

int control_create(int directory, const char *name, int mode, const Orders *orders)
{
    char temporary[128];
    snprintf(temporary, sizeof temporary, ".%s.tmp", name);
    crc_init();
    int handle = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        mode);
    if (handle < 0)
        return -1;
    if (write_first(handle, mode, orders) && !renameat(directory, temporary, directory, name))
        return handle;
    unlinkat(directory, temporary, 0);
    close(handle);
    return -1;
}

int control_poll(int handle, Orders *orders)
{
    Orders found;
    if (pread(handle, &found, sizeof found, ORDERS_AT) != sizeof found)
        return 0;
    if (found.check != crc_of(0, &found, offsetof(Orders, check)))
        return 0;
    if (found.seq <= orders->seq || !orders_are_sane(&found))
        return 0;
    *orders = found;
    return 1;
}

void control_report(int handle, Report *report)
{
    report->check = crc_of(0, report, offsetof(Report, check));
    if (pwrite(handle, report, sizeof *report, REPORT_AT) < 0)
        return; /* its reader sees by the time of the last one that it is old */
}
