/* Data points of metrics, of all five kinds, read and checked. */
#ifndef OTEL_LLM_POINTS_H
#define OTEL_LLM_POINTS_H

#include "session.h"

typedef enum { GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY, POINT_KINDS } PointKind;

/* What a point has beside the lists COUNTS, NEGATIVE_COUNTS, BOUNDS, QUANTILES and
 * QUANTILES_VALUES, its ATTRIBUTES, and its exemplars in EVENTS and EVENTS_ATTRIBUTES. */
typedef struct {
    uint64_t start, time, count, zero_count;
    double value, sum, min, max;
    uint32_t flags;
    int32_t scale, offset, negative_offset;
    bool possible; /* its ids and times, and those of its exemplars, can be such */
    size_t bound;
} Point;

typedef struct {
    uint64_t time;
    double value;
    Slice trace_id, span_id;
    size_t from, count; /* of its attributes in EVENTS_ATTRIBUTES */
} Exemplar;

Point point_read(Scratch *scratch, PointKind kind, Slice message);

#endif
