/* Each file as it is, cut at every eighth byte, and with each of its first 600 bytes' bits flipped. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **paths)
{
    static uint8_t bytes[1 << 16];
    for (int index = 1; index < count; index++) {
        FILE *file = fopen(paths[index], "rb");
        size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
        if (!size)
            return 1;
        fclose(file);
        for (size_t cut = 0; cut <= size; cut += 8)
            LLVMFuzzerTestOneInput(bytes, cut);
        for (size_t at = 0; at < size && at < 600; at++)
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                LLVMFuzzerTestOneInput(bytes, size);
                bytes[at] ^= (uint8_t)(1 << bit);
            }
    }
    return 0;
}
