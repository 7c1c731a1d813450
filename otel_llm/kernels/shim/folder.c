#define _GNU_SOURCE
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int is_private(const struct stat *status)
{
    return S_ISDIR(status->st_mode) && status->st_uid == geteuid() && !(status->st_mode & 022);
}

int folder_open(const char *path, int group_readable)
{
    if (!mkdir(path, 0700)) {
        if (group_readable && chmod(path, 0750))
            return -1;
    } else if (errno != EEXIST)
        return -1;
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (directory >= 0 && (fstat(directory, &status) || !is_private(&status))) {
        close(directory);
        return -1;
    }
    return directory;
}

static int is_locked(int handle)
{
    if (flock(handle, LOCK_SH | LOCK_NB))
        return 1;
    flock(handle, LOCK_UN);
    return 0;
}

/* When a dead file of ours was last written; 0 for what is alive, young, or somebody else's. */
static time_t dead_since(int directory, const char *name)
{
    struct stat status;
    int handle = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (handle < 0)
        return 0;
    int dead = !fstat(handle, &status) && S_ISREG(status.st_mode) &&
               status.st_uid == geteuid() && !is_locked(handle);
    close(handle);
    return dead ? status.st_mtime : 0;
}

static int ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && !strcmp(name + length - tail, end);
}

/* Remove dead files written before `before`; the youngest time among dead rings. */
static time_t pass(int directory, time_t before)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    time_t youngest = 0;
    for (struct dirent *each; listing && (each = readdir(listing));) {
        const char *name = each->d_name;
        int unfinished = !strncmp(name, ".kernels-", 9) && ends_with(name, ".tmp");
        int ring = !strncmp(name, "kernels-", 8) && ends_with(name, ".ring");
        int control = !strncmp(name, "kernels-", 8) && ends_with(name, ".control");
        time_t since = ring || control || unfinished ? dead_since(directory, name) : 0;
        if (ring && since > youngest)
            youngest = since;
        if (since && since < (unfinished && before ? time(NULL) - 60 : before))
            unlinkat(directory, name, 0);
    }
    if (listing)
        closedir(listing);
    return youngest;
}

void folder_sweep(int directory)
{
    if (!is_locked(directory))
        pass(directory, pass(directory, 0));
}

void random_id(char id[33])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        memcpy(bytes, &now, sizeof bytes);
    }
    for (int index = 0; index < 16; index++)
        snprintf(id + 2 * index, 3, "%02x", bytes[index]);
}

static void escape(char *into, size_t room, const char *text)
{
    size_t used = 0;
    for (; *text && used + 7 < room; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x7f)
            used += (size_t)snprintf(into + used, room - used, "\\u%04x", byte);
        else
            into[used++] = (char)byte;
    }
    into[used] = 0;
}

void producer_json(char *into, unsigned long room, const char *id, const char *library,
                   uint32_t version)
{
    char boot[64] = "", host[256] = "", path[1024], name[512];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (!fgets(boot, sizeof boot, file))
            boot[0] = 0;
        fclose(file);
    }
    boot[strcspn(boot, "\n")] = 0;
    struct stat status = {0};
    unsigned long space = stat("/proc/self/ns/time", &status) ? 0 : (unsigned long)status.st_ino;
    gethostname(host, sizeof host - 1);
    escape(path, sizeof path, library);
    escape(name, sizeof name, host);
    snprintf(into, room,
             "{\"instance_id\":\"%s\",\"boot_id\":\"%s\",\"time_namespace\":%lu,\"host\":\"%s\","
             "\"library\":\"%s\",\"cupti_version\":%u}",
             id, boot, space, name, path, version);
}
