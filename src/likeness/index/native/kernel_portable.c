/* Plain C, for machines the other kernels do not know. */
#include "kernels.h"

static int runs_here(void) { return 1; }

INLINE void four_rows(const uint8_t *rows, size_t gap, size_t pitch, const int8_t *query, int count, int32_t *dots) {
    (void)count; /* one */
    for (int stream = 0; stream < STREAMS; stream++) {
        const uint8_t *row = rows + stream * gap;
        int32_t sum = 0;
        for (size_t i = 0; i < pitch; i++) sum += (int32_t)row[i] * query[i];
        dots[stream * STEPS] = sum;
    }
}

DEFINE_MULTIPLY(multiply, , four_rows, 1)
DEFINE_SIEVE(sieve, )

const Kernel likeness_portable_kernel = {"portable", 127, 128, runs_here, multiply, sieve};
