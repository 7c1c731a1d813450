/* Spans as rows of otel_traces, as the collector's clickhouseexporter writes them. */
#include "session.h"
#include "wire.h"

enum { EVENT_BOUND = 96, LINK_BOUND = 128 };

typedef struct {
    uint64_t time;
    Slice name;
    size_t from, count; /* of its attributes in the list of all events' attributes */
} Event;

typedef struct {
    Slice trace_id, span_id, trace_state;
    size_t from, count;
} Link;

typedef struct {
    Slice trace_id, span_id, parent_id, trace_state, name, message;
    int32_t kind, code;
    uint64_t start, end;
    bool possible; /* its ids and times, and those of its events and links, can be such */
    size_t bound;  /* of its events and links, without their attributes */
} Span;

typedef enum {
    TIMESTAMP,
    TRACE_ID,
    SPAN_ID,
    PARENT_ID,
    TRACE_STATE,
    SPAN_NAME,
    SPAN_KIND,
    SERVICE,
    RESOURCE_ATTRIBUTES,
    SCOPE_NAME,
    SCOPE_VERSION,
    SPAN_ATTRIBUTES,
    DURATION,
    STATUS_CODE,
    STATUS_MESSAGE,
    EVENT_TIME,
    EVENT_NAME,
    EVENT_ATTRIBUTES,
    LINK_TRACE_ID,
    LINK_SPAN_ID,
    LINK_TRACE_STATE,
    LINK_ATTRIBUTES,
    COLUMNS
} TraceColumn;

static const ColumnSpec columns[COLUMNS] = {
    [TIMESTAMP] = {"Timestamp", "DateTime64(9)", PLAIN},
    [TRACE_ID] = {"TraceId", "String", PLAIN},
    [SPAN_ID] = {"SpanId", "String", PLAIN},
    [PARENT_ID] = {"ParentSpanId", "String", PLAIN},
    [TRACE_STATE] = {"TraceState", "String", PLAIN},
    [SPAN_NAME] = {"SpanName", LOW_TEXT, LOW},
    [SPAN_KIND] = {"SpanKind", LOW_TEXT, LOW},
    [SERVICE] = {"ServiceName", LOW_TEXT, LOW},
    [RESOURCE_ATTRIBUTES] = {"ResourceAttributes", TEXT_MAP, MAP | LOW},
    [SCOPE_NAME] = {"ScopeName", "String", PLAIN},
    [SCOPE_VERSION] = {"ScopeVersion", "String", PLAIN},
    [SPAN_ATTRIBUTES] = {"SpanAttributes", TEXT_MAP, MAP | LOW},
    [DURATION] = {"Duration", "UInt64", PLAIN},
    [STATUS_CODE] = {"StatusCode", LOW_TEXT, LOW},
    [STATUS_MESSAGE] = {"StatusMessage", "String", PLAIN},
    [EVENT_TIME] = {"Events.Timestamp", "Array(DateTime64(9))", ARRAY},
    [EVENT_NAME] = {"Events.Name", "Array(" LOW_TEXT ")", ARRAY | LOW},
    [EVENT_ATTRIBUTES] = {"Events.Attributes", "Array(" TEXT_MAP ")", ARRAY | MAP | LOW},
    [LINK_TRACE_ID] = {"Links.TraceId", "Array(String)", ARRAY},
    [LINK_SPAN_ID] = {"Links.SpanId", "Array(String)", ARRAY},
    [LINK_TRACE_STATE] = {"Links.TraceState", "Array(String)", ARRAY},
    [LINK_ATTRIBUTES] = {"Links.Attributes", "Array(" TEXT_MAP ")", ARRAY | MAP | LOW},
};

static void read_event(Scratch *scratch, Span *span, Slice message)
{
    static const char where[] = "Span.Event";
    Buffer *list = &scratch->lists[EVENTS_ATTRIBUTES];
    Event event = {.name = slice_of(""), .from = attributes_count(list)};
    Field field;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            event.time = field_fixed64(&field, where);
        else if (field.number == 2)
            event.name = field_bytes(&field, where);
        else if (field.number == 3)
            attribute_add(list, field_bytes(&field, where));
    }
    event.count = attributes_count(list) - event.from;
    span->possible &= is_time(event.time);
    span->bound += EVENT_BOUND + slice_size(event.name);
    *(Event *)buffer_item(&scratch->lists[EVENTS], sizeof event) = event;
}

static void read_link(Scratch *scratch, Span *span, Slice message)
{
    static const char where[] = "Span.Link";
    Buffer *list = &scratch->lists[LINKS_ATTRIBUTES];
    Slice none = slice_of("");
    Link link = {none, none, none, attributes_count(list), 0};
    Field field;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            link.trace_id = field_bytes(&field, where);
        else if (field.number == 2)
            link.span_id = field_bytes(&field, where);
        else if (field.number == 3)
            link.trace_state = field_bytes(&field, where);
        else if (field.number == 4)
            attribute_add(list, field_bytes(&field, where));
    }
    link.count = attributes_count(list) - link.from;
    span->possible &= is_trace_id(link.trace_id) && is_span_id(link.span_id);
    span->bound += LINK_BOUND + slice_size(link.trace_state);
    *(Link *)buffer_item(&scratch->lists[LINKS], sizeof link) = link;
}

static void read_status(Span *span, Slice message)
{
    Field field;
    while (wire_next(&message, &field, "Status")) {
        if (field.number == 2)
            span->message = field_bytes(&field, "Status.message");
        else if (field.number == 3)
            span->code = (int32_t)field_varint(&field, "Status.code");
    }
}

static void read_field(Scratch *scratch, Span *span, const Field *field, Slice *rest)
{
    static const char where[] = "Span";
    switch (field->number) {
    case 1:
        span->trace_id = field_bytes(field, "Span.trace_id");
        break;
    case 2:
        span->span_id = field_bytes(field, "Span.span_id");
        break;
    case 3:
        span->trace_state = field_bytes(field, where);
        break;
    case 4:
        span->parent_id = field_bytes(field, "Span.parent_span_id");
        break;
    case 5:
        span->name = field_bytes(field, "Span.name");
        break;
    case 6:
        span->kind = (int32_t)field_varint(field, "Span.kind");
        break;
    case 7:
        span->start = field_fixed64(field, "Span.start_time_unix_nano");
        break;
    case 8:
        span->end = field_fixed64(field, "Span.end_time_unix_nano");
        break;
    case 9:
        attribute_add(&scratch->lists[ATTRIBUTES], field_bytes(field, "Span.attributes"));
        attributes_add(&scratch->lists[ATTRIBUTES], rest, TAG(9, WIRE_BYTES));
        break;
    case 11:
        read_event(scratch, span, field_bytes(field, "Span.events"));
        break;
    case 13:
        read_link(scratch, span, field_bytes(field, "Span.links"));
        break;
    case 15:
        read_status(span, field_bytes(field, "Span.status"));
        break;
    }
}

static Span read_span(Scratch *scratch, Slice message)
{
    Slice none = slice_of("");
    Span span = {none, none, none, none, none, none, .possible = true};
    Field field;
    scratch_clear(scratch);
    while (wire_next(&message, &field, "Span"))
        read_field(scratch, &span, &field, &message);
    span.possible &= is_trace_id(span.trace_id) && is_span_id(span.span_id) &&
                     is_span_id(span.parent_id) && is_time(span.start) && is_time(span.end);
    return span;
}

static size_t bound_of(const Scratch *scratch, const Span *span)
{
    return span->bound + slice_size(span->trace_state) + slice_size(span->name) +
           slice_size(span->message) + attributes_bound(&scratch->lists[ATTRIBUTES]) +
           attributes_bound(&scratch->lists[EVENTS_ATTRIBUTES]) +
           attributes_bound(&scratch->lists[LINKS_ATTRIBUTES]);
}

static void write_events(Session *session, Column *to)
{
    const Scratch *scratch = &session->scratch;
    size_t count = scratch->lists[EVENTS].size / sizeof(Event);
    for (size_t i = 0; i < count; i++) {
        const Event *event = (const Event *)scratch->lists[EVENTS].data + i;
        column_u64(to + EVENT_TIME, event->time);
        column_low(to + EVENT_NAME, event->name);
        column_attributes(session, to + EVENT_ATTRIBUTES, &scratch->lists[EVENTS_ATTRIBUTES], event->from,
                          event->count);
    }
    for (size_t i = EVENT_TIME; i <= EVENT_ATTRIBUTES; i++)
        column_array(to + i, count);
}

static void write_links(Session *session, Column *to)
{
    const Scratch *scratch = &session->scratch;
    size_t count = scratch->lists[LINKS].size / sizeof(Link);
    for (size_t i = 0; i < count; i++) {
        const Link *link = (const Link *)scratch->lists[LINKS].data + i;
        column_id(to + LINK_TRACE_ID, link->trace_id);
        column_id(to + LINK_SPAN_ID, link->span_id);
        column_string(to + LINK_TRACE_STATE, link->trace_state);
        column_attributes(session, to + LINK_ATTRIBUTES, &scratch->lists[LINKS_ATTRIBUTES], link->from,
                          link->count);
    }
    for (size_t i = LINK_TRACE_ID; i <= LINK_ATTRIBUTES; i++)
        column_array(to + i, count);
}

static Slice kind_name(int32_t kind)
{
    static const char *const names[] = {"Unspecified", "Internal", "Server",
                                        "Client",      "Producer", "Consumer"};
    return slice_of(names[kind >= 0 && kind < 6 ? kind : 0]);
}

static Slice code_name(int32_t code)
{
    static const char *const names[] = {"Unset", "Ok", "Error"};
    return slice_of(names[code >= 0 && code < 3 ? code : 0]);
}

static void write_span(Session *session, const Span *span)
{
    Table *table = session->tables;
    Column *to = table->columns;
    table->rows++;
    column_u64(to + TIMESTAMP, span->start);
    column_id(to + TRACE_ID, span->trace_id);
    column_id(to + SPAN_ID, span->span_id);
    column_id(to + PARENT_ID, span->parent_id);
    column_string(to + TRACE_STATE, span->trace_state);
    column_low(to + SPAN_NAME, span->name);
    column_low(to + SPAN_KIND, kind_name(span->kind));
    table_resource(session, table, RESOURCE_ATTRIBUTES, SERVICE);
    column_string(to + SCOPE_NAME, session_scope(session)->name);
    column_string(to + SCOPE_VERSION, session_scope(session)->version);
    column_attributes(session, to + SPAN_ATTRIBUTES, &session->scratch.lists[ATTRIBUTES], 0,
                      attributes_count(&session->scratch.lists[ATTRIBUTES]));
    column_u64(to + DURATION, span->end > span->start ? span->end - span->start : 0);
    column_low(to + STATUS_CODE, code_name(span->code));
    column_string(to + STATUS_MESSAGE, span->message);
    write_events(session, to);
    write_links(session, to);
}

static void read(Session *session, Slice message)
{
    Span span = read_span(&session->scratch, message);
    size_t bound = session->writing ? 0 : bound_of(&session->scratch, &span);
    if (session_item(session, span.possible, span.start, bound))
        write_span(session, &span);
}

static uint64_t big_endian(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
}

static void key_trace(uint64_t key[KEY_WORDS], Slice id)
{
    if (slice_size(id) != 16)
        return;
    key[KEY_TRACE] = big_endian(id.at);
    key[KEY_TRACE_REST] = big_endian(id.at + 8);
}

/* Stops at the time, which follows the trace as senders write it. Whatever else it found, only the
 * order would differ, which ClickHouse mends. */
static void key(Slice message, uint64_t key[KEY_WORDS])
{
    Field field;
    while (key[KEY_TIME] == 0 && wire_next(&message, &field, "Span")) {
        if (field.number == 1)
            key_trace(key, field_bytes(&field, "Span.trace_id"));
        else if (field.number == 7)
            key[KEY_TIME] = field_fixed64(&field, "Span.start_time_unix_nano");
    }
}

static const TableSpec table = {"otel_traces", columns, COLUMNS};

const Signal TRACES = {
    .request = "ExportTraceServiceRequest",
    .resources = "ResourceSpans",
    .scopes = "ScopeSpans",
    .item = "Span",
    .read = read,
    .key = key,
    .tables = &table,
    .tables_count = 1,
};
