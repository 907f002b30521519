/* AVX-512 VNNI. VPDPBUSD adds four products of an unsigned and a signed byte to 32 bits, and does not saturate. One
 * instruction does 64 products. */
#include "kernels.h"

#ifdef LIKENESS_X86
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static int runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

/* Reduce the sums of the four streams together. Each addition halves the number of partial sums. */
AVX512 INLINE void store_totals(const __m512i *sums, int32_t *dots) {
    const __m512i first =
        _mm512_add_epi32(_mm512_unpacklo_epi32(sums[0], sums[1]), _mm512_unpackhi_epi32(sums[0], sums[1]));
    const __m512i second =
        _mm512_add_epi32(_mm512_unpacklo_epi32(sums[2], sums[3]), _mm512_unpackhi_epi32(sums[2], sums[3]));
    const __m512i lanes = _mm512_add_epi32(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
    const __m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    const __m128i totals = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    dots[0] = _mm_cvtsi128_si32(totals);
    dots[STEPS] = _mm_extract_epi32(totals, 1);
    dots[2 * STEPS] = _mm_extract_epi32(totals, 2);
    dots[3 * STEPS] = _mm_extract_epi32(totals, 3);
}

AVX512 INLINE void four_rows(const uint8_t *const *rows, size_t pitch, const int8_t *queries, const int count,
                             int32_t *dots) {
    __m512i sums[4][STREAMS];
    for (int query = 0; query < count; query++)
        for (int stream = 0; stream < STREAMS; stream++) sums[query][stream] = _mm512_setzero_si512();
    for (size_t i = 0; i < pitch; i += 64) {
        __m512i factors[4];
        for (int query = 0; query < count; query++)
            factors[query] = _mm512_loadu_si512((const void *)(queries + query * pitch + i));
#pragma GCC unroll 4
        for (int stream = 0; stream < STREAMS; stream++) {
            const __m512i codes = _mm512_loadu_si512((const void *)(rows[stream] + i));
#pragma GCC unroll 4
            for (int query = 0; query < count; query++)
                sums[query][stream] = _mm512_dpbusd_epi32(sums[query][stream], codes, factors[query]);
        }
    }
    for (int query = 0; query < count; query++) store_totals(sums[query], dots + query * STREAMS * STEPS);
}

AVX512 INLINE void four_half_rows(const uint8_t *const *rows, size_t pitch, const int8_t *queries,
                                  const int count, int32_t *dots) {
    const __m512i low_bits = _mm512_set1_epi8(15);
    const __m512i levels = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)likeness_levels));
    __m512i sums[2][STREAMS];
    for (int query = 0; query < count; query++)
        for (int stream = 0; stream < STREAMS; stream++) sums[query][stream] = _mm512_setzero_si512();
    for (size_t i = 0; i < pitch; i += 64) {
        __m512i lower[2], upper[2];
        for (int query = 0; query < count; query++) {
            lower[query] = _mm512_loadu_si512((const void *)(queries + 2 * (query * pitch + i)));
            upper[query] = _mm512_loadu_si512((const void *)(queries + 2 * (query * pitch + i) + 64));
        }
#pragma GCC unroll 4
        for (int stream = 0; stream < STREAMS; stream++) {
            FETCH(rows[stream] + i + BYTES_AHEAD);
            const __m512i pairs = _mm512_loadu_si512((const void *)(rows[stream] + i));
            const __m512i first = _mm512_shuffle_epi8(levels, _mm512_and_si512(pairs, low_bits));
            const __m512i second =
                _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), low_bits));
#pragma GCC unroll 2
            for (int query = 0; query < count; query++)
                sums[query][stream] = _mm512_dpbusd_epi32(
                    _mm512_dpbusd_epi32(sums[query][stream], first, lower[query]), second, upper[query]);
        }
    }
    for (int query = 0; query < count; query++) store_totals(sums[query], dots + query * STREAMS * STEPS);
}

DEFINE_MULTIPLY(multiply, AVX512, four_rows, 4, 1)
DEFINE_MULTIPLY(multiply_halves, AVX512, four_half_rows, 2, 2)

AVX512 static int sieve(const int32_t *dots, const Terms *terms, int steps, Bound bound, float cut, float *uppers,
                        int32_t *hits) {
    const __m512i bias = _mm512_set1_epi32(bound.bias);
    const __m512 step = _mm512_set1_ps(bound.step), lift = _mm512_set1_ps(bound.lift);
    const __m512 width = _mm512_set1_ps(bound.width), least = _mm512_set1_ps(cut);
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int count = 0;
    for (int i = 0; i < steps; i += 16) {
        const __mmask16 here = steps - i < 16 ? (__mmask16)((1 << (steps - i)) - 1) : (__mmask16)0xffff;
        const __m512 dot = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_maskz_loadu_epi32(here, dots + i), bias));
        const __m512i words = _mm512_maskz_loadu_epi32(here, terms + i);
        const __m512 scale = _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000u)));
        const __m512 error = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
        const __m512 estimate = _mm512_mul_ps(scale, _mm512_add_ps(_mm512_mul_ps(step, dot), lift));
        const __m512 upper = _mm512_add_ps(estimate, _mm512_mul_ps(width, error));
        const __mmask16 reached = _mm512_mask_cmp_ps_mask(here, upper, least, _CMP_GE_OQ);
        _mm512_mask_storeu_ps(uppers + i, here, upper);
        if (reached) {
            _mm512_storeu_si512((void *)(hits + count), _mm512_maskz_compress_epi32(reached, numbers));
            count += __builtin_popcount(reached);
        }
        numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16));
    }
    return count;
}

const Kernel likeness_avx512_kernel = {"avx512-vnni", 127, 128, runs_here, multiply, multiply_halves, sieve};
#endif
