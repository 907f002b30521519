/* What a machine's registers do for the scan: dot products of codes, and the sieve over them.
 *
 * Codes are bytes holding c + 128 with c in -127..127; a query is signed bytes g with |g| <= limit. A kernel gives
 * sum((c + offset) * g), where its offset is 128 or 0; the caller takes the constant offset * sum(g) off. Rows and
 * queries are `pitch` bytes long, a multiple of 64; a query's padding is 0.
 *
 * Half codes are four bits each, two to a byte: of 128 neighbours, byte i holds number i below and number 64 + i above. A
 * half code h stands for likeness_levels[h] - 31.5; a kernel gives sum(likeness_levels[h] * g). A row of halves is
 * `half_pitch` bytes long, a multiple of 64, and a query of them 2 * half_pitch.
 *
 * A step takes four rows from four places far apart: each place is a stream of its own to the hardware prefetcher,
 * which reads main memory faster than one stream or four neighbouring rows do.
 */
#ifndef LIKENESS_KERNELS_H
#define LIKENESS_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STREAMS = 4, STEPS = 128 };

/* The 16 levels that round a normal distribution best (Max, Quantizing for minimum distortion, 1960), in units of which
 * 11.53 are a standard deviation; halves of such units and six bits are enough to hold them. */
extern const uint8_t likeness_levels[16];

/* A row's part in the bound, in one word: the scale of its codes, and below it the length of what rounding took off, each as
 * bfloat16 (the upper half of a float32). For codes the latter is kept for all rows together, and 0 here. */
typedef uint32_t Terms;

/* What a dot product says of its row's score: at most scale * (step * (dot - bias) + lift) + width * error, but for the
 * tolerance. */
typedef struct {
    int32_t bias;
    float step, lift, width;
} Bound;

/* All dot products of `steps` (<= STEPS) rows from each of four places, `streams`, with `count` queries, as
 * dots[(query * STREAMS + stream) * STEPS + step]. */
typedef void Multiply(const uint8_t *const *streams, size_t pitch, int steps, const int8_t *queries, int count,
                      int32_t *dots);

typedef struct {
    const char *name;
    int limit;
    int offset;
    int (*runs_here)(void);
    Multiply *multiply, *multiply_halves;
    /* Bound one run of steps from above; gives how many reach the cut, and which: `hits` has room for STEPS + 16. */
    int (*sieve)(const int32_t *dots, const Terms *terms, int steps, Bound bound, float cut, float *uppers,
                 int32_t *hits);
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
#define FETCH(ADDRESS) __builtin_prefetch(ADDRESS)
#else
#define INLINE static inline
#define FETCH(ADDRESS) ((void)(ADDRESS))
#endif

/* How far ahead of the row in hand to fetch from memory: the processor's own prefetcher stops at the end of a page, and
 * a scan of halves runs through one in 16 rows. */
enum { BYTES_AHEAD = 2048 };

INLINE float likeness_float(uint32_t bits) {
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

INLINE float likeness_scale(Terms terms) { return likeness_float(terms & 0xffff0000u); }
INLINE float likeness_error(Terms terms) { return likeness_float(terms << 16); }

INLINE float likeness_upper(Bound bound, int32_t dot, Terms terms) {
    return likeness_scale(terms) * (bound.step * (float)(dot - bound.bias) + bound.lift) +
           bound.width * likeness_error(terms);
}

/* The compiler turns the first loop into whatever vectors its function is built for. */
#define DEFINE_SIEVE(NAME, TARGET)                                                                                  \
    TARGET static int NAME(const int32_t *dots, const Terms *terms, int steps, Bound bound, float cut,              \
                           float *uppers, int32_t *hits) {                                                          \
        int reached = 0, count = 0;                                                                                 \
        for (int i = 0; i < steps; i++) {                                                                           \
            uppers[i] = likeness_upper(bound, dots[i], terms[i]);                                                   \
            reached += uppers[i] >= cut;                                                                            \
        }                                                                                                           \
        for (int i = 0; count < reached; i++) {                                                                     \
            hits[count] = i;                                                                                        \
            count += uppers[i] >= cut;                                                                              \
        }                                                                                                           \
        return count;                                                                                               \
    }

/* Walk the steps, and at each the queries, `wide` at a time and then one by one, while the four rows are in cache. */
#define DEFINE_MULTIPLY(NAME, TARGET, FOUR_ROWS, WIDE, CODES_A_BYTE)                                                \
    TARGET static void NAME(const uint8_t *const *streams, size_t pitch, int steps, const int8_t *queries,          \
                            int count, int32_t *dots) {                                                             \
        const size_t length = CODES_A_BYTE * pitch;                                                                 \
        const uint8_t *rows[STREAMS] = {streams[0], streams[1], streams[2], streams[3]};                            \
        for (int i = 0; i < steps; i++) {                                                                           \
            int query = 0;                                                                                          \
            for (; query + WIDE <= count; query += WIDE)                                                            \
                FOUR_ROWS(rows, pitch, queries + query * length, WIDE, dots + query * STREAMS * STEPS + i);         \
            for (; query < count; query++)                                                                          \
                FOUR_ROWS(rows, pitch, queries + query * length, 1, dots + query * STREAMS * STEPS + i);            \
            for (int stream = 0; stream < STREAMS; stream++) rows[stream] += pitch;                                 \
        }                                                                                                           \
    }

#endif
