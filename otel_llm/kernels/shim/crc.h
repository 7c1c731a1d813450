/* CRC-32 as zlib has it. */
#ifndef OTEL_LLM_CRC_H
#define OTEL_LLM_CRC_H

#include <stddef.h>
#include <stdint.h>

void crc_init(void);
uint32_t crc_of(uint32_t begun, const void *bytes, size_t length);

#endif
