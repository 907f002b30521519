/* Rotation and rounding. Every operation on a row is the one the NumPy form does, in the same order, so the codes are
 * the same to the bit. */
#include <math.h>
#include <string.h>

#include "scan.h"

static void transform(float *values, size_t size, float scale) {
    for (size_t half = 1; half < size; half *= 2)
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

void likeness_rotate(const float *rows, size_t count, size_t dimension, const float *signs, float *rotated) {
    size_t size = 1;
    while (2 * size <= dimension) size *= 2;
    const float scale = (float)(1.0 / sqrt((double)size));
    for (size_t row = 0; row < count; row++, rows += dimension, rotated += dimension) {
        for (size_t i = 0; i < dimension; i++) rotated[i] = rows[i] * signs[i];
        transform(rotated, size, scale);
        if (size < dimension) transform(rotated + dimension - size, size, scale);
    }
}

float likeness_round(const float *row, size_t dimension, size_t pitch, int limit, uint8_t *codes, double *residual,
                     double *reach) {
    float most = 0;
    for (size_t i = 0; i < dimension; i++) most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
    float scale = most / (float)limit;
    if (scale < 0x1p-100f) scale = 0x1p-100f;
    const float inverse = 1 / scale;
    /* Adding and taking off 1.5 * 2**23 rounds to the nearest whole number, ties to even. */
    const float magic = 12582912.0f;
    double squares = 0;
    int32_t whole_squares = 0;
    for (size_t i = 0; i < dimension; i++) {
        const float scaled = row[i] * inverse;
        const int32_t code = (int32_t)((scaled + magic) - magic);
        const double error = (double)row[i] - (double)scale * code;
        squares += error * error;
        whole_squares += code * code;
        codes[i] = (uint8_t)(code + 128);
    }
    memset(codes + dimension, 128, pitch - dimension);
    *residual = sqrt(squares) / scale;
    *reach = sqrt((double)whole_squares) * scale;
    return scale;
}
