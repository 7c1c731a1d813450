/* The Python side: arguments in, blocks out; the lock is released while requests are walked. */
#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "failure.h"
#include "session.h"
#include "transcode.h"

typedef struct {
    PyObject *malformed, *oversize; /* the classes MalformedError and OversizeError */
} State;

typedef struct {
    Session session;
    const Slice *bodies;
    const Window *windows; /* one for each body */
    size_t count;
} Task;

static const Signal *const signals[] = {&TRACES, &LOGS, &METRICS};
static const Shape *const shapes[] = {&TRACES_SHAPE, &LOGS_SHAPE, &METRICS_SHAPE};
enum { SIGNALS = sizeof signals / sizeof *signals };

static const Signal *signal_of(unsigned number)
{
    if (number < SIGNALS)
        return signals[number];
    PyErr_SetString(PyExc_ValueError, "there is no such signal");
    return NULL;
}

static void walk(void *with)
{
    Task *task = with;
    for (size_t i = 0; i < task->count; i++)
        session_request(&task->session, task->bodies[i], task->windows[i]);
    session_finish(&task->session);
}

static void raise_failure(PyObject *module, const Failure *failure)
{
    State *state = PyModule_GetState(module);
    if (failure->kind == NO_MEMORY) {
        PyErr_NoMemory();
        return;
    }
    if (failure->kind == OVERSIZE) {
        PyErr_SetString(state->oversize, "the request takes more than its limit as protobuf");
        return;
    }
    PyObject *arguments = Py_BuildValue("(ss)", failure->where, failure->why);
    if (arguments)
        PyErr_SetObject(state->malformed, arguments);
    Py_XDECREF(arguments);
}

static bool run(PyObject *module, Walk *with, void *task)
{
    Failure failure;
    bool good;
    Py_BEGIN_ALLOW_THREADS
    good = attempt(&failure, with, task);
    Py_END_ALLOW_THREADS
    if (!good)
        raise_failure(module, &failure);
    return good;
}

static PyObject *check(PyObject *module, PyObject *arguments)
{
    unsigned number;
    const char *bytes;
    Py_ssize_t size;
    long long oldest, newest;
    if (!PyArg_ParseTuple(arguments, "Iy#LL:check", &number, &bytes, &size, &oldest, &newest))
        return NULL;
    const Signal *signal = signal_of(number);
    if (signal == NULL)
        return NULL;
    Slice body = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    Window window = {oldest, newest};
    Task task = {.bodies = &body, .windows = &window, .count = 1};
    session_begin(&task.session, signal, false);
    bool good = run(module, walk, &task);
    session_free(&task.session);
    if (!good)
        return NULL;
    return Py_BuildValue("(KKKK)", (unsigned long long)task.session.items,
                         (unsigned long long)task.session.rejected,
                         (unsigned long long)task.session.expanded,
                         (unsigned long long)task.session.outside);
}

static PyObject *block_of(const Table *table)
{
    size_t size = table_size(table);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes == NULL)
        return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AsString(bytes);
    memory_large(to, size);
    Py_BEGIN_ALLOW_THREADS
    table_write(table, to);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("(sKN)", table->spec->name, (unsigned long long)table->rows, bytes);
}

static PyObject *blocks_of(const Session *session)
{
    PyObject *blocks = PyList_New(0);
    for (size_t i = 0; blocks && i < session->signal->tables_count; i++) {
        if (session->tables[i].rows == 0)
            continue;
        PyObject *block = block_of(session->tables + i);
        if (block == NULL || PyList_Append(blocks, block) < 0)
            Py_CLEAR(blocks);
        Py_XDECREF(block);
    }
    return blocks;
}

static bool slices_of(PyObject *bodies, Slice *slices)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(bodies); i++) {
        char *bytes;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(bodies, i), &bytes, &size) < 0)
            return false;
        slices[i] = (Slice){(uint8_t *)bytes, (uint8_t *)bytes + size};
    }
    return true;
}

static bool windows_of(PyObject *pairs, Window *windows)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(pairs); i++) {
        long long oldest, newest;
        if (!PyArg_ParseTuple(PyTuple_GetItem(pairs, i), "LL", &oldest, &newest))
            return false;
        windows[i] = (Window){oldest, newest};
    }
    return true;
}

static PyObject *decode_slices(PyObject *module, const Signal *signal, const Slice *slices,
                               const Window *windows, size_t count)
{
    Task *task = PyMem_Malloc(sizeof *task); /* the tables' columns are too many for the stack */
    if (task == NULL)
        return PyErr_NoMemory();
    task->bodies = slices;
    task->windows = windows;
    task->count = count;
    session_begin(&task->session, signal, true);
    PyObject *blocks = run(module, walk, task) ? blocks_of(&task->session) : NULL;
    session_free(&task->session);
    PyMem_Free(task);
    return blocks;
}

static PyObject *decode(PyObject *module, PyObject *arguments)
{
    unsigned number;
    PyObject *bodies, *pairs;
    if (!PyArg_ParseTuple(arguments, "IO!O!:decode", &number, &PyTuple_Type, &bodies,
                          &PyTuple_Type, &pairs))
        return NULL;
    const Signal *signal = signal_of(number);
    if (signal == NULL)
        return NULL;
    if (PyTuple_Size(bodies) != PyTuple_Size(pairs)) {
        PyErr_SetString(PyExc_ValueError, "there must be as many windows as bodies");
        return NULL;
    }
    size_t count = (size_t)PyTuple_Size(bodies);
    Slice *slices = PyMem_Malloc((count + 1) * sizeof *slices);
    Window *windows = PyMem_Malloc((count + 1) * sizeof *windows);
    PyObject *blocks = NULL;
    if (slices == NULL || windows == NULL)
        PyErr_NoMemory();
    else if (slices_of(bodies, slices) && windows_of(pairs, windows))
        blocks = decode_slices(module, signal, slices, windows, count);
    PyMem_Free(slices);
    PyMem_Free(windows);
    return blocks;
}

static void walk_json(void *with)
{
    transcode(with);
}

static PyObject *from_json(PyObject *module, PyObject *arguments)
{
    unsigned number;
    const char *bytes;
    Py_ssize_t size, limit;
    if (!PyArg_ParseTuple(arguments, "Iy#n:from_json", &number, &bytes, &size, &limit))
        return NULL;
    if (signal_of(number) == NULL)
        return NULL;
    Transcoding work = {{(const uint8_t *)bytes, (const uint8_t *)bytes + size},
                        shapes[number], limit < 0 ? 0 : (size_t)limit, {0}, {0}};
    PyObject *made = NULL;
    if (run(module, walk_json, &work))
        made = PyBytes_FromStringAndSize((const char *)work.protobuf.data,
                                         (Py_ssize_t)work.protobuf.size);
    transcode_free(&work);
    return made;
}

static PyObject *column_types(const TableSpec *table)
{
    PyObject *all = PyTuple_New((Py_ssize_t)table->columns_count);
    for (size_t i = 0; all && i < table->columns_count; i++) {
        PyObject *one = Py_BuildValue("(ss)", table->columns[i].name, table->columns[i].type);
        if (one == NULL)
            Py_CLEAR(all);
        else
            PyTuple_SetItem(all, (Py_ssize_t)i, one);
    }
    return all;
}

static bool add_columns(PyObject *all, const TableSpec *table)
{
    PyObject *types = column_types(table);
    bool good = types && PyDict_SetItemString(all, table->name, types) == 0;
    Py_XDECREF(types);
    return good;
}

static PyObject *columns(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < SIGNALS; i++) {
        for (size_t j = 0; all && j < signals[i]->tables_count; j++) {
            if (!add_columns(all, signals[i]->tables + j))
                Py_CLEAR(all);
        }
    }
    return all;
}

/* The interpreter's own secret: hashes of bytes differ from process to process. */
static int seed(void)
{
    PyObject *bytes = PyBytes_FromString("otel_llm");
    if (bytes == NULL)
        return -1;
    Py_hash_t hash = PyObject_Hash(bytes);
    Py_DECREF(bytes);
    dictionary_seed((uint64_t)hash);
    return 0;
}

static int execute(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *errors = PyImport_ImportModule("otel_llm.collector.decoder.errors");
    if (errors == NULL)
        return -1;
    state->malformed = PyObject_GetAttrString(errors, "MalformedError");
    state->oversize = PyObject_GetAttrString(errors, "OversizeError");
    Py_DECREF(errors);
    return state->malformed == NULL || state->oversize == NULL ? -1 : seed();
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->malformed);
    Py_VISIT(state->oversize);
    return 0;
}

static int clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->malformed);
    Py_CLEAR(state->oversize);
    return 0;
}

static PyMethodDef methods[] = {
    {"check", check, METH_VARARGS, NULL},
    {"decode", decode, METH_VARARGS, NULL},
    {"from_json", from_json, METH_VARARGS, NULL},
    {"columns", columns, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
