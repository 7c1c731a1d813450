#include "points.h"

#include "wire.h"

enum { POINT_BOUND = 256, EXEMPLAR_BOUND = 192, NUMBER_BOUND = 16, MOST_FIELD = 13 };

typedef enum {
    NOTHING,
    PAIR,
    START,
    TIME,
    COUNT,
    TOTAL,
    REAL,
    INTEGER,
    EXEMPLAR,
    FLAGS,
    LEAST,
    MOST,
    BUCKETS,
    LIMITS,
    SCALE,
    ZERO,
    POSITIVE,
    NEGATIVE,
    QUANTILE
} Role;

/* What a field number means, by kind: opentelemetry/proto/metrics/v1/metrics.proto. */
#define NUMBER_ROLES                                                                    \
    {                                                                                   \
        [2] = START, [3] = TIME, [4] = REAL, [5] = EXEMPLAR, [6] = INTEGER, [7] = PAIR, \
        [8] = FLAGS                                                                     \
    }
static const uint8_t roles[POINT_KINDS][MOST_FIELD + 1] = {
    [GAUGE] = NUMBER_ROLES,
    [SUM] = NUMBER_ROLES,
    [HISTOGRAM] = {[2] = START, [3] = TIME, [4] = COUNT, [5] = TOTAL, [6] = BUCKETS, [7] = LIMITS,
                   [8] = EXEMPLAR, [9] = PAIR, [10] = FLAGS, [11] = LEAST, [12] = MOST},
    [EXPONENTIAL] = {[1] = PAIR, [2] = START, [3] = TIME, [4] = COUNT, [5] = TOTAL, [6] = SCALE,
                     [7] = ZERO, [8] = POSITIVE, [9] = NEGATIVE, [10] = FLAGS, [11] = EXEMPLAR,
                     [12] = LEAST, [13] = MOST},
    [SUMMARY] = {[2] = START, [3] = TIME, [4] = COUNT, [5] = TOTAL, [6] = QUANTILE, [7] = PAIR,
                 [8] = FLAGS},
};
static const char *const names[POINT_KINDS] = {
    "NumberDataPoint", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint",
    "SummaryDataPoint"};

static double real_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void list_u64(Buffer *list, uint64_t value)
{
    buffer_add(list, &value, sizeof value);
}

/* A repeated number: packed, or a field for each. */
static void numbers(Buffer *list, const Field *field, Wire wire, const char *where)
{
    if (field->wire == wire) {
        list_u64(list, field->scalar);
        return;
    }
    Slice packed = field_bytes(field, where);
    while (packed.at < packed.end)
        list_u64(list, wire == WIRE_VARINT ? wire_varint(&packed, where)
                                           : wire_fixed(&packed, 8, where));
}

static int32_t zigzag(uint64_t varint)
{
    uint32_t number = (uint32_t)varint;
    return (int32_t)(number >> 1 ^ (0 - (number & 1)));
}

static void read_buckets(Buffer *list, int32_t *offset, Slice message)
{
    static const char where[] = "ExponentialHistogramDataPoint.Buckets";
    Field field;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            *offset = zigzag(field_varint(&field, where));
        else if (field.number == 2)
            numbers(list, &field, WIRE_VARINT, where);
    }
}

static void read_quantile(Scratch *scratch, Slice message)
{
    static const char where[] = "SummaryDataPoint.ValueAtQuantile";
    uint64_t quantile = 0, value = 0; /* 0.0 */
    Field field;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            quantile = field_fixed64(&field, where);
        else if (field.number == 2)
            value = field_fixed64(&field, where);
    }
    list_u64(&scratch->lists[QUANTILES], quantile);
    list_u64(&scratch->lists[QUANTILES_VALUES], value);
}

static void read_exemplar_field(Exemplar *exemplar, Buffer *pairs, const Field *field)
{
    static const char where[] = "Exemplar";
    switch (field->number) {
    case 2:
        exemplar->time = field_fixed64(field, where);
        break;
    case 3:
        exemplar->value = field_double(field, where);
        break;
    case 4:
        exemplar->span_id = field_bytes(field, where);
        break;
    case 5:
        exemplar->trace_id = field_bytes(field, where);
        break;
    case 6:
        exemplar->value = (double)(int64_t)field_fixed64(field, where);
        break;
    case 7:
        attribute_add(pairs, field_bytes(field, where));
        break;
    }
}

static void read_exemplar(Scratch *scratch, Point *point, Slice message)
{
    Buffer *pairs = &scratch->lists[EVENTS_ATTRIBUTES];
    Exemplar exemplar = {.trace_id = slice_of(""), .span_id = slice_of("")};
    Field field;
    exemplar.from = attributes_count(pairs);
    while (wire_next(&message, &field, "Exemplar"))
        read_exemplar_field(&exemplar, pairs, &field);
    exemplar.count = attributes_count(pairs) - exemplar.from;
    point->possible &= is_time(exemplar.time) && is_trace_id(exemplar.trace_id) &&
                       is_span_id(exemplar.span_id);
    point->bound += EXEMPLAR_BOUND;
    *(Exemplar *)buffer_item(&scratch->lists[EVENTS], sizeof exemplar) = exemplar;
}

static void read_message(Scratch *scratch, Point *point, Role role, Slice message)
{
    switch (role) {
    case PAIR:
        attribute_add(&scratch->lists[ATTRIBUTES], message);
        break;
    case EXEMPLAR:
        read_exemplar(scratch, point, message);
        break;
    case POSITIVE:
        read_buckets(&scratch->lists[COUNTS], &point->offset, message);
        break;
    case NEGATIVE:
        read_buckets(&scratch->lists[NEGATIVE_COUNTS], &point->negative_offset, message);
        break;
    default:
        read_quantile(scratch, message);
    }
}

static void read_real(Point *point, Role role, double number)
{
    switch (role) {
    case REAL:
        point->value = number;
        break;
    case TOTAL:
        point->sum = number;
        break;
    case LEAST:
        point->min = number;
        break;
    default:
        point->max = number;
    }
}

static void read_field(Scratch *scratch, Point *point, Role role, const Field *field,
                       const char *where)
{
    switch (role) {
    case NOTHING:
        break;
    case START:
        point->start = field_fixed64(field, where);
        break;
    case TIME:
        point->time = field_fixed64(field, where);
        break;
    case COUNT:
        point->count = field_fixed64(field, where);
        break;
    case ZERO:
        point->zero_count = field_fixed64(field, where);
        break;
    case INTEGER:
        point->value = (double)(int64_t)field_fixed64(field, where);
        break;
    case FLAGS:
        point->flags = (uint32_t)field_varint(field, where);
        break;
    case SCALE:
        point->scale = zigzag(field_varint(field, where));
        break;
    case BUCKETS:
        numbers(&scratch->lists[COUNTS], field, WIRE_FIXED64, where);
        break;
    case LIMITS:
        numbers(&scratch->lists[BOUNDS], field, WIRE_FIXED64, where);
        break;
    case REAL:
    case TOTAL:
    case LEAST:
    case MOST:
        read_real(point, role, real_of(field_fixed64(field, where)));
        break;
    default:
        read_message(scratch, point, role, field_bytes(field, where));
    }
}

Point point_read(Scratch *scratch, PointKind kind, Slice message)
{
    Point point = {.possible = true, .bound = POINT_BOUND};
    Field field;
    scratch_clear(scratch);
    while (wire_next(&message, &field, names[kind])) {
        if (field.number <= MOST_FIELD)
            read_field(scratch, &point, roles[kind][field.number], &field, names[kind]);
    }
    point.possible &= is_time(point.start) && is_time(point.time);
    for (size_t i = COUNTS; i <= QUANTILES_VALUES; i++)
        point.bound += scratch->lists[i].size / sizeof(uint64_t) * NUMBER_BOUND;
    point.bound += attributes_bound(&scratch->lists[ATTRIBUTES]) +
                   attributes_bound(&scratch->lists[EVENTS_ATTRIBUTES]);
    return point;
}
