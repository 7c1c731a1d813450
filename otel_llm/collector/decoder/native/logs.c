/* Log records as rows of otel_logs, as the collector's clickhouseexporter writes them. */
#include "session.h"
#include "wire.h"

typedef struct {
    uint64_t time, observed;
    Slice trace_id, span_id, severity_text, event_name;
    uint32_t severity, flags;
    Value body;
} Record;

enum { RESOURCE_ATTRIBUTES = 9, SCOPE_ATTRIBUTES = 13, SERVICE = 6 };

static const ColumnSpec columns[] = {
    {"Timestamp", "DateTime64(9)", PLAIN},
    {"TraceId", "String", PLAIN},
    {"SpanId", "String", PLAIN},
    {"TraceFlags", "UInt8", PLAIN},
    {"SeverityText", LOW_TEXT, LOW},
    {"SeverityNumber", "UInt8", PLAIN},
    [SERVICE] = {"ServiceName", LOW_TEXT, LOW},
    {"Body", "String", PLAIN},
    {"ResourceSchemaUrl", LOW_TEXT, LOW},
    [RESOURCE_ATTRIBUTES] = {"ResourceAttributes", TEXT_MAP, MAP | LOW},
    {"ScopeSchemaUrl", LOW_TEXT, LOW},
    {"ScopeName", "String", PLAIN},
    {"ScopeVersion", LOW_TEXT, LOW},
    [SCOPE_ATTRIBUTES] = {"ScopeAttributes", TEXT_MAP, MAP | LOW},
    {"LogAttributes", TEXT_MAP, MAP | LOW},
    {"EventName", "String", PLAIN},
};

static void read_field(Scratch *scratch, Record *record, const Field *field, Slice *rest)
{
    static const char where[] = "LogRecord";
    switch (field->number) {
    case 1:
        record->time = field_fixed64(field, "LogRecord.time_unix_nano");
        break;
    case 2:
        record->severity = (uint32_t)field_varint(field, where);
        break;
    case 3:
        record->severity_text = field_bytes(field, where);
        break;
    case 5:
        value_parse(&record->body, field_bytes(field, "LogRecord.body"), 0);
        break;
    case 6:
        attribute_add(&scratch->lists[ATTRIBUTES], field_bytes(field, where));
        attributes_add(&scratch->lists[ATTRIBUTES], rest, TAG(6, WIRE_BYTES));
        break;
    case 8:
        wire_expect(field, WIRE_FIXED32, "LogRecord.flags");
        record->flags = (uint32_t)field->scalar;
        break;
    case 9:
        record->trace_id = field_bytes(field, "LogRecord.trace_id");
        break;
    case 10:
        record->span_id = field_bytes(field, "LogRecord.span_id");
        break;
    case 11:
        record->observed = field_fixed64(field, "LogRecord.observed_time_unix_nano");
        break;
    case 12:
        record->event_name = field_bytes(field, where);
        break;
    }
}

static uint64_t time_of(const Record *record)
{
    return record->time ? record->time : record->observed;
}

static void write_record(Session *session, const Record *record)
{
    const Buffer *pairs = &session->scratch.lists[ATTRIBUTES];
    Table *table = session->tables;
    Column *to = table->columns;
    table->rows++;
    column_u64(to++, time_of(record));
    column_id(to++, record->trace_id);
    column_id(to++, record->span_id);
    column_add(to++, &(uint8_t){(uint8_t)record->flags}, 1);
    column_low(to++, record->severity_text);
    column_add(to++, &(uint8_t){(uint8_t)record->severity}, 1);
    table_resource(session, table, RESOURCE_ATTRIBUTES, SERVICE);
    to++;
    column_string(to++, value_text(&record->body, &session->scratch.text));
    column_low(to++, session_resource(session)->schema_url);
    to++;
    column_low(to++, session_scope(session)->schema_url);
    column_string(to++, session_scope(session)->name);
    column_low(to++, session_scope(session)->version);
    table_scope_attributes(session, table, SCOPE_ATTRIBUTES);
    to++;
    column_attributes(session, to++, pairs, 0, attributes_count(pairs));
    column_string(to++, record->event_name);
}

static size_t bound_of(const Scratch *scratch, const Record *record)
{
    return slice_size(record->severity_text) + slice_size(record->event_name) +
           value_bound(&record->body) + attributes_bound(&scratch->lists[ATTRIBUTES]);
}

static void read(Session *session, Slice message)
{
    Slice none = slice_of("");
    Record record = {0, 0, none, none, none, none, 0, 0, {.kind = VALUE_NONE}};
    Field field;
    scratch_clear(&session->scratch);
    while (wire_next(&message, &field, "LogRecord"))
        read_field(&session->scratch, &record, &field, &message);
    bool possible = is_trace_id(record.trace_id) && is_span_id(record.span_id) &&
                    is_time(record.time) && is_time(record.observed);
    size_t bound = session->writing ? 0 : bound_of(&session->scratch, &record);
    if (session_item(session, possible, time_of(&record), bound))
        write_record(session, &record);
}

static const TableSpec table = {"otel_logs", columns, sizeof columns / sizeof *columns};

const Signal LOGS = {
    .request = "ExportLogsServiceRequest",
    .resources = "ResourceLogs",
    .scopes = "ScopeLogs",
    .item = "LogRecord",
    .read = read,
    .tables = &table,
    .tables_count = 1,
};
