#define _GNU_SOURCE
#include "library.h"

#include "format.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int count;
    char first[512];
    char wanted[512]; /* where the configured copy is among those that are loaded */
    const char *configured;
} Copies;

static int look(struct dl_phdr_info *info, size_t size, void *into)
{
    (void)size;
    Copies *copies = into;
    const char *name = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    if (!name || strncmp(name, "/libcupti.so", 12))
        return 0;
    if (!copies->count++)
        snprintf(copies->first, sizeof copies->first, "%s", info->dlpi_name);
    if (copies->configured && !strcmp(copies->configured, info->dlpi_name))
        snprintf(copies->wanted, sizeof copies->wanted, "%s", info->dlpi_name);
    return 0;
}

int library_copies(void)
{
    Copies copies = {0};
    dl_iterate_phdr(look, &copies);
    return copies.count;
}

static void *open_one(const char *configured, int *why)
{
    Copies copies = {.configured = configured};
    dl_iterate_phdr(look, &copies);
    *why = copies.count > 1 && !copies.wanted[0] ? WHY_TWO_COPIES : WHY_NO_LIBRARY;
    if (copies.count)
        return copies.count > 1 && !copies.wanted[0]
                   ? NULL
                   : dlopen(copies.wanted[0] ? copies.wanted : copies.first, RTLD_NOW | RTLD_NOLOAD);
    void *handle = configured ? dlopen(configured, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!handle)
        handle = dlopen("libcupti.so.13", RTLD_NOW | RTLD_LOCAL);
    return handle ? handle : dlopen("libcupti.so.12", RTLD_NOW | RTLD_LOCAL);
}

static int resolve(Library *library)
{
    const struct {
        void *into;
        const char *name;
        int optional;
    } wanted[] = {
        {&library->get_version, "cuptiGetVersion", 0},
        {&library->get_timestamp, "cuptiGetTimestamp", 0},
        {&library->subscribe, "cuptiSubscribe", 0},
        {&library->unsubscribe, "cuptiUnsubscribe", 0},
        {&library->enable_callback, "cuptiEnableCallback", 0},
        {&library->register_callbacks, "cuptiActivityRegisterCallbacks", 0},
        {&library->enable, "cuptiActivityEnable", 0},
        {&library->disable, "cuptiActivityDisable", 0},
        {&library->flush_all, "cuptiActivityFlushAll", 0},
        {&library->next_record, "cuptiActivityGetNextRecord", 0},
        {&library->dropped, "cuptiActivityGetNumDroppedRecords", 0},
        {&library->set_attribute, "cuptiActivitySetAttribute", 0},
        {&library->struct_size, "cuptiActivityGetStructSize", 1},
    };
    for (size_t index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        void *symbol = dlsym(library->handle, wanted[index].name);
        if (!symbol && !wanted[index].optional)
            return WHY_MISSING_SYMBOL;
        memcpy(wanted[index].into, &symbol, sizeof symbol);
    }
    return WHY_NONE;
}

int library_open(Library *library, const char *configured)
{
    if (library->handle)
        return WHY_NONE;
    char *real = configured && *configured ? realpath(configured, NULL) : NULL;
    int why;
    void *handle = open_one(real, &why);
    free(real);
    if (!handle)
        return why;
    library->handle = handle;
    struct link_map *map = NULL;
    if (!dlinfo(handle, RTLD_DI_LINKMAP, &map) && map)
        snprintf(library->path, sizeof library->path, "%s", map->l_name);
    why = resolve(library);
    if (why) { /* another may be configured by the next time */
        dlclose(handle);
        library->handle = NULL;
    }
    return why;
}
