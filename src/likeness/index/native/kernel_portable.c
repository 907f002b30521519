/* Plain C, for machines that cannot run the other kernels. */
#include "kernels.h"

const uint8_t likeness_levels[16] = {0, 8, 13, 17, 21, 24, 27, 30, 33, 36, 39, 42, 46, 50, 55, 63};

static int runs_here(void) { return 1; }

INLINE void four_rows(const uint8_t *const *rows, size_t pitch, const int8_t *query, int count, int32_t *dots) {
    (void)count; /* one */
    for (int stream = 0; stream < STREAMS; stream++) {
        const uint8_t *row = rows[stream];
        int32_t sum = 0;
        for (size_t i = 0; i < pitch; i++) sum += (int32_t)row[i] * query[i];
        dots[stream * STEPS] = sum;
    }
}

INLINE void four_half_rows(const uint8_t *const *rows, size_t pitch, const int8_t *query, int count,
                           int32_t *dots) {
    (void)count; /* one */
    for (int stream = 0; stream < STREAMS; stream++) {
        int32_t sum = 0;
        for (size_t block = 0; block < pitch; block += 64) {
            const uint8_t *pairs = rows[stream] + block;
            const int8_t *factors = query + 2 * block;
            for (size_t i = 0; i < 64; i++)
                sum += likeness_levels[pairs[i] & 15] * factors[i] + likeness_levels[pairs[i] >> 4] * factors[64 + i];
        }
        dots[stream * STEPS] = sum;
    }
}

DEFINE_MULTIPLY(multiply, , four_rows, 1, 1)
DEFINE_MULTIPLY(multiply_halves, , four_half_rows, 1, 2)
DEFINE_SIEVE(sieve, )

const Kernel likeness_portable_kernel = {"portable", 127, 128, runs_here, multiply, multiply_halves, sieve};
