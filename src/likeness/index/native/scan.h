/* One pass over all codes for several queries. It finds the rows that can be among the answers. */
#ifndef LIKENESS_SCAN_H
#define LIKENESS_SCAN_H

#include "kernels.h"

enum { MOST_DIMENSIONS = 8192 };

typedef struct {
    const uint8_t *codes;
    const Terms *terms;
    const uint8_t *halves;
    const Terms *half_terms;
    const float *rows; /* the templates as given; NULL: they are not in memory */
    const uint8_t *alive; /* NULL: all rows count */
    int64_t count;
} Part;

typedef struct {
    const float *row;
    int64_t wanted; /* number of best rows; 0: all that reach the minimum */
    Bound whole, half; /* of a score from codes, and from half codes */
    float tolerance, minimum;
    float doubt; /* the part of its bound that an estimated score may be off: 1 is proven, less is likely */
    float margin; /* more than the error of a score summed in float64 and rounded to float32 */
} Query;

/* A row that may count: part << 32 | row, its score summed in float64, and its upper bound less the tolerance. When its
 * template is not in memory, the score is estimated from its codes. */
typedef struct {
    uint64_t row;
    double score, upper;
} Candidate;

typedef struct {
    Candidate *all;
    size_t count, room;
} Candidates;

/* The rows whose score may reach the cut. Every other row is proven to score below it. */
typedef struct {
    Candidates kept;
    Candidates pending; /* during the scan: rows that their halves did not leave out, still without a score */
    float *lowers; /* min-heap of the best `wanted` scores, less what they may be off: the margin, and the doubt of an estimate */
    int64_t held;
    float cut;
} Found;

/* Bytes of a row of halves. */
size_t likeness_half_pitch(size_t pitch);

/* Return 0, or -1 when memory runs out. `found` must be zeroed before, and released after either result. */
int likeness_scan(const Kernel *kernel, size_t dimension, size_t pitch, const Part *parts, size_t part_count,
                  const int8_t *factors, const Query *queries, int query_count, Found *found);
void likeness_release(Found *found);

/* Rotate a row of `dimension` numbers: flip signs, then apply an orthonormal Walsh-Hadamard transform to the first
 * coordinates. When the dimension is not a power of two, apply another one to the last coordinates. */
void likeness_rotate(const float *row, size_t dimension, const float *signs, float *rotated);

/* The rounding of a row to scale * c: its terms for the scan, its error |row - scale * c| and its length |scale * c|.
 * The error of codes is in scales. */
typedef struct {
    Terms terms;
    double error, reach;
} Rounding;

/* Round a rotated row, padded with zeros to `pitch` numbers, to codes c + 128, |c| <= limit. */
Rounding likeness_round(const float *row, size_t pitch, int limit, uint8_t *codes);

/* Round the same row to half codes. `pitch` is at most MOST_DIMENSIONS. */
Rounding likeness_halve(const float *row, size_t dimension, size_t pitch, uint8_t *halves);

#endif
