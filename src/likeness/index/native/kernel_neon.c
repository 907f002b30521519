/* ARM: SDOT where the processor has it (ARMv8.2 and Apple's). Otherwise widening multiplies, which every 64-bit ARM
 * has. Both multiply signed bytes, so the kernels first take 128 from the codes. */
#include "kernels.h"

#ifdef LIKENESS_ARM
#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
static int has_dotprod(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#elif defined(__APPLE__)
static int has_dotprod(void) { return 1; }
#else
static int has_dotprod(void) { return 0; }
#endif

static int has_neon(void) { return 1; }

#ifdef __ARM_FEATURE_DOTPROD
#define DOTPROD
#else
#define DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

DOTPROD INLINE int32x4_t add_dotprod(int32x4_t sum, int8x16_t codes, int8x16_t factors) {
    return vdotq_s32(sum, codes, factors);
}

INLINE int32x4_t add_neon(int32x4_t sum, int8x16_t codes, int8x16_t factors) {
    /* Each 16-bit product is at most 127 * 127. */
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(codes), vget_low_s8(factors)));
    return vpadalq_s16(sum, vmull_high_s8(codes, factors));
}

#define DEFINE_FOUR_ROWS(NAME, TARGET, ADD)                                                                         \
    TARGET INLINE void NAME(const uint8_t *const *rows, size_t pitch, const int8_t *queries, const int count,       \
                            int32_t *dots) {                                                                        \
        const uint8x16_t bias = vdupq_n_u8(128);                                                                    \
        int32x4_t sums[4][STREAMS];                                                                                 \
        for (int query = 0; query < count; query++)                                                                 \
            for (int stream = 0; stream < STREAMS; stream++) sums[query][stream] = vdupq_n_s32(0);                  \
        for (size_t i = 0; i < pitch; i += 16) {                                                                    \
            int8x16_t factors[4];                                                                                   \
            for (int query = 0; query < count; query++) factors[query] = vld1q_s8(queries + query * pitch + i);     \
            for (int stream = 0; stream < STREAMS; stream++) {                                                      \
                const int8x16_t codes = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(rows[stream] + i), bias));            \
                for (int query = 0; query < count; query++)                                                         \
                    sums[query][stream] = ADD(sums[query][stream], codes, factors[query]);                          \
            }                                                                                                       \
        }                                                                                                           \
        for (int query = 0; query < count; query++)                                                                 \
            for (int stream = 0; stream < STREAMS; stream++)                                                        \
                dots[(query * STREAMS + stream) * STEPS] = vaddvq_s32(sums[query][stream]);                         \
    }

#define DEFINE_FOUR_HALF_ROWS(NAME, TARGET, ADD)                                                                    \
    TARGET INLINE void NAME(const uint8_t *const *rows, size_t pitch, const int8_t *query, const int count,         \
                            int32_t *dots) {                                                                        \
        (void)count; /* one */                                                                                      \
        const uint8x16_t low_bits = vdupq_n_u8(15), levels = vld1q_u8(likeness_levels);                             \
        int32x4_t sums[STREAMS];                                                                                    \
        for (int stream = 0; stream < STREAMS; stream++) sums[stream] = vdupq_n_s32(0);                             \
        for (size_t i = 0; i < pitch; i += 16) {                                                                    \
            const int8_t *factors = query + 2 * (i & ~(size_t)63) + (i & 63);                                       \
            const int8x16_t lower = vld1q_s8(factors), upper = vld1q_s8(factors + 64);                              \
            for (int stream = 0; stream < STREAMS; stream++) {                                                      \
                const uint8x16_t pairs = vld1q_u8(rows[stream] + i);                                                \
                const uint8x16_t first = vqtbl1q_u8(levels, vandq_u8(pairs, low_bits));                             \
                const uint8x16_t second = vqtbl1q_u8(levels, vshrq_n_u8(pairs, 4));                                 \
                sums[stream] = ADD(sums[stream], vreinterpretq_s8_u8(first), lower);                                \
                sums[stream] = ADD(sums[stream], vreinterpretq_s8_u8(second), upper);                               \
            }                                                                                                       \
        }                                                                                                           \
        for (int stream = 0; stream < STREAMS; stream++) dots[stream * STEPS] = vaddvq_s32(sums[stream]);           \
    }

DEFINE_FOUR_ROWS(four_rows_dotprod, DOTPROD, add_dotprod)
DEFINE_FOUR_ROWS(four_rows_neon, , add_neon)
DEFINE_FOUR_HALF_ROWS(four_half_rows_dotprod, DOTPROD, add_dotprod)
DEFINE_FOUR_HALF_ROWS(four_half_rows_neon, , add_neon)
DEFINE_MULTIPLY(multiply_dotprod, DOTPROD, four_rows_dotprod, 4, 1)
DEFINE_MULTIPLY(multiply_neon, , four_rows_neon, 2, 1)
DEFINE_MULTIPLY(multiply_halves_dotprod, DOTPROD, four_half_rows_dotprod, 1, 2)
DEFINE_MULTIPLY(multiply_halves_neon, , four_half_rows_neon, 1, 2)
DEFINE_SIEVE(sieve, )

const Kernel likeness_dotprod_kernel = {"neon-dotprod",   127, 0, has_dotprod, multiply_dotprod,
                                        multiply_halves_dotprod, sieve};
const Kernel likeness_neon_kernel = {"neon", 127, 0, has_neon, multiply_neon, multiply_halves_neon, sieve};
#endif
