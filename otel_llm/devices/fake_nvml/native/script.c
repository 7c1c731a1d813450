/* The script: lines `TIME DEVICE KEY VALUE`, seconds first; `#` begins a comment. A key's value holds
 * until the next line of the same key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

struct script script;

#define X(name) #name,
static const char *const KEY_NAMES[] = {KEYS(X)};
static const char *const DRIVER_NAMES[] = {DRIVER_KEYS(X)};
static const char *const CALL_NAMES[] = {CALLS(X)};
#undef X

static int position(const char *const *names, int count, const char *name)
{
    for (int at = 0; at < count; at++)
        if (strcmp(names[at], name) == 0)
            return at;
    return -1;
}

static struct track *call_track(struct track *fail, struct track *slow, const char *key)
{
    int call = strncmp(key, "fail.", 5) && strncmp(key, "slow.", 5)
                   ? -1 : position(CALL_NAMES, CALL_COUNT, key + 5);
    return call < 0 ? NULL : (key[0] == 'f' ? fail : slow) + call;
}

static struct track *track_of(const char *where, const char *key)
{
    if (strcmp(where, "-") == 0) {
        int driver = position(DRIVER_NAMES, DRIVER_KEY_COUNT, key);
        return driver < 0 ? call_track(script.fail, script.slow, key) : script.driver + driver;
    }
    int number = atoi(where);
    if (number < 0 || number >= MAX_DEVICES)
        return NULL;
    if (number >= script.device_count)
        script.device_count = number + 1;
    struct device *device = script.devices + number;
    if (strncmp(key, "fail.field.", 11) == 0) {
        int field = atoi(key + 11);
        return field < 0 || field >= 512 ? NULL : device->field_fail + field;
    }
    int found = position(KEY_NAMES, KEY_COUNT, key);
    return found < 0 ? call_track(device->fail, device->slow, key) : device->tracks + found;
}

static bool add(struct track *track, double time_s, const char *value)
{
    if (track->count == track->room) {
        int room = track->room ? 2 * track->room : 4;
        struct point *points = realloc(track->points, (size_t)room * sizeof *points);
        if (points == NULL)
            return false;
        track->points = points;
        track->room = room;
    }
    struct point *last = track->count ? track->points + track->count - 1 : NULL;
    if (last != NULL && time_s < last->time_s)
        return false;
    double before = last ? last->area + last->value * (time_s - last->time_s) : 0.0;
    track->points[track->count++] =
        (struct point){time_s, strtod(value, NULL), before, strdup(value)};
    return true;
}

static void clear(struct track *tracks, size_t count)
{
    for (size_t each = 0; each < count; each++) {
        for (int point = 0; point < tracks[each].count; point++)
            free(tracks[each].points[point].text);
        free(tracks[each].points);
    }
}

bool script_load(void)
{
    /* The whole script is tracks, and a count at its end. */
    clear((struct track *)&script, sizeof script / sizeof(struct track));
    memset(&script, 0, sizeof script);
    const char *path = getenv("FAKE_NVML_SCRIPT");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file == NULL)
        return false;
    char line[1024], where[16], key[64], value[800];
    double time_s;
    int number = 0;
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        number++;
        char *hash = strchr(line, '#');
        if (hash)
            *hash = 0;
        int found = sscanf(line, "%lf %15s %63s %799[^\n]", &time_s, where, key, value);
        if (found <= 0)
            continue;
        struct track *track = found == 4 ? track_of(where, key) : NULL;
        good = track != NULL && add(track, time_s, value);
    }
    if (!good)
        fprintf(stderr, "fake nvml: %s, line %d: not TIME DEVICE KEY VALUE in order of time, or no "
                "such key\n", path, number);
    fclose(file);
    return good;
}

double now_s(void)
{
    static const volatile int64_t *clock_ns;
    static char opened[512];
    const char *path = getenv("FAKE_NVML_CLOCK");
    if (path != NULL && strcmp(path, opened) != 0) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            void *map = mmap(NULL, sizeof *clock_ns, PROT_READ, MAP_SHARED, file, 0);
            clock_ns = map == MAP_FAILED ? NULL : map;
            close(file);
            snprintf(opened, sizeof opened, "%s", path);
        }
    }
    if (path != NULL && clock_ns != NULL)
        return (double)*clock_ns / 1e9;
    static double began;
    struct timespec read;
    clock_gettime(CLOCK_MONOTONIC, &read);
    double seconds = (double)read.tv_sec + (double)read.tv_nsec / 1e9;
    if (began == 0.0)
        began = seconds;
    return seconds - began;
}

const struct point *at(const struct track *track, double time_s)
{
    int low = 0, high = track->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (track->points[middle].time_s <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? track->points + low - 1 : NULL;
}

int happened(const struct track *track, double time_s)
{
    int count = 0;
    for (int each = 0; each < track->count && track->points[each].time_s <= time_s; each++)
        count += track->points[each].value != 0.0;
    return count;
}

double area(const struct track *track, double time_s)
{
    const struct point *point = at(track, time_s);
    return point ? point->area + point->value * (time_s - point->time_s) : 0.0;
}

void pause_us(double microseconds)
{
    if (microseconds > 0) {
        long nanoseconds = (long)(microseconds * 1e3);
        nanosleep(&(struct timespec){nanoseconds / 1000000000L, nanoseconds % 1000000000L}, NULL);
    }
}
