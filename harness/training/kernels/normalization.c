/* Batch normalization and the rectifier after it, forward and backward, in as few passes over a
 * map as there can be: torch's own take twice as many, and PReLU's backward one element at a time.
 *
 * A map is rows of channels (channels last), in single precision or bfloat16. Sums are single
 * within blocks of rows and double over blocks. The rectifier makes of z: slope * z below 0, z up
 * to the limit, the limit above it; without one, the slope is NULL.
 *
 * Threads are those of the OpenMP runtime that torch has loaded, which GCC's and LLVM's start
 * alike: a second pool of them would wait for the same cores.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

#define BLOCK 256
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    const void *x, *gradient;
    void *out;
    const float *slope, *scale, *shift, *origin, *linear;
    float limit, *partial; /* 3 rows of channels for each thread */
    double *sums;          /* as many */
    long rows, channels;
    int half;
} Work;

INLINE float loaded(const void *data, long place, int half) {
    float value;
    uint32_t bits;
    if (!half) return ((const float *)data)[place];
    bits = (uint32_t)((const uint16_t *)data)[place] << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To nearest, ties to even; what is no number stays none, as those that arithmetic makes do. */
INLINE void stored(void *data, long place, float value, int half) {
    uint32_t bits;
    if (!half) {
        ((float *)data)[place] = value;
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    ((uint16_t *)data)[place] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

INLINE const void *row_of(const void *map, long row, long channels, int half) {
    return (const char *)map + row * channels * (half ? 2 : 4);
}

INLINE long first_row(const Work *work, int thread) {
    return work->rows * thread / omp_get_num_threads();
}

INLINE void add_up(double *sums, float *partial, long count) {
    for (long i = 0; i < count; i++) {
        sums[i] += partial[i];
        partial[i] = 0;
    }
}

/* Sums of the differences from `origin`, and of their squares. */
INLINE void moments_of(const Work *work, int half) {
    int thread = omp_get_thread_num();
    long n = work->channels, from = first_row(work, thread), to = first_row(work, thread + 1);
    float *restrict sum = work->partial + 3 * n * thread, *restrict square = sum + n;
    const float *restrict origin = work->origin;
    for (long block = from; block < to; block += BLOCK) {
        long end = block + BLOCK < to ? block + BLOCK : to;
        for (long row = block; row < end; row++) {
            const void *restrict x = row_of(work->x, row, n, half);
            for (long c = 0; c < n; c++) {
                float off = loaded(x, c, half) - origin[c];
                sum[c] += off;
                square[c] += off * off;
            }
        }
        add_up(work->sums + 3 * n * thread, sum, 2 * n);
    }
}

INLINE void apply_to(const Work *work, int half, int active) {
    int thread = omp_get_thread_num();
    long n = work->channels, to = first_row(work, thread + 1);
    const float *restrict scale = work->scale, *restrict shift = work->shift;
    const float *restrict slope = work->slope, limit = work->limit;
    for (long row = first_row(work, thread); row < to; row++) {
        const void *restrict x = row_of(work->x, row, n, half);
        void *restrict y = (void *)row_of(work->out, row, n, half);
        for (long c = 0; c < n; c++) {
            float z = loaded(x, c, half) * scale[c] + shift[c];
            if (active) {
                float below = z * slope[c], upper = z > limit ? limit : z;
                z = z < 0 ? below : upper;
            }
            stored(y, c, z, half);
        }
    }
}

/* What the rectifier leaves of a gradient. Products come first, and conditions choose: GCC makes
 * vectors of nothing else.
 */
INLINE float through(float gradient, float z, float slope, float limit) {
    float below = gradient * slope, left = z > 0 ? gradient : below;
    return z >= limit ? 0 : left;
}

/* Parameters tell a compiler what pointers of a struct's don't: that none of these overlap. */
INLINE void add_row(const void *restrict x, const void *restrict g, float *restrict sum,
                    float *restrict product, float *restrict steep, const float *restrict scale,
                    const float *restrict shift, const float *restrict slope,
                    const float *restrict origin, float limit, long n, int half, int active) {
    for (long c = 0; c < n; c++) {
        float value = loaded(x, c, half), gradient = loaded(g, c, half);
        if (active) {
            float z = value * scale[c] + shift[c], steeper = gradient * z;
            steep[c] += z > 0 ? 0 : steeper;
            gradient = through(gradient, z, slope[c], limit);
        }
        sum[c] += gradient;
        product[c] += gradient * (value - origin[c]);
    }
}

/* Sums of the gradient before the rectifier, of it times the differences from `origin`, and of the
 * slope's.
 */
INLINE void gradients_of(const Work *work, int half, int active) {
    int thread = omp_get_thread_num();
    long n = work->channels, from = first_row(work, thread), to = first_row(work, thread + 1);
    float *sum = work->partial + 3 * n * thread;
    for (long block = from; block < to; block += BLOCK) {
        long end = block + BLOCK < to ? block + BLOCK : to;
        for (long row = block; row < end; row++)
            add_row(row_of(work->x, row, n, half), row_of(work->gradient, row, n, half), sum,
                    sum + n, sum + 2 * n, work->scale, work->shift, work->slope, work->origin,
                    work->limit, n, half, active);
        add_up(work->sums + 3 * n * thread, sum, 3 * n);
    }
}

/* The input's gradient: `scale` times the one before the rectifier, and `shift` and `linear`. */
INLINE void back_to(const Work *work, int half, int active) {
    int thread = omp_get_thread_num();
    long n = work->channels, to = first_row(work, thread + 1);
    const float *restrict scale = work->scale, *restrict shift = work->shift;
    const float *restrict slope = work->slope, *restrict linear = work->linear;
    const float *restrict constant = work->origin, limit = work->limit;
    for (long row = first_row(work, thread); row < to; row++) {
        const void *restrict x = row_of(work->x, row, n, half);
        const void *restrict g = row_of(work->gradient, row, n, half);
        void *restrict out = (void *)row_of(work->out, row, n, half);
        for (long c = 0; c < n; c++) {
            float value = loaded(x, c, half), gradient = loaded(g, c, half);
            if (active)
                gradient = through(gradient, value * scale[c] + shift[c], slope[c], limit);
            stored(out, c, scale[c] * gradient + linear[c] * value + constant[c], half);
        }
    }
}

static void moments(void *work) {
    if (((Work *)work)->half) moments_of(work, 1);
    else moments_of(work, 0);
}

/* One loop for each kind of map and network, in which neither is asked any more. */
#define FOR_EACH_KIND(name, body)                       \
    static void name(void *data) {                      \
        const Work *work = data;                        \
        if (work->half && work->slope) body(work, 1, 1); \
        else if (work->half) body(work, 1, 0);          \
        else if (work->slope) body(work, 0, 1);         \
        else body(work, 0, 0);                          \
    }

FOR_EACH_KIND(apply, apply_to)
FOR_EACH_KIND(gradients, gradients_of)
FOR_EACH_KIND(back, back_to)

/* Sum in all threads; the first thread's sums become those of all. */
static void sum_up(void (*function)(void *), Work *work, int threads) {
    long count = 3 * work->channels;
    GOMP_parallel(function, work, threads, 0);
    for (int thread = 1; thread < threads; thread++)
        for (long i = 0; i < count; i++) work->sums[i] += work->sums[thread * count + i];
}

static int allocated(Work *work, float **own, int threads) {
    size_t count = 3 * work->channels * threads;
    work->sums = calloc(count, sizeof(double));
    work->partial = calloc(count, sizeof(float));
    *own = malloc(4 * work->channels * sizeof(float));
    return work->sums && work->partial && *own;
}

static void released(Work *work, float *own) {
    free(work->sums);
    free(work->partial);
    free(own);
}

/* Write the batch's mean, its biased variance and the output. Returns 0, or 1 without memory. */
int normalize(const void *x, void *y, const float *weight, const float *bias, const float *slope,
              float limit, float *mean, float *variance, double eps, long rows, long channels,
              int half, int threads) {
    float *own;
    Work work = {.x = x, .out = y, .slope = slope, .limit = limit, .rows = rows,
                 .channels = channels, .half = half};
    int failed = !allocated(&work, &own, threads);
    if (!failed) {
        /* Differences from the first row keep the digits that a large mean would take. */
        for (long c = 0; c < channels; c++) own[c] = loaded(x, c, half);
        work.origin = own;
        sum_up(moments, &work, threads);
        for (long c = 0; c < channels; c++) {
            double off = work.sums[c] / rows;
            double spread = work.sums[channels + c] / rows - off * off;
            mean[c] = (float)(own[c] + off);
            variance[c] = spread < 0 ? 0 : (float)spread;
            own[c] = (float)(weight[c] / sqrt(variance[c] + eps));
            own[channels + c] = bias[c] - mean[c] * own[c];
        }
        work.scale = own;
        work.shift = own + channels;
        GOMP_parallel(apply, &work, threads, 0);
    }
    released(&work, own);
    return failed;
}

/* Write the gradients of the input, weight, bias and slope. Returns 0, or 1 without memory. */
int normalize_back(const void *x, const void *gradient, void *out, const float *weight,
                   const float *bias, const float *slope, float limit, const float *mean,
                   const float *variance, float *to_weight, float *to_bias, float *to_slope,
                   double eps, long rows, long channels, int half, int threads) {
    float *own;
    Work work = {.x = x, .gradient = gradient, .out = out, .slope = slope, .limit = limit,
                 .origin = mean, .rows = rows, .channels = channels, .half = half};
    int failed = !allocated(&work, &own, threads);
    if (!failed) {
        work.scale = own;
        work.shift = own + channels;
        for (long c = 0; c < channels; c++) {
            own[c] = (float)(weight[c] / sqrt(variance[c] + eps));
            own[channels + c] = bias[c] - mean[c] * own[c];
        }
        sum_up(gradients, &work, threads);
        for (long c = 0; c < channels; c++) {
            double inverse = 1 / sqrt(variance[c] + eps);
            double sum = work.sums[c], product = work.sums[channels + c] * inverse;
            double linear = -own[c] * product * inverse / rows;
            to_bias[c] = (float)sum;
            to_weight[c] = (float)product;
            if (slope) to_slope[c] = (float)work.sums[2 * channels + c];
            own[2 * channels + c] = (float)linear;
            own[3 * channels + c] = (float)(-own[c] * sum / rows - linear * mean[c]);
        }
        work.linear = own + 2 * channels;
        work.origin = own + 3 * channels;
        GOMP_parallel(back, &work, threads, 0);
    }
    released(&work, own);
    return failed;
}
