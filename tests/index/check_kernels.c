/* Holds the dot products of every kernel that runs here against plain sums; names the kernels, and fails when one is wrong. */
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

static int check(const Kernel *kernel, size_t pitch, int count, int extreme) {
    enum { STEPS_HERE = 3 };
    const size_t gap = STEPS_HERE * pitch;
    uint8_t *rows = malloc(STREAMS * gap);
    int8_t *queries = malloc((size_t)count * pitch);
    static int32_t dots[16 * STREAMS * STEPS];
    int wrong = 0;
    for (size_t i = 0; i < STREAMS * gap; i++) rows[i] = (uint8_t)(extreme ? (drawn(0, 1) ? 255 : 1) : drawn(1, 255));
    for (size_t i = 0; i < (size_t)count * pitch; i++)
        queries[i] = (int8_t)(extreme ? kernel->limit : drawn(-kernel->limit, kernel->limit));
    kernel->multiply(rows, gap, pitch, STEPS_HERE, queries, count, dots);
    for (int q = 0; q < count; q++)
        for (int s = 0; s < STREAMS; s++)
            for (int i = 0; i < STEPS_HERE; i++)
                wrong += dots[(q * STREAMS + s) * STEPS + i] !=
                         plain(rows + s * gap + i * pitch, queries + q * pitch, pitch, kernel->offset);
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
                for (int extreme = 0; extreme <= 1; extreme++) wrong += check(kernels[k], pitch, count, extreme);
        printf("%s\n", kernels[k]->name);
    }
    return wrong != 0;
}
