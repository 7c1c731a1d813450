/* Columns of integers, and of lists of them. */
#include "reading.h"

#include <stdlib.h>

static bool form_parse(PyObject *arguments, PyObject **objects, PyObject **name, Form *form)
{
    int width, is_signed;
    if (!PyArg_ParseTuple(arguments, "O!Oip", &PyList_Type, objects, name, &width, &is_signed))
        return false;
    *form = (Form){(unsigned)width, is_signed};
    if (form_is_known(*form))
        return true;
    PyErr_SetString(PyExc_ValueError, "an integer takes 1, 2, 4 or 8 bytes");
    return false;
}

/* A flag is no number, though Python has it as one: where Arrow refuses, so do we. */
static bool write_integer(PyObject *value, Form form, uint8_t *to)
{
    if (PyBool_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "a number was expected, not a flag");
        return false;
    }
    int beyond;
    int64_t number = PyLong_AsLongLongAndOverflow(value, &beyond);
    if (number == -1 && PyErr_Occurred())
        return false;
    uint64_t bits = (uint64_t)number;
    if (beyond > 0 && form.width == 8 && !form.is_signed) {
        bits = PyLong_AsUnsignedLongLong(value);
        if (PyErr_Occurred())
            return false;
    } else if (beyond || !form_holds(form, number)) {
        PyErr_SetString(PyExc_OverflowError, "a number does not fit its column");
        return false;
    }
    form_write(form, bits, to);
    return true;
}

static bool write_integers(const Source *source, Form form, uint8_t *to, Validity *validity)
{
    for (Py_ssize_t at = 0; at < source->count; at++, to += form.width) {
        PyObject *value = value_at(source, at);
        if (value == NULL)
            return false;
        bool good = true;
        if (value == Py_None) {
            validity_miss(validity, at);
            form_write(form, 0, to);
        } else
            good = write_integer(value, form, to);
        Py_DECREF(value);
        if (!good)
            return false;
    }
    return true;
}

PyObject *integers(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *objects, *name, *made = NULL;
    Form form;
    Source source;
    if (!form_parse(arguments, &objects, &name, &form) || !source_begin(&source, objects, name))
        return NULL;
    Buffer values = {NULL, NULL};
    Validity validity = {{NULL, NULL}, false};
    if (buffer_begin(&values, source.count, form.width) &&
        validity_begin(&validity, source.count) &&
        write_integers(&source, form, values.at, &validity))
        made = PyTuple_Pack(2, validity_bytes(&validity), values.bytes);
    Py_XDECREF(values.bytes);
    Py_XDECREF(validity.bits.bytes);
    source_end(&source);
    return made;
}

/* -- lists of integers */

/* The list that a value is, or the entries of another sequence as one; our own. */
static PyObject *list_at(const Source *source, Py_ssize_t at)
{
    PyObject *value = value_at(source, at);
    if (value == NULL || PyList_Check(value))
        return value;
    PyObject *list = PySequence_List(value);
    Py_DECREF(value);
    return list;
}

static bool write_list(PyObject *list, Form form, Growing *values)
{
    Py_ssize_t count = PyList_Size(list);
    if (!growing_reserve(values, (size_t)count * form.width))
        return false;
    for (Py_ssize_t at = 0; at < count; at++, values->size += form.width) {
        PyObject *item = PyList_GetItem(list, at);
        Py_XINCREF(item);
        bool good = item && write_integer(item, form, values->at + values->size);
        Py_XDECREF(item);
        if (!good)
            return false;
    }
    return true;
}

static bool write_lists(const Source *source, Form form, int32_t *ends, Growing *values)
{
    *ends = 0;
    for (Py_ssize_t at = 0; at < source->count; at++) {
        PyObject *list = list_at(source, at);
        bool good = list && write_list(list, form, values) &&
                    write_end(values->size / form.width, ends + at + 1);
        Py_XDECREF(list);
        if (!good)
            return false;
    }
    return true;
}

PyObject *integer_lists(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *objects, *name, *made = NULL, *all = NULL;
    Form form;
    Source source;
    if (!form_parse(arguments, &objects, &name, &form) || !source_begin(&source, objects, name))
        return NULL;
    Growing values = {NULL, 0, 0};
    Buffer ends = {NULL, NULL};
    if (buffer_begin(&ends, source.count + 1, sizeof(int32_t)) &&
        write_lists(&source, form, (int32_t *)ends.at, &values) &&
        (all = growing_bytes(&values)) != NULL)
        made = PyTuple_Pack(2, ends.bytes, all);
    free(values.at);
    Py_XDECREF(all);
    Py_XDECREF(ends.bytes);
    source_end(&source);
    return made;
}
