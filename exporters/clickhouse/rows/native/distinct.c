/* Distinct values of a column, and which of them each entry has. */
#include "reading.h"

typedef struct {
    PyObject *numbers; /* number of each distinct value, by its text or its address */
    PyObject *each;    /* the distinct values, in the order of their numbers */
    PyObject *last;    /* most values are the object before them; our own, so that none takes its
                          address */
    PyObject *empty;   /* text */
    int32_t place;     /* of the last */
    bool by_text;
} Distinct;

static bool distinct_begin(Distinct *distinct, bool by_text)
{
    *distinct = (Distinct){PyDict_New(), PyList_New(0), NULL, PyUnicode_FromString(""), 0, by_text};
    return distinct->numbers && distinct->each && distinct->empty;
}

static void distinct_end(Distinct *distinct)
{
    Py_XDECREF(distinct->numbers);
    Py_XDECREF(distinct->each);
    Py_XDECREF(distinct->last);
    Py_XDECREF(distinct->empty);
}

static bool distinct_add(Distinct *distinct, PyObject *key, PyObject *value)
{
    Py_ssize_t place = PyList_Size(distinct->each);
    if (place >= INT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a column has too many values");
        return false;
    }
    PyObject *number = PyLong_FromSsize_t(place);
    bool good = number && PyList_Append(distinct->each, value) == 0 &&
                PyDict_SetItem(distinct->numbers, key, number) == 0;
    Py_XDECREF(number);
    distinct->place = (int32_t)place;
    return good;
}

static bool distinct_find(Distinct *distinct, PyObject *key, PyObject *value)
{
    PyObject *number = PyDict_GetItemWithError(distinct->numbers, key);
    if (number) {
        distinct->place = (int32_t)PyLong_AsLong(number);
        return true;
    }
    return !PyErr_Occurred() && distinct_add(distinct, key, value);
}

/* Turns to a value; takes its reference. Where there is no text, the column has the empty one. */
static bool distinct_turn(Distinct *distinct, PyObject *value)
{
    if (value == distinct->last) {
        Py_DECREF(value);
        return true;
    }
    Py_XDECREF(distinct->last);
    distinct->last = value;
    if (!distinct->by_text) {
        PyObject *key = PyLong_FromVoidPtr(value);
        bool good = key && distinct_find(distinct, key, value);
        Py_XDECREF(key);
        return good;
    }
    if (value != Py_None && !PyUnicode_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "a text was expected");
        return false;
    }
    PyObject *text = value == Py_None ? distinct->empty : value;
    return distinct_find(distinct, text, text);
}

static bool write_places(const Source *source, Distinct *distinct, int32_t *to)
{
    for (Py_ssize_t at = 0; at < source->count; at++) {
        PyObject *value = value_at(source, at);
        if (value == NULL || !distinct_turn(distinct, value))
            return false;
        to[at] = distinct->place;
    }
    return true;
}

PyObject *places(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *objects, *name, *made = NULL;
    int by_text;
    Source source;
    if (!PyArg_ParseTuple(arguments, "O!Op:places", &PyList_Type, &objects, &name, &by_text) ||
        !source_begin(&source, objects, name))
        return NULL;
    Distinct distinct;
    Buffer found = {NULL, NULL};
    if (distinct_begin(&distinct, by_text) &&
        buffer_begin(&found, source.count, sizeof(int32_t)) &&
        write_places(&source, &distinct, (int32_t *)found.at))
        made = PyTuple_Pack(2, found.bytes, distinct.each);
    Py_XDECREF(found.bytes);
    distinct_end(&distinct);
    source_end(&source);
    return made;
}
