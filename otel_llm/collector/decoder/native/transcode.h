/* OTLP/JSON to the protobuf of the same request. */
#ifndef OTEL_LLM_TRANSCODE_H
#define OTEL_LLM_TRANSCODE_H

#include "buffer.h"
#include "shapes.h"

typedef struct {
    Slice json;
    const Shape *shape;
    Buffer protobuf, scratch;
} Transcoding;

/* Fills `protobuf`. Fails if the text is no JSON, or a member is not of its field's kind. Members
 * that the message does not have are passed over, and so are those that are null. */
void transcode(Transcoding *work);
void transcode_free(Transcoding *work);

#endif
