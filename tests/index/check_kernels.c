/* Compares the dot products of every kernel that this machine runs with plain sums. Prints the kernels' names, and
 * fails when a dot product is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include "kernels.h"

static uint32_t state = 1;
static int drawn(int least, int most) {
    state = state * 1664525 + 1013904223;
    return least + (int)((state >> 8) % (uint32_t)(most - least + 1));
}

static int64_t plain(const uint8_t *row, const int8_t *query, size_t pitch, int offset) {
    int64_t sum = 0;
    for (size_t i = 0; i < pitch; i++) sum += ((int)row[i] - 128 + offset) * query[i];
    return sum;
}

static int64_t plain_halves(const uint8_t *row, const int8_t *query, size_t half_pitch) {
    int64_t sum = 0;
    for (size_t i = 0; i < 2 * half_pitch; i++) {
        const uint8_t pair = row[i / 128 * 64 + i % 64];
        sum += likeness_levels[i % 128 < 64 ? pair & 15 : pair >> 4] * query[i];
    }
    return sum;
}

/* Count the wrong dot products. A row has `pitch` bytes, with one code or two half codes in each. */
static int check(const Kernel *kernel, size_t pitch, int halves, int count, int extreme) {
    enum { STEPS_HERE = 3 };
    const size_t gap = STEPS_HERE * pitch, length = halves ? 2 * pitch : pitch;
    uint8_t *rows = malloc(3 * gap);
    int8_t *queries = malloc((size_t)count * length);
    static int32_t dots[16 * STREAMS * STEPS];
    int wrong = 0;
    for (size_t i = 0; i < 3 * gap; i++)
        rows[i] = (uint8_t)(extreme ? (drawn(0, 7) ? 255 : !halves) : drawn(!halves, 255));
    for (size_t i = 0; i < (size_t)count * length; i++)
        queries[i] = (int8_t)(extreme ? kernel->limit : drawn(-kernel->limit, kernel->limit));
    /* Three places that are not in order, and one of them twice. */
    const uint8_t *const streams[STREAMS] = {rows + gap, rows + 2 * gap, rows, rows + gap};
    (halves ? kernel->multiply_halves : kernel->multiply)(streams, pitch, STEPS_HERE, queries, count, dots);
    for (int q = 0; q < count; q++)
        for (int s = 0; s < STREAMS; s++)
            for (int i = 0; i < STEPS_HERE; i++) {
                const uint8_t *row = streams[s] + i * pitch;
                const int8_t *query = queries + q * length;
                wrong += dots[(q * STREAMS + s) * STEPS + i] !=
                         (halves ? plain_halves(row, query, pitch) : plain(row, query, pitch, kernel->offset));
            }
    free(rows);
    free(queries);
    return wrong;
}

int main(void) {
    const Kernel *const kernels[] = {
#ifdef LIKENESS_ARM
        &likeness_dotprod_kernel, &likeness_neon_kernel,
#endif
#ifdef LIKENESS_X86
        &likeness_avx512_kernel, &likeness_avx2_kernel,
#endif
        &likeness_portable_kernel};
    int wrong = 0;
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        if (!kernels[k]->runs_here()) continue;
        for (size_t pitch = 64; pitch <= 1024; pitch += 64)
            for (int count = 1; count <= 9; count++)
                for (int extreme = 0; extreme <= 1; extreme++)
                    for (int halves = 0; halves <= 1; halves++)
                        wrong += check(kernels[k], pitch, halves, count, extreme);
        printf("%s\n", kernels[k]->name);
    }
    return wrong != 0;
}
