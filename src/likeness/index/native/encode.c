/* Rotation and rounding. The operations on a row are those of the NumPy form, in the same order. So the codes are the
 * same to the bit. */
#include <math.h>
#include <string.h>

#include "scan.h"

/* Compile a second form for AVX2, where the loader can choose between two forms of a function. It gives the same bits,
 * because AVX2 alone has no fused multiplication. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONED __attribute__((target_clones("avx2", "default")))
#else
#define CLONED
#endif

enum { RADIX = 8 };

/* Do the first three stages for eight numbers. Their halves are too short for vectors. */
static void transform_eight(float *values) {
    float left[RADIX], right[RADIX];
    for (int i = 0; i < RADIX; i += 2) left[i] = values[i] + values[i + 1], left[i + 1] = values[i] - values[i + 1];
    for (int i = 0; i < RADIX; i += 4)
        for (int j = i; j < i + 2; j++) right[j] = left[j] + left[j + 2], right[j + 2] = left[j] - left[j + 2];
    for (int i = 0; i < 4; i++) values[i] = right[i] + right[i + 4], values[i + 4] = right[i] - right[i + 4];
}

CLONED static void transform(float *values, size_t size, float scale) {
    size_t half = 1;
    if (size >= RADIX) {
        for (size_t block = 0; block < size; block += RADIX) transform_eight(values + block);
        half = RADIX;
    }
    for (; half < size; half *= 2)
        for (size_t block = 0; block < size; block += 2 * half) {
            float *restrict low = values + block, *restrict high = values + block + half;
            for (size_t i = 0; i < half; i++) {
                const float sum = low[i] + high[i], difference = low[i] - high[i];
                low[i] = sum;
                high[i] = difference;
            }
        }
    for (size_t i = 0; i < size; i++) values[i] *= scale;
}

CLONED void likeness_rotate(const float *row, size_t dimension, const float *signs, float *rotated) {
    size_t size = 1;
    while (2 * size <= dimension) size *= 2;
    const float scale = (float)(1.0 / sqrt((double)size));
    for (size_t i = 0; i < dimension; i++) rotated[i] = row[i] * signs[i];
    transform(rotated, size, scale);
    if (size < dimension) transform(rotated + dimension - size, size, scale);
}

static uint32_t bits_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Give the smallest bfloat16 that is not less. For numbers from 0 up. */
static float round_up(float number) { return likeness_float((bits_of(number) + 0xffff) & 0xffff0000u); }

/* Sums run in lanes, so that the compiler can keep them in vectors and does not change their order. */
enum { LANES = 8 };

CLONED Rounding likeness_round(const float *row, size_t pitch, int limit, uint8_t *codes) {
    float tops[LANES] = {0}, most = 0;
    for (size_t i = 0; i < pitch; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float size = fabsf(row[i + lane]);
            tops[lane] = size > tops[lane] ? size : tops[lane];
        }
    for (int lane = 0; lane < LANES; lane++) most = tops[lane] > most ? tops[lane] : most;
    const float least = most / (float)limit, scale = round_up(least < 0x1p-100f ? 0x1p-100f : least);
    const float inverse = 1 / scale;
    /* To add and subtract 1.5 * 2**23 rounds to the nearest whole number, ties to even. */
    const float magic = 12582912.0f;
    double errors[LANES] = {0}, error_squares = 0;
    float squares[LANES] = {0}; /* whole numbers below 2**24: exact */
    double whole_squares = 0;
    for (size_t i = 0; i < pitch; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float whole = (row[i + lane] * inverse + magic) - magic;
            const double error = (double)row[i + lane] - (double)scale * (double)whole;
            errors[lane] += error * error;
            squares[lane] += whole * whole;
            codes[i + lane] = (uint8_t)((int32_t)whole + 128);
        }
    for (int lane = 0; lane < LANES; lane++) error_squares += errors[lane], whole_squares += squares[lane];
    return (Rounding){bits_of(scale), sqrt(error_squares) / scale, sqrt(whole_squares) * scale};
}

/* The boundaries between two levels, on either side of 0. */
static const float ends[] = {3, 6, 9, 12.5f, 16.5f, 21, 27.5f};
enum { ENDS = sizeof ends / sizeof *ends };

CLONED Rounding likeness_halve(const float *row, size_t dimension, size_t pitch, uint8_t *halves) {
    float levels[MOST_DIMENSIONS];
    uint8_t codes[MOST_DIMENSIONS];
    double squares[LANES] = {0}, length_squares = 0;
    for (size_t i = 0; i < pitch; i += LANES) /* the padding adds zeros */
        for (int lane = 0; lane < LANES; lane++) squares[lane] += (double)row[i + lane] * (double)row[i + lane];
    for (int lane = 0; lane < LANES; lane++) length_squares += squares[lane];
    const double deviation = fmax(sqrt(length_squares / (double)dimension), 0x1p-100);
    const float inverse = (float)(31.5 / 2.7326 / deviation);
    for (size_t i = 0; i < pitch; i++) {
        const float value = row[i] * inverse, size = fabsf(value);
        int32_t beyond = 0;
        for (int end = 0; end < ENDS; end++) beyond += size > ends[end];
        codes[i] = (uint8_t)(value > 0 ? 8 + beyond : 7 - beyond);
    }
    for (size_t i = 0; i < pitch; i++) levels[i] = i < dimension ? (float)likeness_levels[codes[i]] - 31.5f : 0;
    /* The scale that brings the rounded row nearest to the row. */
    double products[LANES] = {0}, product = 0, level_squares = 0;
    float few_squares[LANES] = {0}; /* quarters below 2**22: exact */
    for (size_t i = 0; i < pitch; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            products[lane] += (double)levels[i + lane] * (double)row[i + lane];
            few_squares[lane] += levels[i + lane] * levels[i + lane];
        }
    for (int lane = 0; lane < LANES; lane++) product += products[lane], level_squares += few_squares[lane];
    const float scale = round_up((float)(product / level_squares));
    double errors[LANES] = {0}, error_squares = 0;
    for (size_t i = 0; i < pitch; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const double error = (double)row[i + lane] - (double)scale * (double)levels[i + lane];
            errors[lane] += error * error;
        }
    for (int lane = 0; lane < LANES; lane++) error_squares += errors[lane];
    for (size_t block = 0; block < pitch; block += 128, halves += 64)
        for (size_t i = 0; i < 64; i++)
            halves[i] = (uint8_t)(codes[block + i] | (block + 64 < pitch ? codes[block + 64 + i] << 4 : 0));
    const double error = sqrt(error_squares);
    return (Rounding){bits_of(scale) | bits_of(round_up((float)error)) >> 16, error, sqrt(level_squares) * scale};
}
