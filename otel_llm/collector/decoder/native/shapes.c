#include "shapes.h"

#define SHAPE(name, members) {name, members, sizeof members / sizeof *members}
#define MANY true
#define ONE false
#define MESSAGE(name, number, many, shape) {name, number, AS_MESSAGE, many, &shape, NULL}
#define PLAIN(name, number, encoding) {name, number, encoding, ONE, NULL, NULL}
#define LIST(name, number, encoding) {name, number, encoding, MANY, NULL, NULL}
#define ENUM(name, number, names) {name, number, AS_INT, ONE, NULL, names}

static const Shape array, pairs;

static const Member value_members[] = {
    PLAIN("stringValue", 1, AS_TEXT),        PLAIN("boolValue", 2, AS_BOOL),
    PLAIN("intValue", 3, AS_INT),            PLAIN("doubleValue", 4, AS_DOUBLE),
    MESSAGE("arrayValue", 5, ONE, array),    MESSAGE("kvlistValue", 6, ONE, pairs),
    PLAIN("bytesValue", 7, AS_BASE64),
};
static const Shape value = SHAPE("AnyValue", value_members);
static const Member array_members[] = {MESSAGE("values", 1, MANY, value)};
static const Shape array = SHAPE("ArrayValue", array_members);
static const Member pair_members[] = {PLAIN("key", 1, AS_TEXT), MESSAGE("value", 2, ONE, value)};
static const Shape pair = SHAPE("KeyValue", pair_members);
static const Member pairs_members[] = {MESSAGE("values", 1, MANY, pair)};
static const Shape pairs = SHAPE("KeyValueList", pairs_members);

static const Member resource_members[] = {MESSAGE("attributes", 1, MANY, pair)};
static const Shape resource = SHAPE("Resource", resource_members);
static const Member scope_members[] = {
    PLAIN("name", 1, AS_TEXT),
    PLAIN("version", 2, AS_TEXT),
    MESSAGE("attributes", 3, MANY, pair),
    PLAIN("droppedAttributesCount", 4, AS_INT),
};
static const Shape scope = SHAPE("InstrumentationScope", scope_members);

static const char *const kinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL",
                                    "SPAN_KIND_SERVER",      "SPAN_KIND_CLIENT",
                                    "SPAN_KIND_PRODUCER",    "SPAN_KIND_CONSUMER",
                                    NULL};
static const char *const codes[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
                                    NULL};
static const Member event_members[] = {
    PLAIN("timeUnixNano", 1, AS_FIXED64),
    PLAIN("name", 2, AS_TEXT),
    MESSAGE("attributes", 3, MANY, pair),
};
static const Shape event = SHAPE("Span.Event", event_members);
static const Member link_members[] = {
    PLAIN("traceId", 1, AS_HEX),
    PLAIN("spanId", 2, AS_HEX),
    PLAIN("traceState", 3, AS_TEXT),
    MESSAGE("attributes", 4, MANY, pair),
};
static const Shape link = SHAPE("Span.Link", link_members);
static const Member status_members[] = {PLAIN("message", 2, AS_TEXT), ENUM("code", 3, codes)};
static const Shape status = SHAPE("Status", status_members);
static const Member span_members[] = {
    PLAIN("traceId", 1, AS_HEX),
    PLAIN("spanId", 2, AS_HEX),
    PLAIN("traceState", 3, AS_TEXT),
    PLAIN("parentSpanId", 4, AS_HEX),
    PLAIN("name", 5, AS_TEXT),
    ENUM("kind", 6, kinds),
    PLAIN("startTimeUnixNano", 7, AS_FIXED64),
    PLAIN("endTimeUnixNano", 8, AS_FIXED64),
    MESSAGE("attributes", 9, MANY, pair),
    MESSAGE("events", 11, MANY, event),
    MESSAGE("links", 13, MANY, link),
    MESSAGE("status", 15, ONE, status),
};
static const Shape span = SHAPE("Span", span_members);

static const char *const severities[] = {
    "SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_TRACE",  "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",      "SEVERITY_NUMBER_TRACE4", "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",      "SEVERITY_NUMBER_DEBUG3", "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",        "SEVERITY_NUMBER_INFO2",  "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",       "SEVERITY_NUMBER_WARN",   "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",       "SEVERITY_NUMBER_WARN4",  "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",      "SEVERITY_NUMBER_ERROR3", "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",       "SEVERITY_NUMBER_FATAL2", "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",      NULL};
static const Member record_members[] = {
    PLAIN("timeUnixNano", 1, AS_FIXED64),
    ENUM("severityNumber", 2, severities),
    PLAIN("severityText", 3, AS_TEXT),
    MESSAGE("body", 5, ONE, value),
    MESSAGE("attributes", 6, MANY, pair),
    PLAIN("flags", 8, AS_FIXED32),
    PLAIN("traceId", 9, AS_HEX),
    PLAIN("spanId", 10, AS_HEX),
    PLAIN("observedTimeUnixNano", 11, AS_FIXED64),
    PLAIN("eventName", 12, AS_TEXT),
};
static const Shape record = SHAPE("LogRecord", record_members);

static const char *const temporalities[] = {"AGGREGATION_TEMPORALITY_UNSPECIFIED",
                                            "AGGREGATION_TEMPORALITY_DELTA",
                                            "AGGREGATION_TEMPORALITY_CUMULATIVE", NULL};
static const Member exemplar_members[] = {
    PLAIN("timeUnixNano", 2, AS_FIXED64),         PLAIN("asDouble", 3, AS_DOUBLE),
    PLAIN("spanId", 4, AS_HEX),                   PLAIN("traceId", 5, AS_HEX),
    PLAIN("asInt", 6, AS_FIXED64),                MESSAGE("filteredAttributes", 7, MANY, pair),
};
static const Shape exemplar = SHAPE("Exemplar", exemplar_members);
static const Member number_members[] = {
    PLAIN("startTimeUnixNano", 2, AS_FIXED64),    PLAIN("timeUnixNano", 3, AS_FIXED64),
    PLAIN("asDouble", 4, AS_DOUBLE),              MESSAGE("exemplars", 5, MANY, exemplar),
    PLAIN("asInt", 6, AS_FIXED64),                MESSAGE("attributes", 7, MANY, pair),
    PLAIN("flags", 8, AS_INT),
};
static const Shape number = SHAPE("NumberDataPoint", number_members);
static const Member histogram_point_members[] = {
    PLAIN("startTimeUnixNano", 2, AS_FIXED64),    PLAIN("timeUnixNano", 3, AS_FIXED64),
    PLAIN("count", 4, AS_FIXED64),                PLAIN("sum", 5, AS_DOUBLE),
    LIST("bucketCounts", 6, AS_FIXED64),          LIST("explicitBounds", 7, AS_DOUBLE),
    MESSAGE("exemplars", 8, MANY, exemplar),      MESSAGE("attributes", 9, MANY, pair),
    PLAIN("flags", 10, AS_INT),                   PLAIN("min", 11, AS_DOUBLE),
    PLAIN("max", 12, AS_DOUBLE),
};
static const Shape histogram_point = SHAPE("HistogramDataPoint", histogram_point_members);
static const Member buckets_members[] = {
    PLAIN("offset", 1, AS_ZIGZAG),
    LIST("bucketCounts", 2, AS_INT),
};
static const Shape buckets = SHAPE("ExponentialHistogramDataPoint.Buckets", buckets_members);
static const Member exponential_point_members[] = {
    MESSAGE("attributes", 1, MANY, pair),         PLAIN("startTimeUnixNano", 2, AS_FIXED64),
    PLAIN("timeUnixNano", 3, AS_FIXED64),         PLAIN("count", 4, AS_FIXED64),
    PLAIN("sum", 5, AS_DOUBLE),                   PLAIN("scale", 6, AS_ZIGZAG),
    PLAIN("zeroCount", 7, AS_FIXED64),            MESSAGE("positive", 8, ONE, buckets),
    MESSAGE("negative", 9, ONE, buckets),         PLAIN("flags", 10, AS_INT),
    MESSAGE("exemplars", 11, MANY, exemplar),     PLAIN("min", 12, AS_DOUBLE),
    PLAIN("max", 13, AS_DOUBLE),
};
static const Shape exponential_point =
    SHAPE("ExponentialHistogramDataPoint", exponential_point_members);
static const Member quantile_members[] = {
    PLAIN("quantile", 1, AS_DOUBLE),
    PLAIN("value", 2, AS_DOUBLE),
};
static const Shape quantile = SHAPE("SummaryDataPoint.ValueAtQuantile", quantile_members);
static const Member summary_point_members[] = {
    PLAIN("startTimeUnixNano", 2, AS_FIXED64),    PLAIN("timeUnixNano", 3, AS_FIXED64),
    PLAIN("count", 4, AS_FIXED64),                PLAIN("sum", 5, AS_DOUBLE),
    MESSAGE("quantileValues", 6, MANY, quantile), MESSAGE("attributes", 7, MANY, pair),
    PLAIN("flags", 8, AS_INT),
};
static const Shape summary_point = SHAPE("SummaryDataPoint", summary_point_members);

static const Member gauge_members[] = {MESSAGE("dataPoints", 1, MANY, number)};
static const Shape gauge = SHAPE("Gauge", gauge_members);
static const Member sum_members[] = {
    MESSAGE("dataPoints", 1, MANY, number),
    ENUM("aggregationTemporality", 2, temporalities),
    PLAIN("isMonotonic", 3, AS_BOOL),
};
static const Shape sum = SHAPE("Sum", sum_members);
static const Member histogram_members[] = {
    MESSAGE("dataPoints", 1, MANY, histogram_point),
    ENUM("aggregationTemporality", 2, temporalities),
};
static const Shape histogram = SHAPE("Histogram", histogram_members);
static const Member exponential_members[] = {
    MESSAGE("dataPoints", 1, MANY, exponential_point),
    ENUM("aggregationTemporality", 2, temporalities),
};
static const Shape exponential = SHAPE("ExponentialHistogram", exponential_members);
static const Member summary_members[] = {MESSAGE("dataPoints", 1, MANY, summary_point)};
static const Shape summary = SHAPE("Summary", summary_members);
static const Member metric_members[] = {
    PLAIN("name", 1, AS_TEXT),
    PLAIN("description", 2, AS_TEXT),
    PLAIN("unit", 3, AS_TEXT),
    MESSAGE("gauge", 5, ONE, gauge),
    MESSAGE("sum", 7, ONE, sum),
    MESSAGE("histogram", 9, ONE, histogram),
    MESSAGE("exponentialHistogram", 10, ONE, exponential),
    MESSAGE("summary", 11, ONE, summary),
};
static const Shape metric = SHAPE("Metric", metric_members);

/* The three signals nest alike. */
#define SIGNAL(which, resources_name, scopes_name, items_name, item, title, service, NAME)      \
    static const Member which##_scope_members[] = {MESSAGE("scope", 1, ONE, scope),             \
                                                   MESSAGE(items_name, 2, MANY, item),          \
                                                   PLAIN("schemaUrl", 3, AS_TEXT)};             \
    static const Shape which##_scope = SHAPE("Scope" title, which##_scope_members);             \
    static const Member which##_resource_members[] = {MESSAGE("resource", 1, ONE, resource),    \
                                                      MESSAGE(scopes_name, 2, MANY,             \
                                                              which##_scope),                   \
                                                      PLAIN("schemaUrl", 3, AS_TEXT)};          \
    static const Shape which##_resource = SHAPE("Resource" title, which##_resource_members);    \
    static const Member which##_members[] = {MESSAGE(resources_name, 1, MANY, which##_resource)}; \
    const Shape NAME = SHAPE("Export" service "ServiceRequest", which##_members)

SIGNAL(traces, "resourceSpans", "scopeSpans", "spans", span, "Spans", "Trace", TRACES_SHAPE);
SIGNAL(logs, "resourceLogs", "scopeLogs", "logRecords", record, "Logs", "Logs", LOGS_SHAPE);
SIGNAL(metrics, "resourceMetrics", "scopeMetrics", "metrics", metric, "Metrics", "Metrics",
       METRICS_SHAPE);
