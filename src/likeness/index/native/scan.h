/* One pass over all codes for several queries: which rows can still be among the answers. */
#ifndef LIKENESS_SCAN_H
#define LIKENESS_SCAN_H

#include "kernels.h"

enum { MOST_DIMENSIONS = 8192 };

typedef struct {
    const uint8_t *codes;
    const Terms *terms;
    const uint8_t *halves;
    const Terms *half_terms;
    const float *rows; /* as they were given */
    const uint8_t *alive; /* NULL: all are */
    int64_t count;
} Part;

typedef struct {
    const float *row;
    int64_t wanted; /* how many best; 0: all that reach the minimum */
    Bound whole, half; /* what the codes say of a score, and what the half codes say */
    float tolerance, minimum;
    float margin; /* more than summing a score in float64 and rounding it to float32 may cost */
} Query;

/* A row that may count: part << 32 | row, its score as summed in float64, and what bounds it, less the tolerance. */
typedef struct {
    uint64_t row;
    double score, upper;
} Candidate;

typedef struct {
    Candidate *all;
    size_t count, room;
} Candidates;

/* The rows whose score may reach the cut: every other one is proven to score below it. */
typedef struct {
    Candidates kept;
    Candidates pending; /* while scanning: rows that their halves did not leave out, without a score */
    float *lowers; /* min-heap of the best `wanted` scores, less the margin */
    int64_t held;
    float cut;
} Found;

/* Bytes of a row of halves. */
size_t likeness_half_pitch(size_t pitch);

/* 0, or -1 when memory runs out; `found` must be zeroed, and released whatever the result. */
int likeness_scan(const Kernel *kernel, size_t dimension, size_t pitch, const Part *parts, size_t part_count,
                  const int8_t *factors, const Query *queries, int query_count, Found *found);
void likeness_release(Found *found);

/* Rotate a row of `dimension` numbers: flip signs, then an orthonormal Walsh-Hadamard transform of the first and, where
 * the dimension is no power of two, of the last coordinates. */
void likeness_rotate(const float *row, size_t dimension, const float *signs, float *rotated);

/* A row rounded to scale * c: what the scan keeps of that; how far off it is and how long, |row - scale * c| (of codes: in
 * scales) and |scale * c|. */
typedef struct {
    Terms terms;
    double error, reach;
} Rounding;

/* Round a rotated row, padded with zeros to `pitch` numbers, to codes c + 128, |c| <= limit. */
Rounding likeness_round(const float *row, size_t pitch, int limit, uint8_t *codes);

/* Round the same row to half codes; `pitch` at most MOST_DIMENSIONS. */
Rounding likeness_halve(const float *row, size_t dimension, size_t pitch, uint8_t *halves);

#endif
