/* OTLP/JSON to the protobuf of the same request. */
#ifndef OTEL_LLM_TRANSCODE_H
#define OTEL_LLM_TRANSCODE_H

#include "buffer.h"
#include "shapes.h"

typedef struct {
    Slice json;
    const Shape *shape;
    size_t limit; /* of the protobuf, in bytes */
    Buffer protobuf, scratch;
} Transcoding;

/* Fills `protobuf`. Fails if the text is no JSON, a member is not of its field's kind, or it takes
 * more than the limit. Until it fails it takes at most one value more. Members
 * that the message does not have are passed over, and so are those that are null. */
void transcode(Transcoding *work);
void transcode_free(Transcoding *work);

#endif
