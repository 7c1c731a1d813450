/* Names of kernels as small numbers. */
#ifndef OTEL_LLM_NAMES_H
#define OTEL_LLM_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { MOST_NAMES = 8192, NAME_BYTES = 1024, NAME_ROOM = 4 << 20, POINTERS = 4096 };

typedef struct {
    uint32_t count, generation;
    uint32_t slots[2 * MOST_NAMES]; /* by hash of the text; 0 is free */
    uint64_t hash[MOST_NAMES + 1];
    uint32_t at[MOST_NAMES + 1], length[MOST_NAMES + 1];
    char *text;
    uint32_t used;
    struct {
        const char *pointer;
        uint32_t generation, id;
    } pointers[POINTERS];
} Names;

/* The name's number, from 1; 0 if the tables are full. Text past 1024 bytes is cut. */
uint32_t names_find(Names *names, const char *name);
/* CUPTI may reuse a name's memory when a module is unloaded: look at the text again from now on. */
void names_forget_pointers(Names *names);

#endif
