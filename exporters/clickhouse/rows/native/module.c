/* The Python side: values of objects' attributes, written as the buffers of Arrow arrays. */
#define Py_LIMITED_API 0x030A0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "columns.h"

/* -- where values are */

typedef struct {
    PyObject *objects; /* a list; borrowed */
    PyObject *name;    /* of the attribute, our own; None for the objects themselves */
    Py_ssize_t count;
    PyTypeObject *type; /* of the first object */
    PyObject *field;    /* where such a one holds the attribute, our own; NULL if it is no slot */
    descrgetfunc get;   /* of a field: half the time of looking for it by name */
} Source;

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

static bool source_begin(Source *source, PyObject *objects, PyObject *name)
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

static void source_end(Source *source)
{
    Py_DECREF(source->name);
    Py_XDECREF(source->field);
}

/* The caller's own; NULL with an error set. An attribute may run code that shortens the list. */
static PyObject *value_at(const Source *source, Py_ssize_t at)
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

/* -- buffers */

typedef struct {
    PyObject *bytes;
    uint8_t *at;
} Buffer;

static bool buffer_begin(Buffer *buffer, Py_ssize_t count, size_t width)
{
    buffer->bytes = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)width);
    buffer->at = buffer->bytes ? (uint8_t *)PyBytes_AsString(buffer->bytes) : NULL;
    return buffer->bytes != NULL;
}

/* Which entries are there. */
typedef struct {
    Buffer bits;
    bool some_missing;
} Validity;

static bool validity_begin(Validity *validity, Py_ssize_t count)
{
    validity->some_missing = false;
    if (!buffer_begin(&validity->bits, (Py_ssize_t)bits_size((size_t)count), 1))
        return false;
    bits_begin(validity->bits.at, (size_t)count);
    return true;
}

static void validity_miss(Validity *validity, Py_ssize_t at)
{
    validity->some_missing = true;
    bits_clear(validity->bits.at, (size_t)at);
}

static PyObject *validity_bytes(const Validity *validity)
{
    return validity->some_missing ? validity->bits.bytes : Py_None;
}

/* Bytes of which it shows late how many they are. */
typedef struct {
    uint8_t *at;
    size_t size, room;
} Growing;

static bool growing_reserve(Growing *growing, size_t more)
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

static PyObject *growing_bytes(const Growing *growing)
{
    return PyBytes_FromStringAndSize((const char *)growing->at, (Py_ssize_t)growing->size);
}

/* Where an entry of a column ends, in 32 bits. */
static bool write_end(size_t end, int32_t *to)
{
    *to = (int32_t)end;
    if (end <= INT32_MAX)
        return true;
    PyErr_SetString(PyExc_OverflowError, "the entries of a column are too long");
    return false;
}

/* -- integers */

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

static bool write_integer(PyObject *value, Form form, uint8_t *to)
{
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

static PyObject *integers(PyObject *module, PyObject *arguments)
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

static PyObject *integer_lists(PyObject *module, PyObject *arguments)
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

/* -- texts */

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

static PyObject *texts(PyObject *module, PyObject *arguments)
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

/* -- distinct values */

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

static PyObject *places(PyObject *module, PyObject *arguments)
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

/* -- members of steps */

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

static PyObject *members(PyObject *module, PyObject *arguments)
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

/* -- the module */

static PyMethodDef methods[] = {
    {"integers", integers, METH_VARARGS, NULL},
    {"integer_lists", integer_lists, METH_VARARGS, NULL},
    {"texts", texts, METH_VARARGS, NULL},
    {"places", places, METH_VARARGS, NULL},
    {"members", members, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

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
