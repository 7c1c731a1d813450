/* Columns of texts. */
#include "reading.h"

#include <stdlib.h>
#include <string.h>

static bool write_text(PyObject *value, Growing *texts)
{
    Py_ssize_t size;
    const char *from = PyUnicode_AsUTF8AndSize(value, &size);
    if (from == NULL || !growing_reserve(texts, (size_t)size))
        return false;
    if (size)
        memcpy(texts->at + texts->size, from, (size_t)size);
    texts->size += (size_t)size;
    return true;
}

static bool write_texts(const Source *source, int32_t *ends, Growing *all, Validity *validity)
{
    *ends = 0;
    for (Py_ssize_t at = 0; at < source->count; at++) {
        PyObject *value = value_at(source, at);
        if (value == NULL)
            return false;
        bool good = true;
        if (value == Py_None)
            validity_miss(validity, at);
        else
            good = write_text(value, all);
        Py_DECREF(value);
        if (!good || !write_end(all->size, ends + at + 1))
            return false;
    }
    return true;
}

PyObject *texts(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *objects, *name, *made = NULL, *all = NULL;
    Source source;
    if (!PyArg_ParseTuple(arguments, "O!O:texts", &PyList_Type, &objects, &name) ||
        !source_begin(&source, objects, name))
        return NULL;
    Growing text = {NULL, 0, 0};
    Buffer ends = {NULL, NULL};
    Validity validity = {{NULL, NULL}, false};
    if (buffer_begin(&ends, source.count + 1, sizeof(int32_t)) &&
        validity_begin(&validity, source.count) &&
        write_texts(&source, (int32_t *)ends.at, &text, &validity) &&
        (all = growing_bytes(&text)) != NULL)
        made = PyTuple_Pack(3, validity_bytes(&validity), ends.bytes, all);
    free(text.at);
    Py_XDECREF(all);
    Py_XDECREF(ends.bytes);
    Py_XDECREF(validity.bits.bytes);
    source_end(&source);
    return made;
}
