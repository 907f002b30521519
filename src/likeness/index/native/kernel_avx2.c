/* AVX2. VPMADDUBSW adds two products of an unsigned and a signed byte in 16 bits; with |g| <= 64 the sum stays within
 * 2 * 255 * 64 = 32640, so nothing saturates, and 32 products cost three instructions. */
#include "kernels.h"

#ifdef LIKENESS_X86
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

static int runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

AVX2 INLINE void four_rows(const uint8_t *rows, size_t gap, size_t pitch, const int8_t *queries, const int count,
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
            const __m256i codes = _mm256_loadu_si256((const __m256i *)(rows + stream * gap + i));
#pragma GCC unroll 2
            for (int query = 0; query < count; query++)
{
                sums[query][stream] = _mm256_add_epi32(
                    sums[query][stream], _mm256_madd_epi16(_mm256_maddubs_epi16(codes, factors[query]), ones));
                __asm__("" : "+x"(sums[query][stream]));}
        }
    }
    for (int query = 0; query < count; query++) {
        const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[query][0], sums[query][1]),
                                                 _mm256_hadd_epi32(sums[query][2], sums[query][3]));
        int32_t four[STREAMS];
        _mm_storeu_si128((__m128i *)four,
                         _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
        for (int stream = 0; stream < STREAMS; stream++) dots[(query * STREAMS + stream) * STEPS] = four[stream];
    }
}

DEFINE_MULTIPLY(multiply, AVX2, four_rows, 2)
DEFINE_SIEVE(sieve, AVX2)

const Kernel likeness_avx2_kernel = {"avx2", 64, 128, runs_here, multiply, sieve};
#endif
