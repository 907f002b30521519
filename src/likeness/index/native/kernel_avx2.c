/* AVX2. VPMADDUBSW adds two products of an unsigned and a signed byte in 16 bits. With |g| <= 64 the sum is at most
 * 2 * 255 * 64 = 32640, so nothing saturates. 32 products take three instructions. */
#include "kernels.h"

#ifdef LIKENESS_X86
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

static int runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

AVX2 INLINE void store_totals(const __m256i *sums, int32_t *dots) {
    const __m256i halves =
        _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
    int32_t totals[STREAMS];
    _mm_storeu_si128((__m128i *)totals,
                     _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
    for (int stream = 0; stream < STREAMS; stream++) dots[stream * STEPS] = totals[stream];
}

AVX2 INLINE void four_rows(const uint8_t *const *rows, size_t pitch, const int8_t *queries, const int count,
                           int32_t *dots) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[2][STREAMS];
    for (int query = 0; query < count; query++)
        for (int stream = 0; stream < STREAMS; stream++) sums[query][stream] = _mm256_setzero_si256();
    for (size_t i = 0; i < pitch; i += 32) {
        __m256i factors[2];
        for (int query = 0; query < count; query++)
            factors[query] = _mm256_loadu_si256((const __m256i *)(queries + query * pitch + i));
#pragma GCC unroll 4
        for (int stream = 0; stream < STREAMS; stream++) {
            const __m256i codes = _mm256_loadu_si256((const __m256i *)(rows[stream] + i));
#pragma GCC unroll 2
            for (int query = 0; query < count; query++) {
                sums[query][stream] = _mm256_add_epi32(
                    sums[query][stream], _mm256_madd_epi16(_mm256_maddubs_epi16(codes, factors[query]), ones));
                __asm__("" : "+x"(sums[query][stream])); /* keeps the sums in registers */
            }
        }
    }
    for (int query = 0; query < count; query++) store_totals(sums[query], dots + query * STREAMS * STEPS);
}

/* Levels have six bits, and |g| <= 64. So four sums of two products, from twice 32 bytes, are at most
 * 4 * 2 * 63 * 64 = 32256. They fit in 16 bits, and are widened only after that. */

AVX2 INLINE void four_half_rows(const uint8_t *const *rows, size_t pitch, const int8_t *queries, const int count,
                                int32_t *dots) {
    const __m256i low_bits = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    const __m256i levels = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)likeness_levels));
    __m256i sums[2][STREAMS];
    for (int query = 0; query < count; query++)
        for (int stream = 0; stream < STREAMS; stream++) sums[query][stream] = _mm256_setzero_si256();
    for (size_t i = 0; i < pitch; i += 64)
#pragma GCC unroll 4
        for (int stream = 0; stream < STREAMS; stream++) {
            __m256i short_sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            FETCH(rows[stream] + i + BYTES_AHEAD);
#pragma GCC unroll 2
            for (int j = 0; j < 2; j++) {
                const __m256i pairs = _mm256_loadu_si256((const __m256i *)(rows[stream] + i + 32 * j));
                const __m256i first = _mm256_shuffle_epi8(levels, _mm256_and_si256(pairs, low_bits));
                const __m256i second =
                    _mm256_shuffle_epi8(levels, _mm256_and_si256(_mm256_srli_epi16(pairs, 4), low_bits));
#pragma GCC unroll 2
                for (int query = 0; query < count; query++) {
                    const __m256i *factors = (const __m256i *)(queries + 2 * (query * pitch + i) + 32 * j);
                    const __m256i lower = _mm256_maddubs_epi16(first, _mm256_loadu_si256(factors));
                    const __m256i upper = _mm256_maddubs_epi16(second, _mm256_loadu_si256(factors + 2));
                    short_sums[query] = _mm256_add_epi16(short_sums[query], _mm256_add_epi16(lower, upper));
                }
            }
#pragma GCC unroll 2
            for (int query = 0; query < count; query++)
                sums[query][stream] = _mm256_add_epi32(sums[query][stream], _mm256_madd_epi16(short_sums[query], ones));
        }
    for (int query = 0; query < count; query++) store_totals(sums[query], dots + query * STREAMS * STEPS);
}

DEFINE_MULTIPLY(multiply, AVX2, four_rows, 2, 1)
DEFINE_MULTIPLY(multiply_halves, AVX2, four_half_rows, 2, 2)
DEFINE_SIEVE(sieve, AVX2)

const Kernel likeness_avx2_kernel = {"avx2", 64, 128, runs_here, multiply, multiply_halves, sieve};
#endif
