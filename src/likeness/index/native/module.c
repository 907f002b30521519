/* The Python interface of the scan. It checks every size, releases the interpreter's lock, and scans. */
#ifndef LIKENESS_FULL_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

enum { MOST_QUERIES = 1024, BOUNDS = 7 };

static const Kernel *const kernels[] = {
#ifdef LIKENESS_X86
    &likeness_avx512_kernel,
    &likeness_avx2_kernel,
#endif
#ifdef LIKENESS_ARM
    &likeness_dotprod_kernel,
    &likeness_neon_kernel,
#endif
    &likeness_portable_kernel,
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

static PyObject *list_kernels(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    PyObject *names = PyList_New(0);
    for (int i = 0; names && i < KERNELS; i++) {
        if (!kernels[i]->runs_here()) continue;
        PyObject *entry = Py_BuildValue("(si)", kernels[i]->name, kernels[i]->limit);
        if (!entry || PyList_Append(names, entry)) Py_CLEAR(names);
        Py_XDECREF(entry);
    }
    return names;
}

static const Kernel *find_kernel(const char *name) {
    for (int i = 0; i < KERNELS; i++)
        if (!strcmp(kernels[i]->name, name) && kernels[i]->runs_here()) return kernels[i];
    PyErr_Format(PyExc_ValueError, "no kernel %s on this machine", name);
    return NULL;
}

static PyObject *fail(const char *message) {
    PyErr_SetString(PyExc_ValueError, message);
    return NULL;
}

/* The buffers of one part, held while it is scanned. */
typedef struct {
    Py_buffer codes, terms, halves, half_terms, rows, alive;
} Held;

static int hold_part(PyObject *tuple, size_t dimension, size_t pitch, Held *held, Part *part) {
    PyObject *alive = NULL, *rows = NULL;
    Py_ssize_t count;
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a part is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(tuple, "y*y*y*y*OOn", &held->codes, &held->terms, &held->halves,
                          &held->half_terms, &rows, &alive, &count))
        return -1;
    if (rows != Py_None && PyObject_GetBuffer(rows, &held->rows, PyBUF_SIMPLE)) return -1;
    if (alive != Py_None && PyObject_GetBuffer(alive, &held->alive, PyBUF_SIMPLE)) return -1;
    if (count < 0 || count > INT32_MAX || (size_t)held->codes.len / pitch < (size_t)count ||
        (size_t)held->terms.len / sizeof(Terms) < (size_t)count ||
        (size_t)held->halves.len / likeness_half_pitch(pitch) < (size_t)count ||
        (size_t)held->half_terms.len / sizeof(Terms) < (size_t)count ||
        (rows != Py_None && (size_t)held->rows.len / (dimension * sizeof(float)) < (size_t)count) ||
        (alive != Py_None && held->alive.len < count)) {
        fail("a part has fewer rows than its row count");
        return -1;
    }
    part->codes = held->codes.buf;
    part->terms = held->terms.buf;
    part->halves = held->halves.buf;
    part->half_terms = held->half_terms.buf;
    part->rows = rows == Py_None ? NULL : held->rows.buf;
    part->alive = alive == Py_None ? NULL : held->alive.buf;
    part->count = count;
    return 0;
}

static PyObject *report(const Found *found) {
    const Candidates *kept = &found->kept;
    return Py_BuildValue("(y#d)", kept->count ? (const char *)kept->all : "",
                         (Py_ssize_t)(kept->count * sizeof *kept->all), (double)found->cut);
}

static PyObject *scan(PyObject *module, PyObject *args) {
    (void)module;
    const char *name;
    PyObject *tuple, *reports = NULL;
    Py_buffer vectors = {0}, factors = {0}, wanted = {0}, bounds = {0};
    Held *held = NULL;
    Part *parts = NULL;
    Query *queries = NULL;
    Found *found = NULL;
    Py_ssize_t part_count = 0, query_count = 0;
    if (!PyArg_ParseTuple(args, "sO!y*y*y*y*", &name, &PyTuple_Type, &tuple, &vectors, &factors, &wanted, &bounds))
        return NULL;
    const Kernel *kernel = find_kernel(name);
    if (!kernel) goto end;
    query_count = wanted.len / (Py_ssize_t)sizeof(int64_t);
    const size_t pitch = query_count ? (size_t)(factors.len / query_count) : 0;
    const size_t dimension = query_count ? (size_t)(vectors.len / query_count) / sizeof(float) : 0;
    if (query_count < 1 || query_count > MOST_QUERIES || !pitch || pitch % 64 || pitch > MOST_DIMENSIONS ||
        !dimension || dimension > pitch || vectors.len != query_count * (Py_ssize_t)(dimension * sizeof(float)) ||
        factors.len != query_count * (Py_ssize_t)pitch ||
        bounds.len != query_count * BOUNDS * (Py_ssize_t)sizeof(double)) {
        fail("the queries' sizes do not fit each other");
        goto end;
    }
    part_count = PyTuple_Size(tuple);
    held = calloc((size_t)part_count + 1, sizeof *held);
    parts = calloc((size_t)part_count + 1, sizeof *parts);
    queries = calloc((size_t)query_count, sizeof *queries);
    found = calloc((size_t)query_count, sizeof *found);
    if (!held || !parts || !queries || !found) {
        PyErr_NoMemory();
        goto end;
    }
    int64_t rows = 0;
    for (Py_ssize_t i = 0; i < part_count; i++) {
        if (hold_part(PyTuple_GetItem(tuple, i), dimension, pitch, &held[i], &parts[i])) goto end;
        rows += parts[i].count;
    }
    for (Py_ssize_t i = 0; i < query_count; i++) {
        const double *bound = (const double *)bounds.buf + BOUNDS * i;
        const int8_t *factor = (const int8_t *)factors.buf + i * (Py_ssize_t)pitch;
        const int64_t most = ((const int64_t *)wanted.buf)[i];
        if (most < 0) {
            fail("a search's number of wanted rows is negative");
            goto end;
        }
        Query *query = &queries[i];
        query->wanted = most > rows + 1 ? rows + 1 : most; /* more than all rows: the cut never rises */
        int32_t sum = 0;
        for (size_t j = 0; j < pitch; j++) {
            if (factor[j] > kernel->limit || factor[j] < -kernel->limit) {
                fail("a query exceeds its kernel's limit");
                goto end;
            }
            sum += factor[j];
        }
        query->whole = (Bound){kernel->offset * sum, (float)bound[0], (float)bound[1], 0};
        /* The value of a half code is level - 31.5 = (level - 32) + 0.5. */
        query->half = (Bound){32 * sum, (float)bound[0], (float)(0.5 * bound[0] * sum), (float)bound[2]};
        query->row = (const float *)vectors.buf + i * (Py_ssize_t)dimension;
        query->tolerance = (float)bound[3], query->margin = (float)bound[4], query->minimum = (float)bound[5];
        query->doubt = (float)bound[6];
        if (query->minimum > bound[5]) query->minimum = nextafterf(query->minimum, -INFINITY);
    }
    int result;
    Py_BEGIN_ALLOW_THREADS;
    result = likeness_scan(kernel, dimension, pitch, parts, (size_t)part_count, factors.buf, queries, (int)query_count,
                           found);
    Py_END_ALLOW_THREADS;
    if (result) {
        PyErr_NoMemory();
        goto end;
    }
    reports = PyList_New(query_count);
    for (Py_ssize_t i = 0; reports && i < query_count; i++) {
        PyObject *entry = report(&found[i]);
        if (!entry || PyList_SetItem(reports, i, entry)) Py_CLEAR(reports);
    }
end:
    for (Py_ssize_t i = 0; held && i < part_count; i++) {
        if (held[i].codes.obj) PyBuffer_Release(&held[i].codes);
        if (held[i].terms.obj) PyBuffer_Release(&held[i].terms);
        if (held[i].halves.obj) PyBuffer_Release(&held[i].halves);
        if (held[i].half_terms.obj) PyBuffer_Release(&held[i].half_terms);
        if (held[i].rows.obj) PyBuffer_Release(&held[i].rows);
        if (held[i].alive.obj) PyBuffer_Release(&held[i].alive);
    }
    for (Py_ssize_t i = 0; found && i < query_count; i++) likeness_release(&found[i]);
    free(held);
    free(parts);
    free(queries);
    free(found);
    PyBuffer_Release(&vectors);
    PyBuffer_Release(&factors);
    PyBuffer_Release(&wanted);
    PyBuffer_Release(&bounds);
    return reports;
}

static PyObject *encode(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer rows, signs, codes, terms, halves, half_terms;
    int limit;
    if (!PyArg_ParseTuple(args, "y*y*iw*w*w*w*", &rows, &signs, &limit, &codes, &terms, &halves, &half_terms))
        return NULL;
    PyObject *result = NULL;
    const size_t count = (size_t)terms.len / sizeof(Terms), dimension = (size_t)signs.len / sizeof(float);
    const size_t pitch = count ? (size_t)codes.len / count : (dimension + 63) / 64 * 64;
    if (!dimension || pitch > MOST_DIMENSIONS || pitch < dimension || pitch % 64 || limit < 1 || limit > 127 ||
        (size_t)rows.len != count * dimension * sizeof(float) || (size_t)codes.len != count * pitch ||
        (size_t)halves.len != count * likeness_half_pitch(pitch) || half_terms.len != terms.len) {
        fail("the rows, signs, codes and half codes do not fit each other");
        goto end;
    }
    float *rotated = calloc(pitch, sizeof *rotated);
    if (!rotated) {
        PyErr_NoMemory();
        goto end;
    }
    double residual = 0, reach = 0;
    Py_BEGIN_ALLOW_THREADS;
    for (size_t i = 0; i < count; i++) {
        likeness_rotate((const float *)rows.buf + i * dimension, dimension, signs.buf, rotated);
        const Rounding whole = likeness_round(rotated, pitch, limit, (uint8_t *)codes.buf + i * pitch);
        const Rounding half =
            likeness_halve(rotated, dimension, pitch, (uint8_t *)halves.buf + i * likeness_half_pitch(pitch));
        ((Terms *)terms.buf)[i] = whole.terms;
        ((Terms *)half_terms.buf)[i] = half.terms;
        residual = fmax(residual, whole.error);
        reach = fmax(reach, fmax(whole.reach, half.reach));
    }
    Py_END_ALLOW_THREADS;
    free(rotated);
    result = Py_BuildValue("(dd)", residual, reach);
end:
    PyBuffer_Release(&rows);
    PyBuffer_Release(&signs);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&terms);
    PyBuffer_Release(&halves);
    PyBuffer_Release(&half_terms);
    return result;
}

static PyMethodDef methods[] = {
    {"kernels", list_kernels, METH_NOARGS, "List this machine's kernels, best first: (name, limit of the factors)."},
    {"scan", scan, METH_VARARGS, "Find, for each query, the rows that may score at or above its cut."},
    {"encode", encode, METH_VARARGS, "Rotate rows and round them to codes."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "The compiled scan of the exact index.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
