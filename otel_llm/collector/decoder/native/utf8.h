#ifndef OTEL_LLM_UTF8_H
#define OTEL_LLM_UTF8_H

#include "slice.h"

/* Bytes of the first character; 0 if it is no UTF-8. Surrogates and overlong forms are none. */
static inline size_t utf8_size(Slice text)
{
    size_t left = slice_size(text);
    uint8_t lead = left ? text.at[0] : 0xff;
    if (lead < 0x80)
        return 1;
    size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((text.at[i] & 0xc0) != 0x80)
            return 0;
    }
    uint8_t second = text.at[1];
    bool odd = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
               (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
    return odd ? 0 : size;
}

#endif
