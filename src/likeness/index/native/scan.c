#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* Half codes are faster only when they leave, for all queries together, at most one row in so many. To fetch a single
 * row takes several times as long as its share of a scan, and even longer for short rows. The numbers are measured. */
static int64_t worth(size_t pitch) { return 2 + 2048 / (int64_t)pitch; }
enum { FEW = 256 };
/* How many blocks to read by their codes after half codes were slower. The number doubles each time. */
enum { SHORTEST_PAUSE = 2, LONGEST_PAUSE = 256 };
/* How many rows ahead to fetch. */
enum { AHEAD = 16 };

/* Long blocks keep the memory busy. Short blocks keep the dot products of many queries in cache. */
static int choose_steps(int query_count) {
    const int steps = STEPS / query_count & ~15;
    return steps < 32 ? 32 : steps;
}

/* Rows scanned together, by codes or half codes: `steps` rows from each of `streams` places, `spread` rows apart. */
typedef struct {
    uint64_t part;
    int64_t row, spread;
    int steps, streams, halved;
} Block;

typedef struct {
    const Kernel *kernel;
    size_t dimension, pitch, half_pitch;
    const Part *parts;
    const int8_t *factors, *half_factors;
    const Query *queries;
    int query_count;
    Found *found;
    Block waiting; /* multiplied but not yet sifted; meanwhile the next block's rows arrive from memory */
    int32_t *dots, *waiting_dots;
    int64_t halved; /* rows whose half codes were read since all pending rows were looked at */
    int64_t looked_at; /* those of them that were looked at at once */
    int pause, whole_blocks_left;
} Scan;

size_t likeness_half_pitch(size_t pitch) { return (pitch + 127) / 128 * 64; }

void likeness_release(Found *found) {
    free(found->kept.all);
    free(found->pending.all);
    free(found->lowers);
    memset(found, 0, sizeof *found);
}

/* Drop the candidates that have fallen below the cut since they were found. */
static void drop_below(Candidates *candidates, float cut) {
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->all[i].upper >= cut) candidates->all[kept++] = candidates->all[i];
    candidates->count = kept;
}

static int make_room(Candidates *candidates, float cut) {
    drop_below(candidates, cut);
    if (candidates->room && 2 * candidates->count <= candidates->room) return 0;
    const size_t room = candidates->room ? 2 * candidates->room : FEW;
    Candidate *moved = realloc(candidates->all, room * sizeof *moved);
    if (!moved) return -1;
    candidates->all = moved;
    candidates->room = room;
    return 0;
}

static int append(Candidates *candidates, Candidate candidate, float cut) {
    if (candidates->count == candidates->room && make_room(candidates, cut)) return -1;
    candidates->all[candidates->count++] = candidate;
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

/* Keep the best `wanted` scores. Once all are held, the least of them bounds the last hit's score from below. */
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
    if (found->held == query->wanted && heap[0] > query->minimum) found->cut = heap[0] - query->tolerance;
}

static const Part *part_of(const Scan *scan, uint64_t row) { return &scan->parts[row >> 32]; }

/* Keep a row that may count. Its score may raise the cut. */
static int keep(const Scan *scan, int q, uint64_t row, float upper) {
    const Query *query = &scan->queries[q];
    Found *found = &scan->found[q];
    const Part *part = part_of(scan, row);
    const uint64_t offset = row & UINT32_MAX;
    double score;
    float off = query->margin;
    if (part->rows)
        score = multiply_exactly(part->rows + offset * scan->dimension, query->row, scan->dimension);
    else {
        const float allowance = likeness_scale(part->terms[offset]) * query->whole.lift;
        score = upper - allowance;
        off += query->doubt * (allowance + query->tolerance);
    }
    if (append(&found->kept, (Candidate){row, score, upper}, found->cut)) return -1;
    if (query->wanted) raise_cut(found, query, (float)score - off);
    return 0;
}

static const uint8_t *codes_of(const Scan *scan, uint64_t row) {
    return part_of(scan, row)->codes + (row & UINT32_MAX) * scan->pitch;
}

/* Look at the codes of up to four rows, in any places. */
static int look_at(const Scan *scan, int q, const Candidate *candidates, size_t count) {
    const uint8_t *codes[STREAMS];
    int32_t dots[STREAMS * STEPS];
    for (size_t i = 0; i < STREAMS; i++) codes[i] = codes_of(scan, candidates[i < count ? i : 0].row);
    scan->kernel->multiply(codes, scan->pitch, 1, scan->factors + q * scan->pitch, 1, dots);
    for (size_t i = 0; i < count; i++) {
        const uint64_t row = candidates[i].row;
        const Terms terms = part_of(scan, row)->terms[row & UINT32_MAX];
        const float upper = likeness_upper(scan->queries[q].whole, dots[i * STEPS], terms);
        if (upper >= scan->found[q].cut && keep(scan, q, row, upper)) return -1;
    }
    return 0;
}

static void fetch(const Scan *scan, uint64_t row) {
    for (size_t at = 0; at < scan->pitch; at += 64) FETCH(codes_of(scan, row) + at);
    FETCH(part_of(scan, row)->terms + (row & UINT32_MAX));
}

static int look_at_pending(Scan *scan) {
    for (int q = 0; q < scan->query_count; q++) {
        Found *found = &scan->found[q];
        Candidates *pending = &found->pending;
        drop_below(pending, found->cut);
        for (size_t at = 0, fetched = 0; at < pending->count; at += STREAMS) {
            const size_t left = pending->count - at;
            while (fetched < pending->count && fetched < at + AHEAD) fetch(scan, pending->all[fetched++].row);
            if (look_at(scan, q, pending->all + at, left < STREAMS ? left : STREAMS)) return -1;
        }
        pending->count = 0;
    }
    scan->halved = scan->looked_at = 0;
    return 0;
}

static int64_t count_pending(const Scan *scan) {
    int64_t count = 0;
    for (int q = 0; q < scan->query_count; q++) count += (int64_t)scan->found[q].pending.count;
    return count;
}

/* Whether so many rows are left that a scan of all codes would have been faster. */
static int is_too_much(const Scan *scan) {
    const int64_t most = FEW + scan->halved / worth(scan->pitch) - scan->looked_at;
    if (count_pending(scan) <= most) return 0;
    for (int q = 0; q < scan->query_count; q++) drop_below(&scan->found[q].pending, scan->found[q].cut);
    return count_pending(scan) > most;
}

static void multiply(Scan *scan, const Block *block) {
    const Part *part = &scan->parts[block->part];
    const size_t pitch = block->halved ? scan->half_pitch : scan->pitch;
    const uint8_t *streams[STREAMS];
    for (int stream = 0; stream < STREAMS; stream++)
        streams[stream] = (block->halved ? part->halves : part->codes) + (block->row + stream * block->spread) * pitch;
    if (!block->halved) {
        scan->kernel->multiply(streams, pitch, block->steps, scan->factors, scan->query_count, scan->dots);
        return;
    }
    for (int stream = 0; stream < block->streams; stream++)
        for (int i = 0; i < block->steps; i += 16) FETCH(part->half_terms + block->row + stream * block->spread + i);
    scan->kernel->multiply_halves(streams, pitch, block->steps, scan->half_factors, scan->query_count, scan->dots);
    scan->halved += block->steps * block->streams;
}

/* Find the rows of the waiting block that may reach the cut. When half codes do not leave a row out, look at its codes
 * at once if they will probably raise the cut. Otherwise the row is pending, because a higher cut may still leave it
 * out. */
static int sift(Scan *scan) {
    const Block *block = &scan->waiting;
    const Part *part = &scan->parts[block->part];
    for (int q = 0; q < scan->query_count; q++)
        for (int stream = 0; stream < block->streams; stream++) {
            const Query *query = &scan->queries[q];
            Found *found = &scan->found[q];
            const int32_t *dots = scan->waiting_dots + (q * STREAMS + stream) * STEPS;
            const int64_t first = block->row + stream * block->spread;
            const Bound bound = block->halved ? query->half : query->whole;
            const Terms *terms = (block->halved ? part->half_terms : part->terms) + first;
            float uppers[STEPS];
            int32_t hits[STEPS + 16];
            const int count = scan->kernel->sieve(dots, terms, block->steps, bound, found->cut, uppers, hits);
            for (int hit = 0; hit < count; hit++) {
                const int64_t offset = first + hits[hit];
                const float upper = uppers[hits[hit]];
                const Candidate candidate = {.row = block->part << 32 | (uint64_t)offset, .upper = upper};
                int result;
                if (!(upper >= found->cut) || (part->alive && !part->alive[offset])) continue;
                if (!block->halved)
                    result = keep(scan, q, candidate.row, upper);
                else if (upper - bound.width * likeness_error(terms[hits[hit]]) < found->cut)
                    result = append(&found->pending, candidate, found->cut);
                else {
                    result = look_at(scan, q, &candidate, 1);
                    scan->looked_at++;
                }
                if (result) return -1;
            }
        }
    if (!block->halved || !is_too_much(scan)) return 0;
    scan->whole_blocks_left = scan->pause;
    if (scan->pause < LONGEST_PAUSE) scan->pause *= 2;
    return look_at_pending(scan);
}

static int scan_block(Scan *scan, const Block *block) {
    multiply(scan, block);
    if (sift(scan)) return -1;
    int32_t *sifted = scan->waiting_dots;
    scan->waiting_dots = scan->dots;
    scan->dots = sifted;
    scan->waiting = *block;
    return 0;
}

static int scan_part(Scan *scan, uint64_t number) {
    const int64_t count = scan->parts[number].count, quarter = count / STREAMS, most = choose_steps(scan->query_count);
    /* Scan the four quarters as four streams. Then scan the last rows, fewer than four, one by one. */
    for (int64_t row = 0; row < quarter; row += most) {
        const int steps = (int)(quarter - row < most ? quarter - row : most);
        const Block block = {number, row, quarter, steps, STREAMS, !scan->whole_blocks_left};
        if (scan->whole_blocks_left) scan->whole_blocks_left--;
        if (scan_block(scan, &block)) return -1;
    }
    for (int64_t row = STREAMS * quarter; row < count; row++) {
        const Block block = {number, row, 0, 1, 1, 0};
        if (scan_block(scan, &block)) return -1;
    }
    return 0;
}

int likeness_scan(const Kernel *kernel, size_t dimension, size_t pitch, const Part *parts, size_t part_count,
                  const int8_t *factors, const Query *queries, int query_count, Found *found) {
    const size_t half_pitch = likeness_half_pitch(pitch), dots_size = (size_t)query_count * STREAMS * STEPS;
    int8_t *half_factors = calloc((size_t)query_count, 2 * half_pitch);
    int32_t *dots = malloc(2 * dots_size * sizeof *dots);
    Scan scan = {.kernel = kernel,
                 .dimension = dimension,
                 .pitch = pitch,
                 .half_pitch = half_pitch,
                 .parts = parts,
                 .factors = factors,
                 .half_factors = half_factors,
                 .queries = queries,
                 .query_count = query_count,
                 .found = found,
                 .dots = dots,
                 .pause = SHORTEST_PAUSE};
    int result = -1;
    if (!half_factors || !dots) goto end;
    scan.waiting_dots = dots + dots_size;
    for (int q = 0; q < query_count; q++) {
        memcpy(half_factors + q * 2 * half_pitch, factors + q * pitch, pitch);
        found[q].lowers = malloc((size_t)(queries[q].wanted + 1) * sizeof *found[q].lowers);
        if (!found[q].lowers) goto end;
        found[q].cut = queries[q].minimum - queries[q].tolerance;
    }
    for (size_t p = 0; p < part_count; p++)
        if (scan_part(&scan, p)) goto end;
    if (part_count && (sift(&scan) || look_at_pending(&scan))) goto end;
    for (int q = 0; q < query_count; q++) drop_below(&found[q].kept, found[q].cut);
    result = 0;
end:
    free(half_factors);
    free(dots);
    return result;
}
