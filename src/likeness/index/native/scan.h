/* One pass over all codes for several queries: which rows can still be among the answers. */
#ifndef LIKENESS_SCAN_H
#define LIKENESS_SCAN_H

#include "kernels.h"

typedef struct {
    const uint8_t *codes;
    const float *scales;
    const float *rows; /* as they were given */
    const uint8_t *alive; /* NULL: all are */
    int64_t count;
} Part;

/* With dot = sum(c * g), a row's score lies within slack of scale * (step * dot -+ allowance). */
typedef struct {
    const float *row;
    int64_t wanted; /* how many best; 0: all that reach the minimum */
    int32_t bias;
    float step, allowance, slack, minimum;
    float margin; /* more than summing a score in float64 and rounding it to float32 may cost */
} Query;

/* The rows whose score may reach the cut: every other one is proven to score below it. */
typedef struct {
    uint64_t *rows; /* part << 32 | row */
    float *uppers;
    size_t count, room;
    float *lowers; /* min-heap of the best `wanted` scores, less the margin */
    int64_t held;
    float cut;
} Found;

/* 0, or -1 when memory runs out; `found` must be zeroed, and released whatever the result. */
int likeness_scan(const Kernel *kernel, size_t dimension, size_t pitch, const Part *parts, size_t part_count,
                  const int8_t *factors, const Query *queries, int query_count, Found *found);
void likeness_release(Found *found);

/* Rotate a row of `dimension` numbers: flip signs, then an orthonormal Walsh-Hadamard transform of the first and, where
 * the dimension is no power of two, of the last coordinates. */
void likeness_rotate(const float *row, size_t dimension, const float *signs, float *rotated);

/* Round a rotated row, padded with zeros to `pitch` numbers, to codes c + 128, |c| <= limit; gives its scale, and says
 * how far off and how long the rounded row is: |row - scale * c| / scale and |scale * c|. */
float likeness_round(const float *row, size_t pitch, int limit, uint8_t *codes, double *residual, double *reach);

#endif
