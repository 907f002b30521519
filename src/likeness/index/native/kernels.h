/* The scan's work in a machine's registers: dot products of codes, and the sieve over them.
 *
 * Codes are bytes c + 128 with c in -127..127. A query is signed bytes g with |g| <= limit. A kernel gives
 * sum((c + offset) * g), where its offset is 128 or 0. The caller subtracts the constant offset * sum(g). Rows and
 * queries are `pitch` bytes long, a multiple of 64. A query's padding is 0.
 *
 * Half codes are four bits each, two in a byte. Of 128 neighbours, byte i has number i in its lower half and number
 * 64 + i in its upper half. A half code h means likeness_levels[h] - 31.5. A kernel gives sum(likeness_levels[h] * g).
 * A row of halves is `half_pitch` bytes long, a multiple of 64. A query for halves is 2 * half_pitch bytes long.
 *
 * A step takes four rows from four places far apart. The hardware prefetcher treats each place as its own stream. It
 * reads main memory faster in this way than in one stream or in four neighbouring rows.
 */
#ifndef LIKENESS_KERNELS_H
#define LIKENESS_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STREAMS = 4, STEPS = 128 };

/* The 16 levels that round a normal distribution best (Max, Quantizing for minimum distortion, 1960). A standard
 * deviation is 11.53 units. Each level plus 31.5 is a whole number of units, so six bits hold it. */
extern const uint8_t likeness_levels[16];

/* A row's part of the bound, in one word: its scale in the upper half, the length of its rounding error in the lower
 * half. Each is a bfloat16 (the upper half of a float32). For codes, the error is kept for all rows together and is 0
 * here. */
typedef uint32_t Terms;

/* The upper bound of a row's score from its dot product, less the tolerance:
 * scale * (step * (dot - bias) + lift) + width * error. */
typedef struct {
    int32_t bias;
    float step, lift, width;
} Bound;

/* Multiply `steps` (<= STEPS) rows from each of four places, `streams`, by `count` queries. The dot products are
 * dots[(query * STREAMS + stream) * STEPS + step]. */
typedef void Multiply(const uint8_t *const *streams, size_t pitch, int steps, const int8_t *queries, int count,
                      int32_t *dots);

typedef struct {
    const char *name;
    int limit;
    int offset;
    int (*runs_here)(void);
    Multiply *multiply, *multiply_halves;
    /* Compute the upper bounds of one run of steps. Write to `hits` those that reach the cut, and return how many they
     * are. `hits` has room for STEPS + 16. */
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

/* How far ahead of the present row to fetch from memory. The processor's own prefetcher stops at the end of a page, and
 * a scan of halves reads a page in 16 rows. */
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

/* The compiler vectorises the first loop for the target of the function. */
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

/* At each step, multiply the four rows by all queries while the rows are in cache: WIDE queries at a time, then one by
 * one. */
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
