/* Settings from the environment, under the names that otel_llm/settings.py declares. */
#ifndef OTEL_LLM_CONFIG_H
#define OTEL_LLM_CONFIG_H

#include "control.h"

typedef struct {
    int off; /* OTEL_LLM_KERNELS=off, or OTEL_LLM_ENABLED is false */
    Orders orders;
    char directory[256];
    int group_readable;
    uint64_t ring_bytes;
    char libcupti[512];
    int any_version;
    uint32_t device_buffers;
} Config;

/* What cannot be read is as if it were not set; Python's reading of the same says what is wrong. */
void config_read(Config *config);

#endif
