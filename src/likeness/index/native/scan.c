#include "scan.h"

#include <stdlib.h>
#include <string.h>

void likeness_release(Found *found) {
    free(found->rows);
    free(found->uppers);
    free(found->lowers);
    memset(found, 0, sizeof *found);
}

/* Forget what has fallen below the cut since it was found. */
static void settle(Found *found) {
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++)
        if (found->uppers[i] >= found->cut) {
            found->rows[kept] = found->rows[i];
            found->uppers[kept++] = found->uppers[i];
        }
    found->count = kept;
}

static int make_room(Found *found) {
    settle(found);
    if (2 * found->count <= found->room) return 0;
    const size_t room = 2 * found->room;
    uint64_t *rows = realloc(found->rows, room * sizeof *rows);
    if (!rows) return -1;
    found->rows = rows;
    float *uppers = realloc(found->uppers, room * sizeof *uppers);
    if (!uppers) return -1;
    found->uppers = uppers;
    found->room = room;
    return 0;
}

static double multiply_exactly(const float *row, const float *query, size_t dimension) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= dimension; i += 4)
        for (int lane = 0; lane < 4; lane++) sums[lane] += (double)row[i + lane] * (double)query[i + lane];
    for (; i < dimension; i++) sums[0] += (double)row[i] * (double)query[i];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

/* Keep the best `wanted` scores; the least of them bounds the last hit's from below, once all are held. */
static void raise_cut(Found *found, const Query *query, float lower) {
    float *heap = found->lowers;
    int64_t at;
    if (found->held < query->wanted) {
        for (at = found->held++; at && heap[(at - 1) / 2] > lower; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        heap[at] = lower;
    } else if (lower > heap[0]) {
        for (at = 0;;) {
            int64_t child = 2 * at + 1;
            if (child >= found->held) break;
            if (child + 1 < found->held && heap[child + 1] < heap[child]) child++;
            if (heap[child] >= lower) break;
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = lower;
    }
    if (found->held == query->wanted && heap[0] > query->minimum) found->cut = heap[0] - query->slack;
}

static int sift(const Part *part, uint64_t first_row, int steps, size_t dimension, const float *uppers,
                const Query *query, Found *found) {
    const uint64_t first = first_row & 0xffffffff;
    for (int i = 0; i < steps; i++) {
        if (!(uppers[i] >= found->cut) || (part->alive && !part->alive[first + i])) continue;
        if (found->count == found->room && make_room(found)) return -1;
        found->rows[found->count] = first_row + i;
        found->uppers[found->count++] = uppers[i];
        if (query->wanted) {
            const double score = multiply_exactly(part->rows + (first + i) * dimension, query->row, dimension);
            raise_cut(found, query, (float)score - query->margin);
        }
    }
    return 0;
}

int likeness_scan(const Kernel *kernel, size_t dimension, size_t pitch, const Part *parts, size_t part_count,
                  const int8_t *factors, const Query *queries, int query_count, Found *found) {
    int result = -1;
    int32_t *dots = malloc((size_t)query_count * STREAMS * STEPS * sizeof *dots);
    if (!dots) return -1;
    for (int q = 0; q < query_count; q++) {
        found[q].room = 256;
        found[q].rows = malloc(found[q].room * sizeof *found[q].rows);
        found[q].uppers = malloc(found[q].room * sizeof *found[q].uppers);
        found[q].lowers = malloc((size_t)(queries[q].wanted + 1) * sizeof *found[q].lowers);
        if (!found[q].rows || !found[q].uppers || !found[q].lowers) goto end;
        found[q].cut = queries[q].minimum - queries[q].slack;
    }
    for (size_t p = 0; p < part_count; p++) {
        const Part *part = &parts[p];
        const int64_t quarter = part->count / STREAMS;
        for (int64_t row = 0; row < part->count;) {
            /* Four streams over the quarters; then the last rows, fewer than four, each a stream of its own. */
            const int64_t spread = row < quarter ? quarter : 0;
            const int steps = spread ? (int)(quarter - row < STEPS ? quarter - row : STEPS) : 1;
            kernel->multiply(part->codes + row * pitch, spread * pitch, pitch, steps, factors, query_count, dots);
            for (int q = 0; q < query_count; q++)
                for (int stream = 0; stream < (spread ? STREAMS : 1); stream++) {
                    const int64_t first = row + stream * spread;
                    float uppers[STEPS];
                    if (kernel->sieve(dots + (q * STREAMS + stream) * STEPS, part->scales + first, steps,
                                      queries[q].bias, queries[q].step, queries[q].allowance, found[q].cut, uppers) &&
                        sift(part, (uint64_t)p << 32 | (uint64_t)first, steps, dimension, uppers, &queries[q], &found[q]))
                        goto end;
                }
            row += steps;
            if (spread && row == quarter) row = STREAMS * quarter;
        }
    }
    for (int q = 0; q < query_count; q++) settle(&found[q]);
    result = 0;
end:
    free(dots);
    return result;
}
