/* Runs the fuzz target over files and over all their beginnings, where there is no libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its own size, so that the sanitizer sees a read past its end. */
static void try(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const uint8_t *data, size_t size)
{
    uint8_t *changed = malloc(size);
    for (size_t cut = 1; cut <= size; cut++)
        try(data, cut);
    for (size_t at = 0; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(changed, data, size);
            changed[at] ^= (uint8_t)(1u << bit);
            try(changed, size);
        }
    }
    free(changed);
}

int main(int count, char **names)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        if (file == NULL)
            return 1;
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        replay(data, size);
    }
    return 0;
}
