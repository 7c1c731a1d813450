/* The Python side: arguments in, blocks out; the lock is released while requests are walked. */
#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "failure.h"
#include "session.h"
#include "transcode.h"

typedef struct {
    PyObject *malformed; /* the class MalformedError */
} State;

typedef struct {
    Session session;
    const Slice *bodies;
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
        session_request(&task->session, task->bodies[i]);
    session_finish(&task->session);
}

static void raise_failure(PyObject *module, const Failure *failure)
{
    State *state = PyModule_GetState(module);
    if (failure->where == NULL) {
        PyErr_NoMemory();
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
    if (!PyArg_ParseTuple(arguments, "Iy#:check", &number, &bytes, &size))
        return NULL;
    const Signal *signal = signal_of(number);
    if (signal == NULL)
        return NULL;
    Slice body = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    Task task = {.bodies = &body, .count = 1};
    session_begin(&task.session, signal, false);
    bool good = run(module, walk, &task);
    session_free(&task.session);
    if (!good)
        return NULL;
    return Py_BuildValue("(KKK)", (unsigned long long)task.session.items,
                         (unsigned long long)task.session.rejected,
                         (unsigned long long)task.session.expanded);
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

static PyObject *decode_slices(PyObject *module, const Signal *signal, const Slice *slices,
                               size_t count)
{
    Task *task = PyMem_Malloc(sizeof *task); /* the tables' columns are too many for the stack */
    if (task == NULL)
        return PyErr_NoMemory();
    task->bodies = slices;
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
    PyObject *bodies;
    if (!PyArg_ParseTuple(arguments, "IO!:decode", &number, &PyTuple_Type, &bodies))
        return NULL;
    const Signal *signal = signal_of(number);
    if (signal == NULL)
        return NULL;
    Slice *slices = PyMem_Malloc(((size_t)PyTuple_Size(bodies) + 1) * sizeof *slices);
    if (slices == NULL)
        return PyErr_NoMemory();
    PyObject *blocks = NULL;
    if (slices_of(bodies, slices))
        blocks = decode_slices(module, signal, slices, (size_t)PyTuple_Size(bodies));
    PyMem_Free(slices);
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
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "Iy#:from_json", &number, &bytes, &size))
        return NULL;
    if (signal_of(number) == NULL)
        return NULL;
    Transcoding work = {{(const uint8_t *)bytes, (const uint8_t *)bytes + size},
                        shapes[number], {0}, {0}};
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
    Py_DECREF(errors);
    return state->malformed == NULL ? -1 : seed();
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->malformed);
    return 0;
}

static int clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->malformed);
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
