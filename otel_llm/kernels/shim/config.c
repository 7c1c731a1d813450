#define _GNU_SOURCE
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *text(const char *name)
{
    char variable[64];
    snprintf(variable, sizeof variable, "OTEL_LLM_%s", name);
    const char *value = getenv(variable);
    return value ? value : "";
}

static double number(const char *name, double otherwise, double least, double most)
{
    const char *value = text(name);
    char *end;
    double read = strtod(value, &end);
    return end == value || *end || !(read >= least && read <= most) ? otherwise : read;
}

static int is_true(const char *value)
{
    return !strcmp(value, "1") || !strcasecmp(value, "true") || !strcasecmp(value, "yes") ||
           !strcasecmp(value, "on");
}

static int is_false(const char *value)
{
    return !strcmp(value, "0") || !strcasecmp(value, "false") || !strcasecmp(value, "no") ||
           !strcasecmp(value, "off");
}

void config_read(Config *config)
{
    memset(config, 0, sizeof *config);
    const char *mode = text("KERNELS");
    config->off = !strcmp(mode, "off") || is_false(text("ENABLED"));
    config->orders.seq = 1;
    config->orders.mode = !strcmp(mode, "on")          ? MODE_ON
                          : !strcmp(mode, "callbacks") ? MODE_CALLBACKS
                                                       : MODE_DORMANT;
    config->orders.raw_every = (uint32_t)number("KERNELS_RAW_EVERY", 1, 0, 1e9);
    config->orders.budget_ppm = (uint32_t)(number("KERNELS_BUDGET", 0.01, 0, 1) * 1e6);
    config->orders.flush_ms = (uint32_t)(number("KERNELS_FLUSH_S", 0.5, 0.05, 10) * 1e3);
    config->ring_bytes = (uint64_t)number("KERNELS_RING_BYTES", 64 << 20, 1 << 20, 1ull << 36);
    config->device_buffers = (uint32_t)number("KERNELS_DEVICE_BUFFERS", 32, 1, 250);
    config->any_version = is_true(text("KERNELS_ANY_CUPTI"));
    config->group_readable = is_true(text("JOURNAL_GROUP_READABLE"));
    snprintf(config->libcupti, sizeof config->libcupti, "%s", text("KERNELS_LIBCUPTI"));
    if (*text("JOURNAL_DIR"))
        snprintf(config->directory, sizeof config->directory, "%s", text("JOURNAL_DIR"));
    else
        snprintf(config->directory, sizeof config->directory, "%s/otel-llm-%d",
                 access("/dev/shm", X_OK) ? "/tmp" : "/dev/shm", (int)getuid());
}
