/* libcupti, found and opened at run time. */
#ifndef OTEL_LLM_LIBRARY_H
#define OTEL_LLM_LIBRARY_H

#include "cupti_abi.h"

typedef struct {
    void *handle;
    char path[512];
    uint32_t version;
    int (*get_version)(uint32_t *);
    int (*get_timestamp)(uint64_t *);
    int (*subscribe)(void **, Callback, void *);
    int (*unsubscribe)(void *);
    int (*enable_callback)(uint32_t, void *, uint32_t, uint32_t);
    int (*register_callbacks)(BufferRequested, BufferCompleted);
    int (*enable)(uint32_t);
    int (*disable)(uint32_t);
    int (*flush_all)(uint32_t);
    int (*next_record)(uint8_t *, size_t, void **);
    int (*dropped)(void *, uint32_t, size_t *);
    int (*set_attribute)(uint32_t, size_t *, void *);
    int (*struct_size)(uint32_t, uint32_t, size_t *); /* from 13.0; else NULL */
} Library;

/* Open a copy of libcupti: one that the process has already, else `configured`, else what the
 * loader finds. WHY_NONE, WHY_NO_LIBRARY, WHY_MISSING_SYMBOL or WHY_TWO_COPIES. It stays loaded. */
int library_open(Library *library, const char *configured);
/* How many different copies of libcupti the process has. */
int library_copies(void);

#endif
