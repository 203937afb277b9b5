/* A gated recurrence, forward and backward, some trials of a way (direction) through all steps before the next.

   A step of one trial, from what the input says of the gates, x = (x_r, x_z, x_n), with everything elementwise but U h:

       (s_r, s_z, s_n) = U h + b
       r = sigmoid(x_r + s_r),   z = sigmoid(x_z + s_z),   n = tanh(x_n + r s_n),   h' = n + z (h - n)

   Forward keeps r, z, s_n and n of each step, which is what backward reads beside h. Weights' gradients are left to the
   caller: they are products over all steps.

   Arrays are float and row-major; the number of units is a multiple of 16. Non-finite values pass through. */

#include <stdint.h>
#include <string.h>

/* A block of a product is ROWS x VECTORS running sums, of LANES numbers. */
#if defined __AVX512F__
enum { LANES = 16, ROWS = 8, VECTORS = 3 };
#elif defined __AVX__
enum { LANES = 8, ROWS = 4, VECTORS = 3 };
#elif defined __aarch64__
enum { LANES = 4, ROWS = 4, VECTORS = 4 };
#else
enum { LANES = 4, ROWS = 4, VECTORS = 2 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define AT(p) (*(vec *)(p))
#define OF(p) (*(const vec *)(p))

/* e^x within 2e-7 of it, relatively; of x beyond +-87 that of +-87, of what is not a number not a number. */
INLINE vec exponential(vec x)
{
    vec low = (vec){} - 87.0f, high = (vec){} + 87.0f;
    ints small = x < low, large = x > high;
    vec y = (vec)((ints)x & ~small & ~large | (ints)low & small | (ints)high & large);
    vec shifted = y * 1.44269504f + 12582912.0f, whole = shifted - 12582912.0f; /* rounds: 1.5 * 2^23 */
    vec f = y - whole * 0.693359375f - whole * -2.12194440e-4f;
    vec p = f * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
    return p * (vec)(((ints)shifted - 0x4B400000 + 127) << 23);
}

INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }

INLINE vec tanh_of(vec x) { return 1.0f - 2.0f / (1.0f + exponential(2.0f * x)); }

/* out (rows, n) = start + a (rows, k) w (k, n), with `start` (n) for all rows, or out itself where it is NULL: the columns from
   j on, of which a block of rows x vectors running sums has to fit into the registers. */
INLINE void block(int rows, int vectors, int64_t j, int64_t k, int64_t n, const float *a, const float *w, const float *start,
                  float *out)
{
    vec sum[ROWS][VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = OF((start ? start : out + i * n) + j + v * LANES);
    for (int64_t l = 0; l < k; l++)
        UNROLL for (int v = 0; v < vectors; v++) {
            vec column = OF(w + l * n + j + v * LANES);
            UNROLL for (int i = 0; i < rows; i++) sum[i][v] += a[i * k + l] * column;
        }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) AT(out + i * n + j + v * LANES) = sum[i][v];
}

static void product(int64_t rows, int64_t k, int64_t n, const float *a, const float *w, const float *start, float *out)
{
    int64_t i = 0, j;
    for (; i + ROWS <= rows; i += ROWS) {
        for (j = 0; j + VECTORS * LANES <= n; j += VECTORS * LANES) block(ROWS, VECTORS, j, k, n, a + i * k, w, start, out + i * n);
        for (; j < n; j += LANES) block(ROWS, 1, j, k, n, a + i * k, w, start, out + i * n);
    }
    for (; i < rows; i++)
        for (j = 0; j < n; j += LANES) block(1, 1, j, k, n, a + i * k, w, start, out + i * n);
}

/* Rows of one way, from `first` to before `last`. */
typedef struct {
    int64_t steps, ways, rows, units, way, first, last;
} part_t;

/* What part `number` of `parts` has to do: ways after each other, each in as many runs of rows, whole blocks of them. */
static part_t part_of(int64_t number, int64_t steps, int64_t ways, int64_t rows, int64_t units, int64_t runs)
{
    int64_t blocks = (rows + ROWS - 1) / ROWS, run = number % runs;
    int64_t last = (run + 1) * blocks / runs * ROWS;
    return (part_t){steps, ways, rows, units, number / runs, run * blocks / runs * ROWS, last < rows ? last : rows};
}

static void forward_part(part_t p, const float *driven, const float *turned, const float *bias, float *states, float *kept,
                         float *scratch)
{
    int64_t units = p.units, slab = p.rows * units;
    for (int64_t step = 0; step < p.steps; step++) {
        int64_t at = step * p.ways + p.way;
        const float *h = states + at * slab, *x = driven + 3 * at * slab;
        float *next = states + (at + p.ways) * slab, *keep = kept + 4 * at * slab, *said = scratch + 3 * p.way * slab;
        product(p.last - p.first, units, 3 * units, h + p.first * units, turned + 3 * p.way * units * units,
                bias + 3 * p.way * units, said + 3 * p.first * units);
        for (int64_t row = p.first; row < p.last; row++)
            for (int64_t i = 0; i < units; i += LANES) {
                const float *xi = x + 3 * row * units + i, *si = said + 3 * row * units + i;
                float *ki = keep + 4 * row * units + i;
                vec r = sigmoid(OF(xi) + OF(si)), z = sigmoid(OF(xi + units) + OF(si + units)), s = OF(si + 2 * units);
                vec n = tanh_of(OF(xi + 2 * units) + r * s);
                AT(ki) = r, AT(ki + units) = z, AT(ki + 2 * units) = s, AT(ki + 3 * units) = n;
                AT(next + row * units + i) = n + z * (OF(h + row * units + i) - n);
            }
    }
}

static void backward_part(part_t p, const float *weight, const float *states, const float *kept, const float *gradient,
                          float *of_driven, float *of_said, float *scratch)
{
    int64_t units = p.units, slab = p.rows * units;
    float *carried = scratch + p.way * slab;
    memset(carried + p.first * units, 0, (p.last - p.first) * units * sizeof(float));
    for (int64_t step = p.steps - 1; step >= 0; step--) {
        int64_t at = step * p.ways + p.way;
        const float *h = states + at * slab, *keep = kept + 4 * at * slab, *given = gradient + at * slab;
        float *driven = of_driven + 3 * at * slab, *said = of_said + 3 * at * slab;
        for (int64_t row = p.first; row < p.last; row++)
            for (int64_t i = 0; i < units; i += LANES) {
                const float *ki = keep + 4 * row * units + i;
                vec r = OF(ki), z = OF(ki + units), s = OF(ki + 2 * units), n = OF(ki + 3 * units);
                float *ci = carried + row * units + i, *di = driven + 3 * row * units + i, *si = said + 3 * row * units + i;
                vec g = OF(given + row * units + i) + AT(ci), of_n = g * (1.0f - z) * (1.0f - n * n);
                vec of_r = of_n * s * r * (1.0f - r), of_z = g * (OF(h + row * units + i) - n) * z * (1.0f - z);
                AT(di) = of_r, AT(di + units) = of_z, AT(di + 2 * units) = of_n;
                AT(si) = of_r, AT(si + units) = of_z, AT(si + 2 * units) = of_n * r;
                AT(ci) = g * z;
            }
        product(p.last - p.first, 3 * units, units, said + 3 * p.first * units, weight + 3 * p.way * units * units, NULL,
                carried + p.first * units);
    }
}

/* driven (steps, ways, rows, 3 units), turned (ways, units, 3 units), bias (ways, 3 units),
   states (steps + 1, ways, rows, units), the first of them given, kept (steps, ways, rows, 4 units),
   scratch (ways, rows, 3 units); each way in `runs` of rows */
void forward(int64_t steps, int64_t ways, int64_t rows, int64_t units, int64_t runs, int64_t threads,
             const float *driven, const float *turned, const float *bias, float *states, float *kept, float *scratch)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < ways * runs; part++)
        forward_part(part_of(part, steps, ways, rows, units, runs), driven, turned, bias, states, kept, scratch);
}

/* weight (ways, 3 units, units), gradient of the states after each step (steps, ways, rows, units), and what comes of it:
   gradients of driven and of U h + b; scratch (ways, rows, units) */
void backward(int64_t steps, int64_t ways, int64_t rows, int64_t units, int64_t runs, int64_t threads,
              const float *weight, const float *states, const float *kept, const float *gradient, float *of_driven, float *of_said, float *scratch)
{
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < ways * runs; part++)
        backward_part(part_of(part, steps, ways, rows, units, runs), weight, states, kept, gradient, of_driven, of_said, scratch);
}
