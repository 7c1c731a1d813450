/* What all columns share on the Python side: where values are, and the buffers that get them. */
#ifndef OTEL_LLM_READING_H
#define OTEL_LLM_READING_H

#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "columns.h"

typedef struct {
    PyObject *objects; /* a list; borrowed */
    PyObject *name;    /* of the attribute, our own; None for the objects themselves */
    Py_ssize_t count;
    PyTypeObject *type; /* of the first object */
    PyObject *field;    /* where such a one holds the attribute, our own; NULL if it is no slot */
    descrgetfunc get;   /* of a field: half the time of looking for it by name */
} Source;

bool source_begin(Source *source, PyObject *objects, PyObject *name);

void source_end(Source *source);

/* The caller's own; NULL with an error set. An attribute may run code that shortens the list. */
static inline PyObject *value_at(const Source *source, Py_ssize_t at)
{
    PyObject *object = PyList_GetItem(source->objects, at);
    Py_XINCREF(object);
    if (object == NULL || source->name == Py_None)
        return object;
    PyObject *value = source->get && Py_TYPE(object) == source->type
                          ? source->get(source->field, object, (PyObject *)source->type)
                          : PyObject_GetAttr(object, source->name);
    Py_DECREF(object);
    return value;
}

typedef struct {
    PyObject *bytes;
    uint8_t *at;
} Buffer;

bool buffer_begin(Buffer *buffer, Py_ssize_t count, size_t width);

/* Which entries are there. */
typedef struct {
    Buffer bits;
    bool some_missing;
} Validity;

bool validity_begin(Validity *validity, Py_ssize_t count);

void validity_miss(Validity *validity, Py_ssize_t at);

/* The bits, or None where every entry is there; borrowed. */
PyObject *validity_bytes(const Validity *validity);

/* Bytes of which it shows late how many they are. */
typedef struct {
    uint8_t *at;
    size_t size, room;
} Growing;

bool growing_reserve(Growing *growing, size_t more);

PyObject *growing_bytes(const Growing *growing);

/* Where an entry of a column ends, in 32 bits. */
bool write_end(size_t end, int32_t *to);

/* What the module has, and where it stands. */
PyObject *integers(PyObject *module, PyObject *arguments);      /* integers.c */
PyObject *integer_lists(PyObject *module, PyObject *arguments); /* the same */
PyObject *texts(PyObject *module, PyObject *arguments);         /* texts.c */
PyObject *places(PyObject *module, PyObject *arguments);        /* distinct.c */
PyObject *members(PyObject *module, PyObject *arguments);       /* members.c */

#endif
