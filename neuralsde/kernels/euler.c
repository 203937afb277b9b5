/* Euler-Maruyama along a net, forward and backward, a tile of samples through all steps before the next.

   A step of one sample, with everything elementwise but the products:

       x_0 = act(c_n + A [z, X_n]),   x_l = act(b_l + W_l x_{l-1}),   m = b_d + W_d x_{d-1}
       z' = z + h_n f + w_n g,
       f = m,  tanh m,  tanh(m tanh z)  or  tanh(m sigmoid(-z)),
       g = s_n,  s_n z  or  tanh(s_n z).

   A tile's state, activations and the matrices stay in the cache from step to step. With `kept`, forward leaves there what
   backward reads beside z: for each step a slot of x_0, ..., x_{d-1} and m, each (tile, width); SWISH leaves what it reads
   instead of x, a bounded drift f instead of m, a free one nothing. Backward fetches what the next step needs while it works
   on this one: waiting for memory would take a quarter of its time.

   Arrays are float and row-major; all widths are multiples of 16, a tile's rows of 8. Non-finite values pass through all
   functions, so that the caller's look at the solution finds them: do not compile with -ffinite-math-only.

   problem_t and sums_t are known to euler.py by the order of their fields. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LAYERS 16
#define LINE 16 /* numbers of a cache line */

/* A block of a product is ROWS x VECTORS running sums, of LANES numbers: they have to fit into the registers. */
#if defined __AVX512F__
enum { LANES = 16, ROWS = 8, VECTORS = 2 };
#elif defined __AVX__
enum { LANES = 8, ROWS = 4, VECTORS = 2 };
#elif defined __aarch64__
enum { LANES = 4, ROWS = 4, VECTORS = 4 };
#else
enum { LANES = 4, ROWS = 4, VECTORS = 2 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define AT(p) (*(vec *)(p))
#define OF(p) (*(const vec *)(p))

enum { RELU, TANH, SWISH };                      /* activation */
enum { FREE, BOUNDED, TANH_GATE, SIGMOID_GATE }; /* drift */
enum { ADDITIVE, LINEAR, BOUNDED_LINEAR };       /* noise */

typedef struct {
    int64_t rows, tile, steps, state, control, depth, activation, drift, noise, offset_by_row;
    int64_t widths[MOST_LAYERS];            /* of the hidden layers; depth of them */
    const float *lengths;                   /* h: (steps) */
    const float *z0;                        /* (rows, state) */
    const float *w;                         /* (steps, rows, state) */
    const float *strength;                  /* s: (steps, state) */
    const float *offset;                    /* c: (steps, 1 or rows, width) */
    const float *control_path;              /* X: (steps, rows, control) */
    const float *matrices[MOST_LAYERS + 1]; /* (out, in): A, W_1, ..., W_d */
    const float *turned[MOST_LAYERS + 1];   /* the same, (in, out) */
    const float *biases[MOST_LAYERS + 1];   /* b_l; that of A is c */
    float **kept;                           /* a block for each tile, (steps, slot); NULL to keep nothing */
    float *path;                            /* z: (steps + 1, rows, state) */
} problem_t;

/* Gradients: of the samples by themselves, and of what they share, added up over the tiles of one call. */
typedef struct {
    int64_t every, by_time, by_row; /* by_path is there for each `every` steps, with these strides */
    const float *by_path;           /* what came back to path */
    float *z0, *w, *control_path;   /* the last two may be NULL */
    float *strength, *offset;
    float *turned[MOST_LAYERS + 1], *biases[MOST_LAYERS + 1];
} sums_t;

/* Memory that is needed soon, fetched piece by piece between the blocks of the products: rows of `lines` of 64 bytes. */
typedef struct {
    const char *row;
    int64_t stride, lines, rows, done; /* stride in bytes; done: lines of this row */
} range_t;

typedef struct {
    range_t ranges[4];
    int64_t count, at_once; /* ranges left, the last of them first; lines per block */
} stream_t;

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE vec all(float x) { return x - (vec){0}; }
INLINE vec choose(mask where, vec a, vec b) { return (vec)((where & (mask)a) | (~where & (mask)b)); }

/* x P(x^2) / Q(x^2), relatively within 2.5e-8 on [-8.2, 8.2] but for rounding (Remez); beyond, tanh is 1 in float. */
INLINE vec tanh_of(vec x) {
    vec end = all(8.2f);
    x = choose(x > end, end, choose(x < -end, -end, x));
    vec u = x * x;
    vec p = (((1.5691646267e-8f * u + 2.22379205306e-5f) * u + 3.59289472861e-3f) * u + 0.134625674817f) * u + 1.0f;
    vec q = (((8.71431340892e-7f * u + 3.44581627846e-4f) * u + 0.0262458979024f) * u + 0.467959024031f) * u + 1.0f;
    return x * p / q;
}

INLINE vec sigmoid_of(vec x) { return 0.5f + 0.5f * tanh_of(0.5f * x); }

INLINE void soon(stream_t *s, const float *from, int64_t stride, int64_t rows, int64_t width) {
    s->ranges[s->count++] = (range_t){(const char *)from, 4 * stride, width / LINE, rows, 0};
    s->at_once += width / LINE * rows;
}

INLINE void fetch(stream_t *s) {
    for (int64_t left = s->at_once; left > 0 && s->count > 0;) {
        range_t *range = s->ranges + s->count - 1;
        int64_t lines = least(left, range->lines - range->done);
        const char *from = range->row + 64 * range->done;
        for (int64_t i = 0; i < lines; i++) __builtin_prefetch(from + 64 * i, 0, 2);
        left -= lines, range->done += lines;
        if (range->done == range->lines) range->done = 0, range->row += range->stride, s->count -= --range->rows == 0;
    }
}

/* ROWS x `vectors` vectors of c = start + a b; the element (r, k) of a is a[r by_row + k by_inner]; start may be NULL for zeros.
   It is added last: what is large by now would otherwise be rounded once for each product. */
INLINE void block(int64_t inner, const float *a, int64_t by_row, int64_t by_inner, const float *b, int64_t b_row,
                  const float *start, int64_t start_row, float *c, int64_t c_row, int vectors) {
    vec sum[ROWS][VECTORS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = all(0);
    for (int64_t k = 0; k < inner; k++)
        UNROLL for (int r = 0; r < ROWS; r++) {
            float x = a[r * by_row + k * by_inner];
            UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += x * OF(b + k * b_row + v * LANES);
        }
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            AT(c + r * c_row + v * LANES) = sum[r][v] + (start ? OF(start + r * start_row + v * LANES) : all(0));
}

INLINE void multiply(int64_t rows, int64_t inner, int64_t columns, const float *a, int64_t by_row, int64_t by_inner, const float *b,
                     int64_t b_row, const float *start, int64_t start_row, float *c, int64_t c_row, stream_t *ahead) {
    for (int64_t n = 0; n < columns; n += VECTORS * LANES)
        for (int64_t r = 0; r < rows; r += ROWS) {
            const float *from = start ? start + r * start_row + n : NULL;
            fetch(ahead);
            if (columns - n >= VECTORS * LANES)
                block(inner, a + r * by_row, by_row, by_inner, b + n, b_row, from, start_row, c + r * c_row + n, c_row, VECTORS);
            else
                block(inner, a + r * by_row, by_row, by_inner, b + n, b_row, from, start_row, c + r * c_row + n, c_row, 1);
        }
}

static int64_t most_width(const problem_t *p) {
    int64_t most = p->state + p->control;
    for (int64_t l = 0; l < p->depth; l++) most = p->widths[l] > most ? p->widths[l] : most;
    return most;
}

static int64_t width_of(const problem_t *p, int64_t layer) { return layer == p->depth ? p->state : p->widths[layer]; }

static int64_t slot_width(const problem_t *p) {
    int64_t width = p->drift == FREE ? 0 : p->state;
    for (int64_t l = 0; l < p->depth; l++) width += p->widths[l];
    return width;
}

/* Blocks of a step's products in a forward pass. */
static int64_t blocks_of(const problem_t *p, int64_t rows) {
    int64_t across = 0;
    for (int64_t l = 0; l <= p->depth; l++) across += (width_of(p, l) + VECTORS * LANES - 1) / (VECTORS * LANES);
    return across * (rows / ROWS);
}

INLINE void copy_rows(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows && width; r++) memcpy(to + r * to_row, from + r * from_row, sizeof(float) * width);
}

/* In place; returns where the activations are: SWISH leaves its argument and writes to `room`. */
static const float *activate(int64_t kind, float *x, float *room, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        vec y = OF(x + i);
        if (kind == RELU) AT(x + i) = choose(y < 0, all(0), y);
        else if (kind == TANH) AT(x + i) = tanh_of(y);
        else AT(room + i) = 0.909f * y * sigmoid_of(y);
    }
    return kind == SWISH ? room : x;
}

INLINE vec gate_of(int64_t kind, vec z) { return kind == TANH_GATE ? tanh_of(z) : sigmoid_of(-z); }

/* Step n of samples from number `begin` on, given m; z lies in [z, X], and is written to `path` as well. */
static void take_step(const problem_t *p, int64_t n, int64_t begin, int64_t rows, float *z, float *m, float *path) {
    int64_t state = p->state, reads = state + p->control;
    const float *strength = p->strength + n * state, *w = p->w + (n * p->rows + begin) * state;
    vec h = all(p->lengths[n]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < state; i += LANES) {
            vec y = OF(z + r * reads + i), f = OF(m + r * state + i), g = OF(strength + i);
            if (p->drift == BOUNDED) AT(m + r * state + i) = f = tanh_of(f);
            else if (p->drift != FREE) f = tanh_of(f * gate_of(p->drift, y));
            if (p->noise != ADDITIVE) g = g * y;
            if (p->noise == BOUNDED_LINEAR) g = tanh_of(g);
            AT(path + r * state + i) = AT(z + r * reads + i) = y + h * f + OF(w + r * state + i) * g;
        }
}

/* The adjoint of z before the step but for what passes through m, and that of m; adds to the sums of strength and bias. */
static void pull_step(const problem_t *p, const sums_t *to, int64_t n, int64_t begin, int64_t rows, const float *z, const float *m,
                      float *adjoint, float *delta) {
    int64_t state = p->state, reads = state + p->control, at = (n * p->rows + begin) * state;
    const float *strength = p->strength + n * state, *w = p->w + at;
    float *by_bias = to->biases[p->depth], *by_strength = to->strength + n * state;
    vec h = all(p->lengths[n]);
    for (int64_t i = 0; i < state; i += LANES) {
        vec s = OF(strength + i), bias_sum = all(0), strength_sum = all(0);
        for (int64_t r = 0; r < rows; r++) {
            vec y = OF(z + r * reads + i), back = OF(adjoint + r * state + i), moved = back, g = s;
            vec by_g = back * OF(w + r * state + i), by_f = h * back;
            if (p->noise != ADDITIVE) {
                g = s * y;
                if (p->noise == BOUNDED_LINEAR) g = tanh_of(g), by_g = by_g * (1.0f - g * g);
                moved = moved + by_g * s, by_g = by_g * y;
            }
            if (p->drift == BOUNDED) {
                vec f = OF(m + r * state + i);
                by_f = by_f * (1.0f - f * f);
            } else if (p->drift != FREE) {
                vec open = gate_of(p->drift, y), slope = p->drift == TANH_GATE ? 1.0f - open * open : open * open - open;
                vec inner = OF(m + r * state + i), f = tanh_of(inner * open);
                by_f = by_f * (1.0f - f * f);
                moved = moved + by_f * inner * slope, by_f = by_f * open;
            }
            if (to->w) AT(to->w + at + r * state + i) = back * g;
            AT(delta + r * state + i) = by_f;
            AT(adjoint + r * state + i) = moved;
            strength_sum += by_g, bias_sum += by_f;
        }
        AT(by_bias + i) += bias_sum;
        AT(by_strength + i) += strength_sum;
    }
}

/* Multiplies by the slopes of the activation at what forward has kept; adds to the sums over rows, if there is a place. */
static void pull_activation(int64_t kind, int64_t rows, int64_t width, const float *kept, float *delta, float *sums) {
    for (int64_t i = 0; i < width; i += LANES) {
        vec sum = all(0);
        for (int64_t r = 0; r < rows; r++) {
            vec y = OF(kept + r * width + i), back = OF(delta + r * width + i);
            if (kind == RELU) back = choose(y > 0, back, all(0));
            else if (kind == TANH) back = back * (1.0f - y * y);
            else {
                vec q = sigmoid_of(y);
                back = back * (0.909f * q * (1.0f + y * (1.0f - q)));
            }
            AT(delta + r * width + i) = back;
            sum += back;
        }
        if (sums) AT(sums + i) += sum;
    }
}

/* Solves the tiles from `first` to before `last`. Returns 0, or 1 if there is no memory. */
static int solve_tiles(const problem_t *p, int64_t first, int64_t last) {
    int64_t state = p->state, control = p->control, reads = state + control, slot = slot_width(p) * p->tile;
    int64_t most = most_width(p) * p->tile, size = sizeof(float) * (3 * most + (p->kept ? 0 : slot));
    float *z = aligned_alloc(64, size); /* [z, X] */
    if (!z) return 1;
    float *room = z + most, *free_drift = z + 2 * most;
    for (int64_t tile = first; tile < last; tile++) {
        int64_t begin = tile * p->tile, rows = least(p->tile, p->rows - begin), padded = (rows + ROWS - 1) / ROWS * ROWS;
        int64_t blocks = blocks_of(p, padded);
        memset(z, 0, size);
        copy_rows(z, reads, p->z0 + begin * state, state, rows, state);
        copy_rows(p->path + begin * state, state, p->z0 + begin * state, state, rows, state);
        for (int64_t n = 0; n < p->steps; n++) {
            int64_t at = n * p->rows + begin;
            float *x = p->kept ? p->kept[tile] + n * slot : z + 3 * most;
            const float *from = z;
            stream_t ahead = {.count = 0};
            soon(&ahead, p->w + at * state, 0, 1, rows * state);
            ahead.at_once = ahead.at_once / blocks + 1;
            copy_rows(z + state, reads, p->control_path + at * control, control, rows, control);
            for (int64_t l = 0, in = reads; l <= p->depth; l++) {
                int64_t out = width_of(p, l), start_row = 0;
                if (l == p->depth && p->drift == FREE) x = free_drift;
                const float *start = l ? p->biases[l] : p->offset + n * out;
                if (l == 0 && p->offset_by_row) {
                    copy_rows(x, out, p->offset + at * out, out, rows, out);
                    memset(x + rows * out, 0, sizeof(float) * (padded - rows) * out);
                    start = x, start_row = out;
                }
                multiply(padded, in, out, from, in, 1, p->turned[l], out, start, start_row, x, out, &ahead);
                if (l == p->depth) break;
                from = activate(p->activation, x, room, padded * out);
                in = out, x += out * p->tile;
            }
            take_step(p, n, begin, rows, z, x, p->path + (at + p->rows) * state);
        }
    }
    free(z);
    return 0;
}

/* Gradients of the tiles from `first` to before `last`. Returns 0, or 1 if there is no memory. */
static int pull_tiles(const problem_t *p, const sums_t *to, int64_t first, int64_t last) {
    int64_t state = p->state, control = p->control, reads = state + control, slot = slot_width(p) * p->tile, depth = p->depth;
    int64_t most = most_width(p) * p->tile, size = sizeof(float) * 5 * most;
    float *z = aligned_alloc(64, size); /* [z, X] */
    if (!z) return 1;
    float *adjoint = z + most, *room = z + 2 * most, *deltas[2] = {z + 3 * most, z + 4 * most}; /* of two layers in turn */
    for (int64_t tile = first; tile < last; tile++) {
        int64_t begin = tile * p->tile, rows = least(p->tile, p->rows - begin), padded = (rows + ROWS - 1) / ROWS * ROWS;
        int64_t blocks = 3 * blocks_of(p, padded);
        const float *came = to->by_path + begin * to->by_row;
        memset(z, 0, size);
        copy_rows(adjoint, state, came + p->steps / to->every * to->by_time, to->by_row, rows, state);
        for (int64_t n = p->steps - 1; n >= 0; n--) {
            int64_t at = n * p->rows + begin;
            float *x[MOST_LAYERS + 2] = {z, p->kept[tile] + n * slot}, *delta = deltas[depth % 2];
            for (int64_t l = 0; l < depth; l++) x[l + 2] = x[l + 1] + p->widths[l] * p->tile;
            const float *w = p->w + at * state, *y = p->path + at * state;
            stream_t ahead = {.count = 0};
            if (n) {
                soon(&ahead, x[1] - slot, 0, 1, slot);
                soon(&ahead, w - p->rows * state, 0, 1, rows * state);
                soon(&ahead, y - p->rows * state, 0, 1, rows * state);
            }
            if (n % to->every == 0) soon(&ahead, came + n / to->every * to->by_time, to->by_row, rows, state);
            ahead.at_once = ahead.at_once / blocks + 1;
            copy_rows(z, reads, y, state, rows, state);
            copy_rows(z + state, reads, p->control_path + at * control, control, rows, control);
            memset(delta + rows * state, 0, sizeof(float) * (padded - rows) * state);
            pull_step(p, to, n, begin, rows, z, x[depth + 1], adjoint, delta);
            for (int64_t l = depth; l > 0; l--) {
                int64_t out = width_of(p, l), in = p->widths[l - 1], by_row = l == 1 && p->offset_by_row;
                float *before = deltas[(l - 1) % 2], *value = x[l];
                if (p->activation == SWISH) activate(SWISH, x[l], value = room, padded * in);
                multiply(in, padded, out, value, 1, in, delta, out, to->turned[l], out, to->turned[l], out, &ahead);
                multiply(padded, out, in, delta, out, 1, p->matrices[l], in, NULL, 0, before, in, &ahead);
                float *sums = l > 1 ? to->biases[l - 1] : by_row ? NULL : to->offset + n * in;
                pull_activation(p->activation, padded, in, x[l], before, sums);
                if (by_row) copy_rows(to->offset + at * in, in, before, in, rows, in);
                delta = before;
            }
            int64_t out = width_of(p, 0);
            multiply(reads, padded, out, z, 1, reads, delta, out, to->turned[0], out, to->turned[0], out, &ahead);
            multiply(padded, out, state, delta, out, 1, p->matrices[0], reads, adjoint, state, adjoint, state, &ahead);
            if (to->control_path) {
                multiply(padded, out, control, delta, out, 1, p->matrices[0] + state, reads, NULL, 0, room, control, &ahead);
                copy_rows(to->control_path + at * control, control, room, control, rows, control);
            }
            for (int64_t r = 0; n % to->every == 0 && r < rows; r++)
                for (int64_t i = 0; i < state; i += LANES)
                    AT(adjoint + r * state + i) += OF(came + n / to->every * to->by_time + r * to->by_row + i);
        }
        copy_rows(to->z0 + begin * state, state, adjoint, state, rows, state);
    }
    free(z);
    return 0;
}

/* Both in `parts` threads, `to` having a place for the sums of each. Return 0, or 1 if there is no memory. */
int euler_forward(const problem_t *p, int64_t parts) {
    int64_t tiles = (p->rows + p->tile - 1) / p->tile;
    int failed = 0;
#pragma omp parallel for num_threads(parts) schedule(static, 1) reduction(| : failed)
    for (int64_t n = 0; n < parts; n++) failed |= solve_tiles(p, n * tiles / parts, (n + 1) * tiles / parts);
    return failed;
}

int euler_backward(const problem_t *p, const sums_t *to, int64_t parts) {
    int64_t tiles = (p->rows + p->tile - 1) / p->tile;
    int failed = 0;
#pragma omp parallel for num_threads(parts) schedule(static, 1) reduction(| : failed)
    for (int64_t n = 0; n < parts; n++) failed |= pull_tiles(p, to + n, n * tiles / parts, (n + 1) * tiles / parts);
    return failed;
}
