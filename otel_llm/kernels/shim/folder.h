/* The private directory of journals, as otel_llm/journal/directory.py makes and checks it. */
#ifndef OTEL_LLM_FOLDER_H
#define OTEL_LLM_FOLDER_H

#include <stdint.h>

/* Open the directory, made if need be; -1 if it is a symlink, not ours, or others may write to it. */
int folder_open(const char *path, int group_readable);
/* Remove what dead shims left, but for the newest ring of all, unless an agent runs: it does so. */
void folder_sweep(int directory);
/* 32 random hexadecimal digits and a zero. */
void random_id(char id[33]);
/* JSON text of who writes. */
void producer_json(char *into, unsigned long room, const char *id, const char *library,
                   uint32_t version);

#endif
