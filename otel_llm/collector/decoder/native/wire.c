#include "wire.h"

uint64_t wire_long_varint(Slice *rest, const char *where)
{
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (rest->at == rest->end)
            fail(where, "it ends within a number");
        uint8_t byte = *rest->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
    fail(where, "a number is longer than 64 bits");
}
