/* Numbers of the members of steps, one step after another. */
#include "reading.h"

/* How many numbers all parts hold; -1 with an error set. No part can change: no code runs. */
static Py_ssize_t counted(PyObject *parts)
{
    Py_ssize_t all = 0, count = PyList_Size(parts);
    for (Py_ssize_t at = 0; at < count; at++) {
        char *from;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyList_GetItem(parts, at), &from, &size) < 0)
            return -1;
        if (size % (Py_ssize_t)sizeof(int64_t)) {
            PyErr_SetString(PyExc_ValueError, "a number takes eight bytes");
            return -1;
        }
        all += size / (Py_ssize_t)sizeof(int64_t);
    }
    if (all <= INT32_MAX)
        return all;
    PyErr_SetString(PyExc_OverflowError, "a column has too many values");
    return -1;
}

static bool write_members(PyObject *parts, unsigned width, uint8_t *to, int32_t *ends, int64_t *sums)
{
    Py_ssize_t count = PyList_Size(parts);
    *ends = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *part = PyList_GetItem(parts, at);
        size_t members = (size_t)PyBytes_Size(part) / sizeof(int64_t);
        if (!narrowed((const int64_t *)PyBytes_AsString(part), members, width, to, sums + at)) {
            PyErr_SetString(PyExc_OverflowError, "a number does not fit its column");
            return false;
        }
        to += width * members;
        ends[at + 1] = ends[at] + (int32_t)members;
    }
    return true;
}

PyObject *members(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *parts, *made = NULL;
    int width;
    if (!PyArg_ParseTuple(arguments, "O!i:members", &PyList_Type, &parts, &width))
        return NULL;
    if (width != 4 && width != 8) {
        PyErr_SetString(PyExc_ValueError, "a member's number takes 4 or 8 bytes");
        return NULL;
    }
    Py_ssize_t all = counted(parts), count = PyList_Size(parts);
    Buffer values = {NULL, NULL}, ends = {NULL, NULL}, sums = {NULL, NULL};
    if (all >= 0 && buffer_begin(&values, all, (size_t)width) &&
        buffer_begin(&ends, count + 1, sizeof(int32_t)) &&
        buffer_begin(&sums, count, sizeof(int64_t)) &&
        write_members(parts, (unsigned)width, values.at, (int32_t *)ends.at, (int64_t *)sums.at))
        made = PyTuple_Pack(3, values.bytes, ends.bytes, sums.bytes);
    Py_XDECREF(values.bytes);
    Py_XDECREF(ends.bytes);
    Py_XDECREF(sums.bytes);
    return made;
}
