/* One walk over OTLP requests: what all signals share of it.
 *
 * The three signals nest alike: request, ResourceX, ScopeX, item, with the same field numbers. An
 * item is a Span, a LogRecord or a Metric. A walk either counts only, or fills tables too; both
 * read and check the same, so that what was counted can be decoded.
 */
#ifndef OTEL_LLM_SESSION_H
#define OTEL_LLM_SESSION_H

#include "column.h"

/* Bytes of a row without any text, and of a pair of a map with what reading it takes. */
enum { ROW_BOUND = 256, PAIR_BOUND = 48, MOST_COLUMNS = 32, MOST_TABLES = 5 };

typedef struct {
    const char *name;
    const ColumnSpec *columns;
    size_t columns_count;
} TableSpec;

typedef struct {
    const TableSpec *spec;
    Column columns[MOST_COLUMNS];
    uint64_t rows;
} Table;

/* Times of the items that are kept, both inclusive. */
typedef struct {
    int64_t oldest, newest;
} Window;

/* What a table has of a resource or scope: written with its first row, then copied. */
typedef struct {
    bool written;
    uint32_t service;
    MapRange map;
} Use;

typedef struct {
    Buffer attributes;
    Slice schema_url;
    size_t bound;
    Window window;    /* its request's */
    uint32_t service; /* in the dictionary of services, where items are put in order */
    Use uses[MOST_TABLES];
} Resource;

typedef struct {
    Slice name, version, schema_url;
    Buffer attributes;
    uint32_t dropped;
    size_t bound;
    Use uses[MOST_TABLES];
} Scope;

/* The words of a key, the one that counts most first. A trace's id, as text or not, has the order of
 * two numbers; none comes before all others, as the empty string does. */
typedef enum { KEY_GROUP, KEY_TRACE, KEY_TRACE_REST, KEY_TIME, KEY_WORDS } KeyWord;

/* An item that waits to be read. */
typedef struct {
    Slice message;
    size_t resource, scope;
    uint64_t key[KEY_WORDS];
} Item;

/* Where an item comes among the rows: by a number first. */
typedef struct {
    uint64_t number;
    Item *item;
} Place;

/* Bytes of an item while it waits and is put in order. */
enum { ITEM_BOUND = sizeof(Item) + sizeof(Place) };

typedef struct Session Session;

typedef struct {
    const char *request, *resources, *scopes, *item; /* names of the messages */
    void (*read)(Session *session, Slice item);
    /* Trace and time of an item; NULL where rows stay in the order they came. */
    void (*key)(Slice message, uint64_t key[KEY_WORDS]);
    const TableSpec *tables;
    size_t tables_count;
} Signal;

/* Lists that are filled anew for each item: what it repeats, and the attributes of these. */
typedef enum {
    ATTRIBUTES,
    EVENTS, /* of a data point, its exemplars */
    EVENTS_ATTRIBUTES,
    LINKS,
    LINKS_ATTRIBUTES,
    COUNTS,
    NEGATIVE_COUNTS,
    BOUNDS,
    QUANTILES,
    QUANTILES_VALUES,
    LISTS
} ListName;

typedef struct {
    Buffer lists[LISTS];
    TextScratch text;
} Scratch;

struct Session {
    const Signal *signal;
    bool writing; /* fill the tables, and do not only count */
    Window window; /* of the current request */
    uint64_t items, rejected;
    uint64_t outside; /* of the rejected, those that only their time leaves out */
    uint64_t bytes;    /* of the requests */
    uint64_t expanded; /* only when counting */
    Table tables[MOST_TABLES];
    Buffer resources, scopes; /* all of them when writing, else the current one */
    size_t resource, scope;   /* the current ones */
    Buffer waiting;           /* when writing, those that were not read yet */
    Buffer places;            /* of these, in the order of the rows */
    Dictionary services;      /* by which items are put in order */
    Scratch scratch;
};

extern const Signal TRACES, LOGS, METRICS;

void session_begin(Session *session, const Signal *signal, bool writing);
void session_free(Session *session);
void session_request(Session *session, Slice body, Window window);

/* When writing: reads what the requests had, in the order of the table's key. ClickHouse then has
 * nothing to sort. */
void session_finish(Session *session);
void session_sort(Session *session);

static inline Resource *session_resource(const Session *session)
{
    return (Resource *)session->resources.data + session->resource;
}

static inline Scope *session_scope(const Session *session)
{
    return (Scope *)session->scopes.data + session->scope;
}

/* What the collector's exporter calls the service: the attribute's text, nothing without it. */
Slice session_service(Session *session);

/* Counts a row that will take `bound` bytes beside what it repeats, which matters only counting.
 * False if it is not to be written: when counting, if an id or a time in it cannot be one, or if
 * its own time is outside of the window. */
bool session_item(Session *session, bool possible, uint64_t time, size_t bound);

void scratch_clear(Scratch *scratch);
size_t attributes_bound(const Buffer *list);

/* Columns that most tables have. */
void table_resource(Session *session, Table *table, size_t attributes, size_t service);
void table_scope_attributes(Session *session, Table *table, size_t column);
void column_attributes(Session *session, Column *column, const Buffer *list, size_t from,
                       size_t count);

/* Serialized size, and the table as one block of Native. */
size_t table_size(const Table *table);
void table_write(const Table *table, uint8_t *to);

static inline bool is_id(Slice id, size_t size)
{
    return slice_size(id) == 0 || slice_size(id) == size;
}

static inline bool is_trace_id(Slice id)
{
    return is_id(id, 16);
}

static inline bool is_span_id(Slice id)
{
    return is_id(id, 8);
}

/* Nanoseconds that DateTime64(9) can hold. */
static inline bool is_time(uint64_t nanoseconds)
{
    return nanoseconds <= INT64_MAX;
}

#endif
