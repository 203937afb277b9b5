/* Values between those that are known, at the rows of irregular series: straight lines, or natural cubic splines.

   Unknown is what is not a number. A channel keeps its first value before, and its last one beyond what is known; one of which
   nothing is known is 0. Of several values at one time lines take the last. A natural spline takes the first, and has knots in
   the first and last row too, with the nearest known value. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    double *t;                        /* of the knots */
    float *x, *bend, *rest, *on_next; /* their values and second derivatives: bend = rest - on_next (bend of the next knot) */
} knots_t;

static int64_t add_knot(const knots_t *k, int64_t count, double t, float x, int natural) {
    if (natural && count && t <= k->t[count - 1]) return count;
    k->t[count] = t, k->x[count] = x;
    return count + 1;
}

/* h_k-1 M_k-1 + 2 (h_k-1 + h_k) M_k + h_k M_k+1 = 6 (s_k - s_k-1), with M = 0 at both ends, by Thomas' algorithm. */
static void bend_knots(const knots_t *k, int64_t count) {
    float before = 0, slope = 0;
    for (int64_t n = 0; n + 1 < count; n++) {
        float after = k->t[n + 1] - k->t[n], next = (k->x[n + 1] - k->x[n]) / after;
        if (n) {
            float pivot = 1 / (2 * (before + after) - before * k->on_next[n - 1]);
            k->on_next[n] = after * pivot, k->rest[n] = (6 * (next - slope) - before * k->rest[n - 1]) * pivot;
        } else k->on_next[0] = k->rest[0] = 0;
        before = after, slope = next;
    }
    k->bend[count - 1] = 0;
    for (int64_t n = count - 2; n >= 0; n--) k->bend[n] = k->rest[n] - k->on_next[n] * k->bend[n + 1];
}

static void fill_channel(int64_t rows, int64_t stride, int natural, const double *t, const float *x, float *y, const knots_t *k) {
    int64_t count = 0, n = 0;
    float last = 0;
    for (int64_t r = 0; r < rows; r++)
        if (!isnan(x[r * stride])) {
            last = x[r * stride];
            if (natural && !count) count = add_knot(k, count, t[0], last, natural);
            count = add_knot(k, count, t[r], last, natural);
        }
    if (natural && count) count = add_knot(k, count, t[rows - 1], last, natural), bend_knots(k, count);
    for (int64_t r = 0; r < rows; r++) {
        while (n < count && k->t[n] <= t[r]) n++; /* knots until now */
        float at = count ? k->x[n ? n - 1 : 0] : 0;
        if (n && n < count && k->t[n - 1] < t[r]) {
            float h = k->t[n] - k->t[n - 1], u = (float)(t[r] - k->t[n - 1]) / h, v = 1 - u;
            at += u * (k->x[n] - at);
            if (natural) at -= h * h * u * v / 6 * ((1 + v) * k->bend[n - 1] + (1 + u) * k->bend[n]);
        }
        y[r * stride] = at;
    }
}

/* y from x, both (series, rows, channels); t is (series, rows). Returns 0, or 1 if there is no memory. */
int fill(const double *t, const float *x, float *y, int64_t series, int64_t rows, int64_t channels, int64_t natural, int64_t threads) {
    int failed = 0;
#pragma omp parallel for num_threads(threads) reduction(| : failed)
    for (int64_t part = 0; part < threads; part++) {
        double *room = malloc((rows + 2) * (sizeof(double) + 4 * sizeof(float)));
        if ((failed |= !room)) continue;
        float *more = (float *)(room + rows + 2);
        knots_t knots = {room, more, more + rows + 2, more + 2 * (rows + 2), more + 3 * (rows + 2)};
        for (int64_t s = part * series / threads; s < (part + 1) * series / threads; s++)
            for (int64_t c = 0; c < channels; c++) {
                int64_t at = s * rows * channels + c;
                fill_channel(rows, channels, natural, t + s * rows, x + at, y + at, &knots);
            }
        free(room);
    }
    return failed;
}
