/* AVX-512 VNNI. VPDPBUSD adds four products of an unsigned and a signed byte to 32 bits without saturating: 64
 * products in one instruction. */
#include "kernels.h"

#ifdef LIKENESS_X86
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static int runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

AVX512 INLINE void four_rows(const uint8_t *rows, size_t gap, size_t pitch, const int8_t *queries, const int count,
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
            const __m512i codes = _mm512_loadu_si512((const void *)(rows + stream * gap + i));
#pragma GCC unroll 4
            for (int query = 0; query < count; query++)
                sums[query][stream] = _mm512_dpbusd_epi32(sums[query][stream], codes, factors[query]);
        }
    }
    for (int query = 0; query < count; query++)
        for (int stream = 0; stream < STREAMS; stream++)
            dots[(query * STREAMS + stream) * STEPS] = _mm512_reduce_add_epi32(sums[query][stream]);
}

DEFINE_MULTIPLY(multiply, AVX512, four_rows, 4)
DEFINE_SIEVE(sieve, AVX512)

const Kernel likeness_avx512_kernel = {"avx512-vnni", 127, 128, runs_here, multiply, sieve};
#endif
