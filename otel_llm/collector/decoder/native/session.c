#include "session.h"

#include "wire.h"

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
    buffer_free(&session->resource.attributes);
    buffer_free(&session->scope.attributes);
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

/* Fields may come in any order, so what items share is read before them. */
static void begin_scope(Session *session, Slice message)
{
    const char *where = session->signal->scopes;
    Scope *scope = &session->scope;
    Slice none = slice_of("");
    Field field;
    *scope = (Scope){scope->serial + 1, none, none, none, scope->attributes, 0, 0};
    scope->attributes.size = 0;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            read_scope(scope, field_bytes(&field, where));
        else if (field.number == 3)
            scope->schema_url = field_bytes(&field, where);
    }
    scope->bound = slice_size(scope->name) + slice_size(scope->version) +
                   slice_size(scope->schema_url) + attributes_bound(&scope->attributes);
    session->expanded += scope->bound;
}

static void scope_items(Session *session, Slice message)
{
    Field field;
    begin_scope(session, message);
    while (wire_next(&message, &field, session->signal->scopes)) {
        if (field.number == 2)
            session->signal->read(session, field_bytes(&field, session->signal->item));
    }
}

static void begin_resource(Session *session, Slice message)
{
    const char *where = session->signal->resources;
    Resource *resource = &session->resource;
    Field field;
    *resource = (Resource){resource->serial + 1, resource->attributes, slice_of(""), 0};
    resource->attributes.size = 0;
    while (wire_next(&message, &field, where)) {
        if (field.number == 1)
            read_resource(resource, field_bytes(&field, where));
        else if (field.number == 3)
            resource->schema_url = field_bytes(&field, where);
    }
    resource->bound = attributes_bound(&resource->attributes) + slice_size(resource->schema_url);
    session->expanded += resource->bound;
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

void session_request(Session *session, Slice body)
{
    const char *where = session->signal->request;
    Field field;
    while (wire_next(&body, &field, where)) {
        if (field.number == 1)
            resource_scopes(session, field_bytes(&field, where));
    }
}

bool session_item(Session *session, bool possible, size_t bound)
{
    session->items++;
    session->rejected += !possible;
    if (possible)
        session->expanded += ROW_BOUND + session->resource.bound + session->scope.bound;
    session->expanded += bound;
    return possible && session->writing;
}

void column_attributes(Session *session, Column *column, const Buffer *list, size_t from,
                       size_t count)
{
    column_map(column, (Attribute *)list->data + from, count, &session->scratch.text);
}

/* What the collector's exporter calls the service: the attribute's text, and nothing without it. */
static Slice service_of(Session *session)
{
    const Buffer *list = &session->resource.attributes;
    Slice name = slice_of("service.name");
    for (size_t i = attributes_count(list); i-- > 0;) {
        if (slice_equal(attributes(list)[i].key, name))
            return value_text(&attributes(list)[i].value, &session->scratch.text);
    }
    return slice_of("");
}

void table_resource(Session *session, Table *table, size_t map, size_t service)
{
    const Resource *resource = &session->resource;
    if (table->resource == resource->serial) {
        column_map_again(table->columns + map, table->resource_map);
    } else {
        table->resource = resource->serial;
        table->service =
            dictionary_number(&table->columns[service].dictionary, service_of(session));
        table->resource_map =
            column_map(table->columns + map, (Attribute *)resource->attributes.data,
                       attributes_count(&resource->attributes), &session->scratch.text);
    }
    column_number(table->columns + service, table->service);
}

void table_scope_attributes(Session *session, Table *table, size_t map)
{
    const Scope *scope = &session->scope;
    if (table->scope == scope->serial) {
        column_map_again(table->columns + map, table->scope_map);
        return;
    }
    table->scope = scope->serial;
    table->scope_map = column_map(table->columns + map, (Attribute *)scope->attributes.data,
                                  attributes_count(&scope->attributes), &session->scratch.text);
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
