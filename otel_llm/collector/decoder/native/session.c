#include "session.h"

#include "wire.h"

/* One of how many items tells what the columns become; how far ahead an item is asked for. */
enum { SAMPLE = 16, AHEAD = 4, LINE = 64, LINES = 12 };

void session_begin(Session *session, const Signal *signal, bool writing)
{
    memset(session, 0, sizeof *session);
    session->signal = signal;
    session->writing = writing;
    for (size_t i = 0; i < signal->tables_count; i++) {
        Table *table = session->tables + i;
        table->spec = signal->tables + i;
        for (size_t j = 0; j < table->spec->columns_count; j++)
            table->columns[j].spec = table->spec->columns + j;
    }
}

void scratch_clear(Scratch *scratch)
{
    for (size_t i = 0; i < LISTS; i++)
        scratch->lists[i].size = 0;
}

static void scratch_free(Scratch *scratch)
{
    for (size_t i = 0; i < LISTS; i++)
        buffer_free(scratch->lists + i);
    text_scratch_free(&scratch->text);
}

void session_free(Session *session)
{
    for (size_t i = 0; i < session->signal->tables_count; i++) {
        for (size_t j = 0; j < session->tables[i].spec->columns_count; j++)
            column_free(session->tables[i].columns + j);
    }
    for (size_t i = 0; i < session->resources.size / sizeof(Resource); i++)
        buffer_free(&((Resource *)session->resources.data)[i].attributes);
    for (size_t i = 0; i < session->scopes.size / sizeof(Scope); i++)
        buffer_free(&((Scope *)session->scopes.data)[i].attributes);
    buffer_free(&session->resources);
    buffer_free(&session->scopes);
    buffer_free(&session->waiting);
    buffer_free(&session->places);
    dictionary_free(&session->services);
    scratch_free(&session->scratch);
}

size_t attributes_bound(const Buffer *list)
{
    size_t bound = 0;
    for (size_t i = 0; i < attributes_count(list); i++) {
        const Attribute *pair = attributes(list) + i;
        bound += PAIR_BOUND + slice_size(pair->key) + value_bound(&pair->value);
    }
    return bound;
}

/* The next resource or scope of a list, zeroed; only counting, the one that is there again. */
static void *begin(Buffer *list, size_t *current, size_t size, bool writing)
{
    if (writing || list->size == 0) {
        memset(buffer_item(list, size), 0, size);
        *current = list->size / size - 1;
    }
    return list->data + *current * size;
}

static void read_resource(Resource *resource, Slice message)
{
    Field field;
    while (wire_next(&message, &field, "Resource")) {
        if (field.number == 1)
            attribute_add(&resource->attributes, field_bytes(&field, "Resource.attributes"));
    }
}

static void read_scope(Scope *scope, Slice message)
{
    static const char where[] = "InstrumentationScope";
    Field field;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            scope->name = field_bytes(&field, where);
        else if (field.number == 2)
            scope->version = field_bytes(&field, where);
        else if (field.number == 3)
            attribute_add(&scope->attributes, field_bytes(&field, where));
        else if (field.number == 4)
            scope->dropped = (uint32_t)field_varint(&field, where);
    }
}

/* Asks the memory for the beginning of an item that comes soon, as if all were as long as this. */
static void expect_after(Slice message)
{
    uintptr_t next = (uintptr_t)message.end + AHEAD * slice_size(message);
    for (size_t i = 0; i < 3 * LINE; i += LINE)
        __builtin_prefetch((const void *)(next + i));
}

/* Fields may come in any order, so what items share is read before them. */
static void begin_scope(Session *session, Slice message)
{
    const char *where = session->signal->scopes;
    Slice none = slice_of("");
    Field field;
    Scope *scope = begin(&session->scopes, &session->scope, sizeof *scope, session->writing);
    Buffer kept = scope->attributes;
    *scope = (Scope){.name = none, .version = none, .schema_url = none, .attributes = kept};
    scope->attributes.size = 0;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            read_scope(scope, field_bytes(&field, where));
        else if (field.number == 3)
            scope->schema_url = field_bytes(&field, where);
        else if (field.wire == WIRE_BYTES)
            expect_after(field.bytes);
    }
    scope->bound = slice_size(scope->name) + slice_size(scope->version) +
                   slice_size(scope->schema_url) + attributes_bound(&scope->attributes);
    session->expanded += sizeof *scope + scope->bound;
}

/* Counting, an item is read at once; writing, when all are there. */
static void take_item(Session *session, Slice message)
{
    if (!session->writing) {
        session->expanded += ITEM_BOUND;
        session->signal->read(session, message);
        return;
    }
    Item item = {.message = message, .resource = session->resource, .scope = session->scope};
    if (session->signal->key)
        session->signal->key(message, item.key);
    *(Item *)buffer_item(&session->waiting, sizeof item) = item;
}

/* Sorted items lie far from each other: one that comes soon is asked of the memory now. */
static void expect(const Item *item)
{
    for (size_t i = 0; i < LINES * LINE && i < slice_size(item->message); i += LINE)
        __builtin_prefetch(item->message.at + i);
}

/* After a sixteenth of the items: columns will hold about sixteen times as much, and are given a
 * quarter more. What strangers send may mislead; it costs address space, and no column gets more of
 * it than twice what they sent. */
static void reserve(Session *session)
{
    for (size_t i = 0; i < session->signal->tables_count; i++) {
        Table *table = session->tables + i;
        for (size_t j = 0; j < table->spec->columns_count; j++)
            column_reserve(table->columns + j, SAMPLE + SAMPLE / 4, 2 * session->bytes);
    }
}

/* All items in the order they came. */
static void place_items(Session *session)
{
    Item *items = (Item *)session->waiting.data;
    size_t count = session->waiting.size / sizeof *items;
    Place *places = (Place *)buffer_room(&session->places, count * sizeof *places);
    for (size_t i = 0; i < count; i++)
        places[i] = (Place){.item = items + i};
    session->places.size = count * sizeof *places;
}

void session_finish(Session *session)
{
    place_items(session);
    if (session->signal->key)
        session_sort(session);
    const Place *places = (const Place *)session->places.data;
    size_t count = session->places.size / sizeof *places;
    for (size_t i = 0; i < count; i++) {
        const Item *item = places[i].item;
        if (i + 2 * AHEAD < count)
            __builtin_prefetch(places[i + 2 * AHEAD].item);
        if (i + AHEAD < count)
            expect(places[i + AHEAD].item);
        if (i == count / SAMPLE)
            reserve(session);
        session->resource = item->resource;
        session->scope = item->scope;
        session->signal->read(session, item->message);
    }
}

static void scope_items(Session *session, Slice message)
{
    Field field;
    begin_scope(session, message);
    while (wire_next(&message, &field, session->signal->scopes)) {
        if (field.number == 2)
            take_item(session, field_bytes(&field, session->signal->item));
    }
}

static void begin_resource(Session *session, Slice message)
{
    const char *where = session->signal->resources;
    Field field;
    Resource *resource =
        begin(&session->resources, &session->resource, sizeof *resource, session->writing);
    Buffer kept = resource->attributes;
    *resource = (Resource){
        .attributes = kept, .schema_url = slice_of(""), .window = session->window};
    resource->attributes.size = 0;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            read_resource(resource, field_bytes(&field, where));
        else if (field.number == 3)
            resource->schema_url = field_bytes(&field, where);
    }
    if (session->writing && session->signal->key)
        resource->service = dictionary_number(&session->services, session_service(session));
    resource->bound = attributes_bound(&resource->attributes) + slice_size(resource->schema_url);
    session->expanded += sizeof *resource + resource->bound;
}

static void resource_scopes(Session *session, Slice message)
{
    const char *where = session->signal->resources;
    Field field;
    begin_resource(session, message);
    while (wire_next(&message, &field, where)) {
        if (field.number == 2)
            scope_items(session, field_bytes(&field, where));
    }
}

void session_request(Session *session, Slice body, Window window)
{
    const char *where = session->signal->request;
    Field field;
    session->bytes += slice_size(body);
    session->window = window;
    while (wire_next(&body, &field, where)) {
        if (field.number == 1)
            resource_scopes(session, field_bytes(&field, where));
    }
}

bool session_item(Session *session, bool possible, uint64_t time, size_t bound)
{
    const Window *window = &session_resource(session)->window;
    bool outside = possible && ((int64_t)time < window->oldest || (int64_t)time > window->newest);
    bool kept = possible && !outside;
    session->items++;
    session->rejected += !kept;
    session->outside += outside;
    if (kept)
        session->expanded += ROW_BOUND + session_resource(session)->bound + session_scope(session)->bound;
    session->expanded += bound;
    return kept && session->writing;
}

void column_attributes(Session *session, Column *column, const Buffer *list, size_t from,
                       size_t count)
{
    Attribute *pairs = count ? (Attribute *)list->data + from : NULL;
    column_map(column, pairs, count, &session->scratch.text);
}

Slice session_service(Session *session)
{
    const Buffer *list = &session_resource(session)->attributes;
    Slice name = slice_of("service.name");
    for (size_t i = attributes_count(list); i-- > 0;) {
        if (slice_equal(attributes(list)[i].key, name))
            return value_text(&attributes(list)[i].value, &session->scratch.text);
    }
    return slice_of("");
}

static Use *use_of(Session *session, const Table *table, Use *uses)
{
    return uses + (table - session->tables);
}

/* False if the map was written before, and was written again just now. */
static bool first_use(Use *use, Column *column)
{
    if (use->written)
        column_map_again(column, use->map);
    return !use->written;
}

static void write_use(Session *session, Use *use, Column *column, Buffer *list)
{
    use->written = true;
    use->map = column_map(column, (Attribute *)list->data, attributes_count(list),
                          &session->scratch.text);
}

void table_resource(Session *session, Table *table, size_t map, size_t service)
{
    Resource *resource = session_resource(session);
    Use *use = use_of(session, table, resource->uses);
    if (first_use(use, table->columns + map)) {
        use->service =
            dictionary_number(&table->columns[service].dictionary, session_service(session));
        write_use(session, use, table->columns + map, &resource->attributes);
    }
    column_number(table->columns + service, use->service);
}

void table_scope_attributes(Session *session, Table *table, size_t map)
{
    Scope *scope = session_scope(session);
    Use *use = use_of(session, table, scope->uses);
    if (first_use(use, table->columns + map))
        write_use(session, use, table->columns + map, &scope->attributes);
}

static size_t varint_size(uint64_t number)
{
    size_t size = 1;
    for (; number > 0x7f; number >>= 7)
        size++;
    return size;
}

static uint8_t *put_varint(uint8_t *to, uint64_t number)
{
    for (; number > 0x7f; number >>= 7)
        *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

size_t table_size(const Table *table)
{
    size_t size = varint_size(table->spec->columns_count) + varint_size(table->rows);
    for (size_t i = 0; i < table->spec->columns_count; i++)
        size += column_size(table->columns + i, table->rows);
    return size;
}

void table_write(const Table *table, uint8_t *to)
{
    to = put_varint(to, table->spec->columns_count);
    to = put_varint(to, table->rows);
    for (size_t i = 0; i < table->spec->columns_count; i++)
        to = column_write(table->columns + i, table->rows, to);
}
