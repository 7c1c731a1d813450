/* The module: values of objects' attributes, written as the buffers of Arrow arrays. */
#include "reading.h"

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
