/* The messages of OTLP, as far as rows are made of them: what OTLP/JSON calls their fields.
 *
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and
 * opentelemetry/proto/{trace,logs,metrics,resource,common}/v1
 */
#ifndef OTEL_LLM_SHAPES_H
#define OTEL_LLM_SHAPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    AS_MESSAGE,
    AS_TEXT,
    AS_BASE64,
    AS_HEX,
    AS_BOOL,
    AS_INT,    /* a varint; below zero in ten bytes */
    AS_ZIGZAG, /* a varint of sint32 */
    AS_FIXED32,
    AS_FIXED64,
    AS_DOUBLE
} Encoding;

typedef struct Shape Shape;

typedef struct {
    const char *name;
    uint8_t number;
    Encoding encoding;
    bool repeated;
    const Shape *shape;       /* of a message */
    const char *const *names; /* of an enum: its values from 0 on, NULL at the end */
} Member;

struct Shape {
    const char *name;
    const Member *members;
    size_t count;
};

extern const Shape TRACES_SHAPE, LOGS_SHAPE, METRICS_SHAPE;

#endif
