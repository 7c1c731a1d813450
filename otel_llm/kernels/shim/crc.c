/* Eight bytes at a time from tables; by carry-less multiplication where the processor has it. */
#include "crc.h"

#include <string.h>

static uint32_t table[8][256];

void crc_init(void)
{
    if (table[0][1])
        return;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
        table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int column = 1; column < 8; column++)
            table[column][byte] =
                table[column - 1][byte] >> 8 ^ table[0][table[column - 1][byte] & 0xff];
}

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t length)
{
    for (; length >= 8; length -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
              table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^
              table[2][word >> 40 & 0xff] ^ table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
    }
    for (; length; length--, at++)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Folding by 4 x 128 bits: Gopal and others, "Fast CRC Computation for Generic Polynomials Using
 * PCLMULQDQ", Intel 2009; constants of the reflected polynomial 0x04c11db7. The last 16 bytes go
 * through the tables: what they hold is congruent to the whole. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t by_folding(uint32_t crc,
                                                                    const uint8_t *at, size_t length)
{
    const __m128i by_four = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_one = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    __m128i lane[4];
    for (int index = 0; index < 4; index++)
        lane[index] = _mm_loadu_si128((const __m128i *)at + index);
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128((int)crc));
    for (at += 64, length -= 64; length >= 64; at += 64, length -= 64)
        for (int index = 0; index < 4; index++) {
            __m128i low = _mm_clmulepi64_si128(lane[index], by_four, 0x00);
            __m128i high = _mm_clmulepi64_si128(lane[index], by_four, 0x11);
            __m128i next = _mm_loadu_si128((const __m128i *)at + index);
            lane[index] = _mm_xor_si128(_mm_xor_si128(low, high), next);
        }
    __m128i all = lane[0];
    for (int index = 1; index < 4; index++) {
        __m128i low = _mm_clmulepi64_si128(all, by_one, 0x00);
        __m128i high = _mm_clmulepi64_si128(all, by_one, 0x11);
        all = _mm_xor_si128(_mm_xor_si128(low, high), lane[index]);
    }
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, all);
    return by_table(by_table(0, rest, 16), at, length);
}
#endif

uint32_t crc_of(uint32_t begun, const void *bytes, size_t length)
{
#if defined(__x86_64__)
    if (length >= 128 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
        return ~by_folding(~begun, bytes, length);
#endif
    return ~by_table(~begun, bytes, length);
}
