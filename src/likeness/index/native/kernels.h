/* What a machine's registers do for the scan: dot products of codes, and the sieve over them.
 *
 * Codes are bytes holding c + 128 with c in -127..127; a query is signed bytes g with |g| <= limit. A kernel gives
 * sum((c + offset) * g), where its offset is 128 or 0; the caller takes the constant offset * sum(g) off. Rows and
 * queries are `pitch` bytes long, a multiple of 64; a query's padding is 0.
 *
 * A step takes four rows from four places far apart: each place is a stream of its own to the hardware prefetcher,
 * which reads main memory faster than one stream or four neighbouring rows do.
 */
#ifndef LIKENESS_KERNELS_H
#define LIKENESS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { STREAMS = 4, STEPS = 64 };

/* One kernel: all dot products of `steps` (<= STEPS) rows in each of four streams `gap` bytes apart with `count`
 * queries, as dots[(query * STREAMS + stream) * STEPS + step]; and the sieve over one such run of STEPS. */
typedef struct {
    const char *name;
    int limit;
    int offset;
    int (*runs_here)(void);
    void (*multiply)(const uint8_t *rows, size_t gap, size_t pitch, int steps, const int8_t *queries, int count,
                     int32_t *dots);
    /* uppers[i] = scales[i] * (step * (dots[i] - bias) + allowance); says whether any reaches the cut. */
    int (*sieve)(const int32_t *dots, const float *scales, int steps, int32_t bias, float step, float allowance,
                 float cut, float *uppers);
} Kernel;

extern const Kernel likeness_avx512_kernel, likeness_avx2_kernel, likeness_dotprod_kernel, likeness_neon_kernel,
    likeness_portable_kernel;

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define LIKENESS_X86 1
#elif defined(__GNUC__) && defined(__aarch64__)
#define LIKENESS_ARM 1
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* The compiler turns this loop into whatever vectors its function is built for. */
#define DEFINE_SIEVE(NAME, TARGET)                                                                                  \
    TARGET static int NAME(const int32_t *dots, const float *scales, int steps, int32_t bias, float step,           \
                           float allowance, float cut, float *uppers) {                                             \
        int reached = 0;                                                                                            \
        for (int i = 0; i < steps; i++) {                                                                           \
            uppers[i] = scales[i] * (step * (float)(dots[i] - bias) + allowance);                                   \
            reached |= uppers[i] >= cut;                                                                            \
        }                                                                                                           \
        return reached;                                                                                             \
    }

/* Walk the steps, and at each the queries, `wide` at a time and then one by one, while the four rows are in cache. */
#define DEFINE_MULTIPLY(NAME, TARGET, FOUR_ROWS, WIDE)                                                              \
    TARGET static void NAME(const uint8_t *rows, size_t gap, size_t pitch, int steps, const int8_t *queries,        \
                            int count, int32_t *dots) {                                                             \
        for (int i = 0; i < steps; i++, rows += pitch) {                                                            \
            int query = 0;                                                                                          \
            for (; query + WIDE <= count; query += WIDE)                                                            \
                FOUR_ROWS(rows, gap, pitch, queries + query * pitch, WIDE, dots + query * STREAMS * STEPS + i);     \
            for (; query < count; query++)                                                                          \
                FOUR_ROWS(rows, gap, pitch, queries + query * pitch, 1, dots + query * STREAMS * STEPS + i);        \
        }                                                                                                           \
    }

#endif
