#include "reading.h"

#include <stdlib.h>

/* Whether objects of the first one's type hold the attribute in a slot. */
static void source_look(Source *source)
{
    if (source->name == Py_None || source->count == 0)
        return;
    PyObject *first = PyList_GetItem(source->objects, 0);
    source->type = Py_TYPE(first);
    source->field = PyObject_GetAttr((PyObject *)source->type, source->name);
    if (source->field == NULL)
        PyErr_Clear(); /* the object itself may have it */
    else if (Py_TYPE(source->field) == &PyMemberDescr_Type)
        source->get = (descrgetfunc)PyType_GetSlot(&PyMemberDescr_Type, Py_tp_descr_get);
}

bool source_begin(Source *source, PyObject *objects, PyObject *name)
{
    if (name != Py_None && !PyUnicode_CheckExact(name)) {
        PyErr_SetString(PyExc_TypeError, "an attribute's name is a text or None");
        return false;
    }
    Py_INCREF(name);
    if (name != Py_None)
        PyUnicode_InternInPlace(&name); /* else each look-up is a slow one */
    *source = (Source){objects, name, PyList_Size(objects), NULL, NULL, NULL};
    source_look(source);
    return true;
}

void source_end(Source *source)
{
    Py_DECREF(source->name);
    Py_XDECREF(source->field);
}

bool buffer_begin(Buffer *buffer, Py_ssize_t count, size_t width)
{
    buffer->bytes = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)width);
    buffer->at = buffer->bytes ? (uint8_t *)PyBytes_AsString(buffer->bytes) : NULL;
    return buffer->bytes != NULL;
}

bool validity_begin(Validity *validity, Py_ssize_t count)
{
    validity->some_missing = false;
    if (!buffer_begin(&validity->bits, (Py_ssize_t)bits_size((size_t)count), 1))
        return false;
    bits_begin(validity->bits.at, (size_t)count);
    return true;
}

void validity_miss(Validity *validity, Py_ssize_t at)
{
    validity->some_missing = true;
    bits_clear(validity->bits.at, (size_t)at);
}

PyObject *validity_bytes(const Validity *validity)
{
    return validity->some_missing ? validity->bits.bytes : Py_None;
}

bool growing_reserve(Growing *growing, size_t more)
{
    if (more <= growing->room - growing->size)
        return true;
    if (more > PTRDIFF_MAX / 4 - growing->size) {
        PyErr_NoMemory();
        return false;
    }
    size_t room = 2 * (growing->size + more) + 64;
    uint8_t *at = realloc(growing->at, room);
    if (at == NULL) {
        PyErr_NoMemory();
        return false;
    }
    growing->at = at;
    growing->room = room;
    return true;
}

PyObject *growing_bytes(const Growing *growing)
{
    return PyBytes_FromStringAndSize((const char *)growing->at, (Py_ssize_t)growing->size);
}

bool write_end(size_t end, int32_t *to)
{
    *to = (int32_t)end;
    if (end <= INT32_MAX)
        return true;
    PyErr_SetString(PyExc_OverflowError, "the entries of a column are too long");
    return false;
}
