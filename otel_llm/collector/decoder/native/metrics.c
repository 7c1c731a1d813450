/* Data points as rows of otel_metrics_*, as the collector's clickhouseexporter writes them. */
#include "points.h"
#include "wire.h"

typedef struct {
    Slice name, description, unit;
    PointKind kind; /* POINT_KINDS: it has no data */
    Slice data;
    int32_t temporality;
    uint8_t monotonic;
} Metric;

enum { RESOURCE_ATTRIBUTES = 0, SCOPE_ATTRIBUTES = 4, SERVICE = 7 };

#define TIMES "DateTime64(9)"
#define COMMON                                                      \
    {"ResourceAttributes", TEXT_MAP, MAP | LOW},                    \
        {"ResourceSchemaUrl", "String", PLAIN},                     \
        {"ScopeName", "String", PLAIN},                             \
        {"ScopeVersion", "String", PLAIN},                          \
        {"ScopeAttributes", TEXT_MAP, MAP | LOW},                   \
        {"ScopeDroppedAttrCount", "UInt32", PLAIN},                 \
        {"ScopeSchemaUrl", "String", PLAIN},                        \
        {"ServiceName", LOW_TEXT, LOW},                             \
        {"MetricName", LOW_TEXT, LOW},                              \
        {"MetricDescription", "String", PLAIN},                     \
        {"MetricUnit", "String", PLAIN},                            \
        {"Attributes", TEXT_MAP, MAP | LOW},                        \
        {"StartTimeUnix", TIMES, PLAIN}, {"TimeUnix", TIMES, PLAIN}
#define EXEMPLARS                                                                      \
    {"Exemplars.FilteredAttributes", "Array(" TEXT_MAP ")", ARRAY | MAP | LOW},        \
        {"Exemplars.TimeUnix", "Array(" TIMES ")", ARRAY},                             \
        {"Exemplars.Value", "Array(Float64)", ARRAY},                                  \
        {"Exemplars.SpanId", "Array(String)", ARRAY},                                  \
        {"Exemplars.TraceId", "Array(String)", ARRAY}
#define TEMPORALITY {"AggregationTemporality", "Int32", PLAIN}
#define TOTALS {"Count", "UInt64", PLAIN}, {"Sum", "Float64", PLAIN}
#define EXTREMES                      \
    {"Flags", "UInt32", PLAIN},       \
        {"Min", "Float64", PLAIN},    \
        {"Max", "Float64", PLAIN}

static const ColumnSpec gauge[] = {
    COMMON,
    {"Value", "Float64", PLAIN},
    {"Flags", "UInt32", PLAIN},
    EXEMPLARS,
};
static const ColumnSpec sum[] = {
    COMMON,
    {"Value", "Float64", PLAIN},
    {"Flags", "UInt32", PLAIN},
    EXEMPLARS,
    TEMPORALITY,
    {"IsMonotonic", "Bool", PLAIN},
};
static const ColumnSpec histogram[] = {
    COMMON,
    TOTALS,
    {"BucketCounts", "Array(UInt64)", ARRAY},
    {"ExplicitBounds", "Array(Float64)", ARRAY},
    EXEMPLARS,
    EXTREMES,
    TEMPORALITY,
};
static const ColumnSpec exponential[] = {
    COMMON,
    TOTALS,
    {"Scale", "Int32", PLAIN},
    {"ZeroCount", "UInt64", PLAIN},
    {"PositiveOffset", "Int32", PLAIN},
    {"PositiveBucketCounts", "Array(UInt64)", ARRAY},
    {"NegativeOffset", "Int32", PLAIN},
    {"NegativeBucketCounts", "Array(UInt64)", ARRAY},
    EXEMPLARS,
    EXTREMES,
    TEMPORALITY,
};
static const ColumnSpec summary[] = {
    COMMON,
    TOTALS,
    {"ValueAtQuantiles.Quantile", "Array(Float64)", ARRAY},
    {"ValueAtQuantiles.Value", "Array(Float64)", ARRAY},
    {"Flags", "UInt32", PLAIN},
};

/* An id as the exporter writes it here: one that is absent is written in zeros. */
static void exemplar_id(Column *to, Slice id, size_t size)
{
    static const uint8_t zeros[16];
    column_hex(to, slice_size(id) ? id : (Slice){zeros, zeros + size});
}

static Column *write_exemplars(Session *session, Column *to)
{
    Buffer *lists = session->scratch.lists;
    size_t count = lists[EVENTS].size / sizeof(Exemplar);
    for (size_t i = 0; i < count; i++) {
        const Exemplar *exemplar = (const Exemplar *)lists[EVENTS].data + i;
        column_attributes(session, to, &lists[EVENTS_ATTRIBUTES], exemplar->from, exemplar->count);
        column_u64(to + 1, exemplar->time);
        column_add(to + 2, &exemplar->value, sizeof exemplar->value);
        exemplar_id(to + 3, exemplar->span_id, 8);
        exemplar_id(to + 4, exemplar->trace_id, 16);
    }
    for (size_t i = 0; i < 5; i++)
        column_array(to + i, count);
    return to + 5;
}

static void column_list(Column *to, const Buffer *numbers)
{
    column_add(to, numbers->data, numbers->size);
    column_array(to, numbers->size / sizeof(uint64_t));
}

static void column_i32(Column *to, int32_t number)
{
    column_add(to, &number, sizeof number);
}

static void column_double(Column *to, double number)
{
    column_add(to, &number, sizeof number);
}

static void column_flags(Column *to, const Point *point)
{
    column_add(to, &point->flags, sizeof point->flags);
}

static Column *write_common(Session *session, Table *table, const Metric *metric,
                            const Point *point)
{
    const Buffer *pairs = &session->scratch.lists[ATTRIBUTES];
    const Scope *scope = session_scope(session);
    Column *to = table->columns;
    table->rows++;
    table_resource(session, table, RESOURCE_ATTRIBUTES, SERVICE);
    table_scope_attributes(session, table, SCOPE_ATTRIBUTES);
    column_string(to + 1, session_resource(session)->schema_url);
    column_string(to + 2, scope->name);
    column_string(to + 3, scope->version);
    column_add(to + 5, &scope->dropped, sizeof scope->dropped);
    column_string(to + 6, scope->schema_url);
    column_low(to + 8, metric->name);
    column_string(to + 9, metric->description);
    column_string(to + 10, metric->unit);
    column_attributes(session, to + 11, pairs, 0, attributes_count(pairs));
    column_u64(to + 12, point->start);
    column_u64(to + 13, point->time);
    return to + 14;
}

static Column *write_extremes(Column *to, const Point *point)
{
    column_flags(to++, point);
    column_double(to++, point->min);
    column_double(to++, point->max);
    return to;
}

static void write_number(Session *session, Column *to, const Metric *metric, const Point *point)
{
    column_double(to++, point->value);
    column_flags(to++, point);
    to = write_exemplars(session, to);
    if (metric->kind == GAUGE)
        return;
    column_i32(to++, metric->temporality);
    column_add(to++, &metric->monotonic, sizeof metric->monotonic);
}

static void write_histogram(Session *session, Column *to, const Metric *metric, const Point *point)
{
    column_list(to++, &session->scratch.lists[COUNTS]);
    column_list(to++, &session->scratch.lists[BOUNDS]);
    to = write_exemplars(session, to);
    to = write_extremes(to, point);
    column_i32(to++, metric->temporality);
}

static void write_exponential(Session *session, Column *to, const Metric *metric,
                              const Point *point)
{
    column_i32(to++, point->scale);
    column_u64(to++, point->zero_count);
    column_i32(to++, point->offset);
    column_list(to++, &session->scratch.lists[COUNTS]);
    column_i32(to++, point->negative_offset);
    column_list(to++, &session->scratch.lists[NEGATIVE_COUNTS]);
    to = write_exemplars(session, to);
    to = write_extremes(to, point);
    column_i32(to++, metric->temporality);
}

static void write_summary(Session *session, Column *to, const Point *point)
{
    column_list(to++, &session->scratch.lists[QUANTILES]);
    column_list(to++, &session->scratch.lists[QUANTILES_VALUES]);
    column_flags(to++, point);
}

static void write_point(Session *session, const Metric *metric, const Point *point)
{
    Table *table = session->tables + metric->kind;
    Column *to = write_common(session, table, metric, point);
    if (metric->kind == GAUGE || metric->kind == SUM) {
        write_number(session, to, metric, point);
        return;
    }
    column_u64(to++, point->count);
    column_double(to++, point->sum);
    if (metric->kind == HISTOGRAM)
        write_histogram(session, to, metric, point);
    else if (metric->kind == EXPONENTIAL)
        write_exponential(session, to, metric, point);
    else
        write_summary(session, to, point);
}

static void read_data(Session *session, Metric *metric)
{
    size_t repeated =
        slice_size(metric->name) + slice_size(metric->description) + slice_size(metric->unit);
    Slice message = metric->data;
    Field field;
    while (wire_next(&message, &field, "Metric.data")) {
        if (field.number != 1)
            continue;
        Slice bytes = field_bytes(&field, "Metric.data.data_points");
        Point point = point_read(&session->scratch, metric->kind, bytes);
        if (session_item(session, point.possible, point.time, point.bound + repeated))
            write_point(session, metric, &point);
    }
}

/* Fields may come in any order, so what points share is read before them. */
static void read_shared(Metric *metric)
{
    Slice message = metric->data;
    Field field;
    while (wire_next(&message, &field, "Metric.data")) {
        if (field.number == 2)
            metric->temporality = (int32_t)field_varint(&field, "Metric.data");
        else if (field.number == 3 && metric->kind == SUM)
            metric->monotonic = field_varint(&field, "Metric.data") != 0;
    }
}

static void read_field(Metric *metric, const Field *field)
{
    static const uint8_t kinds[] = {[5] = GAUGE, [7] = SUM, [9] = HISTOGRAM, [10] = EXPONENTIAL,
                                    [11] = SUMMARY};
    static const char where[] = "Metric";
    switch (field->number) {
    case 1:
        metric->name = field_bytes(field, where);
        break;
    case 2:
        metric->description = field_bytes(field, where);
        break;
    case 3:
        metric->unit = field_bytes(field, where);
        break;
    case 5:
    case 7:
    case 9:
    case 10:
    case 11:
        metric->data = field_bytes(field, where);
        metric->kind = kinds[field->number];
        break;
    }
}

static void read(Session *session, Slice message)
{
    Slice none = slice_of("");
    Metric metric = {none, none, none, POINT_KINDS, none, 0, 0};
    Field field;
    while (wire_next(&message, &field, "Metric"))
        read_field(&metric, &field);
    if (metric.kind == POINT_KINDS)
        return;
    if (metric.kind != GAUGE && metric.kind != SUMMARY)
        read_shared(&metric);
    read_data(session, &metric);
}

#define TABLE(name, columns) {name, columns, sizeof columns / sizeof *columns}
static const TableSpec specs[POINT_KINDS] = {
    [GAUGE] = TABLE("otel_metrics_gauge", gauge),
    [SUM] = TABLE("otel_metrics_sum", sum),
    [HISTOGRAM] = TABLE("otel_metrics_histogram", histogram),
    [EXPONENTIAL] = TABLE("otel_metrics_exponential_histogram", exponential),
    [SUMMARY] = TABLE("otel_metrics_summary", summary),
};

const Signal METRICS = {
    .request = "ExportMetricsServiceRequest",
    .resources = "ResourceMetrics",
    .scopes = "ScopeMetrics",
    .item = "Metric",
    .read = read,
    .tables = specs,
    .tables_count = POINT_KINDS,
};
