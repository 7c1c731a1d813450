/* The Python side: numbers come as the bytes of arrays, so that nothing here points at memory that
 * somebody else may change. */
#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>

#include "numbers.h"
#include "seats.h"

typedef struct {
    PyObject_HEAD
    Seats seats;
} Table;

static Seats *seats_of(PyObject *self)
{
    return &((Table *)self)->seats;
}

typedef struct {
    const int64_t *at;
    size_t count;
} Column;

/* Eight bytes for each number. */
static bool column_of(PyObject *bytes, Column *column)
{
    char *at;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &at, &size) < 0)
        return false;
    *column = (Column){(const int64_t *)at, (size_t)size / sizeof(int64_t)};
    if ((size_t)size % sizeof(int64_t) == 0)
        return true;
    PyErr_SetString(PyExc_ValueError, "a number takes eight bytes");
    return false;
}

static bool are_even(bool even)
{
    if (!even)
        PyErr_SetString(PyExc_ValueError, "there must be as many of each");
    return even;
}

static bool append(PyObject *list, long long number)
{
    PyObject *item = PyLong_FromLongLong(number);
    bool good = item && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return good;
}

static PyObject *none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

/* -- seats of single requests */

static PyObject *take(PyObject *self, PyObject *arguments)
{
    long long request;
    if (!PyArg_ParseTuple(arguments, "L:take", &request))
        return NULL;
    if (request < 0) {
        PyErr_SetString(PyExc_ValueError, "a request's number is at least 0");
        return NULL;
    }
    return seats_take(seats_of(self), request) ? none() : PyErr_NoMemory();
}

static PyObject *leave(PyObject *self, PyObject *arguments)
{
    long long request;
    if (!PyArg_ParseTuple(arguments, "L:leave", &request))
        return NULL;
    return PyBool_FromLong(seats_leave(seats_of(self), request));
}

static PyObject *discarded(PyObject *self, PyObject *arguments)
{
    long long request, context, tokens, prompt_tokens;
    if (!PyArg_ParseTuple(arguments, "LLLL:discarded", &request, &context, &tokens, &prompt_tokens))
        return NULL;
    Seat *seat = seats_get(seats_of(self), request);
    if (seat)
        seat_discarded(seat, context, tokens, prompt_tokens);
    return none();
}

static PyObject *numbers(PyObject *self, PyObject *arguments)
{
    long long request;
    if (!PyArg_ParseTuple(arguments, "L:numbers", &request))
        return NULL;
    const Seat *seat = seats_get(seats_of(self), request);
    if (seat == NULL)
        return none();
    Seat known = *seat; /* it may move while the list is made */
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < NUMBERS; i++) {
        if (!append(list, known.numbers[i]))
            Py_CLEAR(list);
    }
    return list;
}

/* -- a step's members */

static PyObject *unseen(PyObject *self, PyObject *arguments)
{
    PyObject *bytes;
    Column request;
    if (!PyArg_ParseTuple(arguments, "S:unseen", &bytes) || !column_of(bytes, &request))
        return NULL;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < request.count; i++) {
        if (seats_at(seats_of(self), i, request.at[i]) == NULL && !append(list, request.at[i]))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *resumed_of(Seats *seats, const Batch *batch, int64_t schedule_ns)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < batch->count; i++) {
        Seat *seat = seats_at(seats, i, batch->request[i]);
        if (seat &&
            seat_included(seat, batch->phase[i], batch->context[i], batch->tokens[i], schedule_ns) &&
            !append(list, (long long)i))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *included(PyObject *self, PyObject *arguments)
{
    PyObject *bytes[4];
    Column request, tokens, context;
    char *phase;
    Py_ssize_t phases;
    long long schedule_ns;
    if (!PyArg_ParseTuple(arguments, "SSSSL:included", bytes, bytes + 1, bytes + 2, bytes + 3,
                          &schedule_ns) ||
        !column_of(bytes[0], &request) || PyBytes_AsStringAndSize(bytes[1], &phase, &phases) < 0 ||
        !column_of(bytes[2], &tokens) || !column_of(bytes[3], &context) ||
        !are_even(request.count == (size_t)phases && request.count == tokens.count &&
                  request.count == context.count))
        return NULL;
    Batch batch = {request.at, (const uint8_t *)phase, tokens.at, context.at, request.count};
    return resumed_of(seats_of(self), &batch, schedule_ns);
}

static PyObject *emitted(PyObject *self, PyObject *arguments)
{
    PyObject *bytes[2];
    Column request, tokens;
    long long result_ns;
    if (!PyArg_ParseTuple(arguments, "SSL:emitted", bytes, bytes + 1, &result_ns) ||
        !column_of(bytes[0], &request) || !column_of(bytes[1], &tokens) ||
        !are_even(request.count == tokens.count))
        return NULL;
    for (size_t i = 0; i < request.count; i++) {
        Seat *seat = seats_at(seats_of(self), i, request.at[i]);
        if (seat)
            seat_emitted(seat, tokens.at[i], result_ns);
    }
    return none();
}

static PyObject *rejected(PyObject *self, PyObject *arguments)
{
    PyObject *bytes[3];
    Column request, drafts, accepted;
    if (!PyArg_ParseTuple(arguments, "SSS:rejected", bytes, bytes + 1, bytes + 2) ||
        !column_of(bytes[0], &request) || !column_of(bytes[1], &drafts) ||
        !column_of(bytes[2], &accepted) ||
        !are_even(request.count == drafts.count && request.count == accepted.count))
        return NULL;
    for (size_t i = 0; i < request.count; i++) {
        Seat *seat = seats_at(seats_of(self), i, request.at[i]);
        if (seat && accepted.at[i] >= 0 && drafts.at[i] > accepted.at[i])
            seat_rejected(seat, drafts.at[i] - accepted.at[i]);
    }
    return none();
}

/* -- all of them */

static Py_ssize_t length(PyObject *self)
{
    return (Py_ssize_t)seats_taken(seats_of(self));
}

/* For the checkpoint: a row of requests, then one for each number. */
static PyObject *table(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    const Seats *seats = seats_of(self);
    size_t taken = seats_taken(seats), column = 0;
    PyObject *bytes = PyBytes_FromStringAndSize(
        NULL, (Py_ssize_t)((1 + NUMBERS) * taken * sizeof(int64_t)));
    if (bytes == NULL)
        return NULL;
    int64_t *to = (int64_t *)PyBytes_AsString(bytes);
    for (size_t i = 0; i < seats->room; i++) {
        const Seat *seat = seats->seats + i;
        if (seat->request == ABSENT)
            continue;
        to[column] = seat->request;
        for (size_t number = 0; number < NUMBERS; number++)
            to[(1 + number) * taken + column] = seat->numbers[number];
        column++;
    }
    return bytes;
}

static bool filled(Seats *seats, const int64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (from[i] < 0 || seats_get(seats, from[i])) {
            PyErr_SetString(PyExc_ValueError, "two seats of one request, or one of nobody");
            return false;
        }
        Seat *seat = seats_take(seats, from[i]);
        if (seat == NULL) {
            PyErr_NoMemory();
            return false;
        }
        for (size_t number = 0; number < NUMBERS; number++)
            seat->numbers[number] = from[(1 + number) * count + i];
    }
    return true;
}

static PyObject *fill(PyObject *self, PyObject *arguments)
{
    PyObject *bytes;
    Column all;
    if (!PyArg_ParseTuple(arguments, "S:fill", &bytes) || !column_of(bytes, &all) ||
        !are_even(all.count % (1 + NUMBERS) == 0))
        return NULL;
    return filled(seats_of(self), all.at, all.count / (1 + NUMBERS)) ? none() : NULL;
}

/* -- the type */

/* The interpreter's own secret: hashes of bytes differ from process to process. */
static bool secret_of(uint64_t *secret)
{
    PyObject *bytes = PyBytes_FromString("otel_llm");
    if (bytes == NULL)
        return false;
    *secret = (uint64_t)PyObject_Hash(bytes);
    Py_DECREF(bytes);
    return true;
}

static PyObject *new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    (void)arguments, (void)named;
    uint64_t secret;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self = secret_of(&secret) ? allocate(type, 0) : NULL;
    if (self && !seats_begin(seats_of(self), secret)) {
        Py_CLEAR(self);
        PyErr_NoMemory();
    }
    return self;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    seats_free(seats_of(self));
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef table_methods[] = {
    {"take", take, METH_VARARGS, NULL},
    {"leave", leave, METH_VARARGS, NULL},
    {"discarded", discarded, METH_VARARGS, NULL},
    {"numbers", numbers, METH_VARARGS, NULL},
    {"unseen", unseen, METH_VARARGS, NULL},
    {"included", included, METH_VARARGS, NULL},
    {"emitted", emitted, METH_VARARGS, NULL},
    {"rejected", rejected, METH_VARARGS, NULL},
    {"table", table, METH_NOARGS, NULL},
    {"fill", fill, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_new, (void *)new},
    {Py_tp_dealloc, (void *)dealloc},
    {Py_tp_methods, table_methods},
    {Py_sq_length, (void *)length},
    {0, NULL},
};

static PyType_Spec table_spec = {
    .name = "otel_llm.agent._native.Table",
    .basicsize = sizeof(Table),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = table_slots,
};

/* -- lists of numbers */

static PyObject *packed(PyObject *module, PyObject *arguments)
{
    (void)module;
    const char *record;
    Py_ssize_t size;
    unsigned long long lists;
    if (!PyArg_ParseTuple(arguments, "y#K:packed", &record, &size, &lists))
        return NULL;
    uint8_t *to = malloc(packed_most((size_t)size) + 1);
    if (to == NULL)
        return PyErr_NoMemory();
    size_t made = numbers_packed((const uint8_t *)record, (size_t)size, lists, to);
    PyObject *bytes = made ? PyBytes_FromStringAndSize((const char *)to, (Py_ssize_t)made) : none();
    free(to);
    return bytes;
}

static PyObject *bits(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *bytes;
    Column all;
    if (!PyArg_ParseTuple(arguments, "S:bits", &bytes) || !column_of(bytes, &all))
        return NULL;
    return PyLong_FromLongLong(numbers_bits(all.at, all.count));
}

/* Whether a list has nothing but integers from 0 to a top. */
static PyObject *within(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *list;
    long long top;
    if (!PyArg_ParseTuple(arguments, "OL:within", &list, &top))
        return NULL;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list is wanted");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_Size(list); i++) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(PyList_GetItem(list, i), &overflow);
        if (number == -1 && PyErr_Occurred())
            return NULL;
        if (overflow || number < 0 || number > top)
            return PyBool_FromLong(0);
    }
    return PyBool_FromLong(1);
}

static PyMethodDef methods[] = {
    {"packed", packed, METH_VARARGS, NULL},
    {"within", within, METH_VARARGS, NULL},
    {"bits", bits, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &table_spec, NULL);
    int added = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return added;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
