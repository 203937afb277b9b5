/* Standard normals, counter by counter: Philox4x32-10 and Box and Muller's transform, as noise/philox.py has them.

   Numbers 4 WIDE b + WIDE j + i come of the counter (WIDE b + i): its words are (counter, 0), of 64 bits each, and its four
   numbers j = 0, ..., 3 are r0 cos, r0 sin, r1 cos, r1 sin. Any stretch of blocks can be made by itself. */

#include <stdint.h>
#include <string.h>

enum { WIDE = 64, SIZE = 4 * WIDE }; /* counters and numbers of a block */

#define EACH for (int i = 0; i < WIDE; i++)

/* The root of -2 ln u, u = (word + 1/2) / 2^32. */
static inline float radius_of(uint32_t word) {
    float u = ((float)word + 0.5f) * 0x1p-32f;
    union { float f; int32_t i; } x = {u};
    int32_t up = (x.i - 0x3f3504f3) >> 23; /* u = 2^up m, m in [sqrt 1/2, sqrt 2) */
    x.i -= up * (1 << 23);
    float f = x.f - 1.0f, s = f / (2.0f + f), z = s * s; /* ln m = 2 artanh s */
    float p = ((0.22222222f * z + 0.28571429f) * z + 0.4f) * z + 0.66666667f;
    return __builtin_sqrtf(-2.0f * ((float)up * 0.69314718f + (2.0f * s + s * z * p)));
}

static void block(uint64_t first, uint32_t k0, uint32_t k1, float *out) {
    uint32_t c0[WIDE], c1[WIDE], c2[WIDE], c3[WIDE];
    EACH c0[i] = (uint32_t)(first + i), c1[i] = (uint32_t)((first + i) >> 32), c2[i] = c3[i] = 0;
    for (int round = 0; round < 10; round++) {
        EACH {
            uint64_t p0 = (uint64_t)c0[i] * 0xD2511F53u, p1 = (uint64_t)c2[i] * 0xCD9E8D57u;
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0, c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1, c3[i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    for (int half = 0; half < 2; half++) {
        const uint32_t *length = half ? c2 : c0, *angle = half ? c3 : c1;
        float *cosines = out + 2 * half * WIDE, *sines = cosines + WIDE;
        EACH {
            float r = radius_of(length[i]);
            uint32_t quarter = (angle[i] + (1u << 29)) >> 30;
            float x = (float)(int32_t)(angle[i] - (quarter << 30)) * 1.46291807926715968e-9f, y = x * x; /* 2 pi / 2^32 */
            float sine = x + x * y * (-0.166666546f + y * (8.33216087e-3f - 1.95152959e-4f * y));
            float cosine = 1.0f - 0.5f * y + y * y * (4.16666457e-2f + y * (-1.38873163e-3f + 2.44331571e-5f * y));
            float c = quarter & 1 ? sine : cosine, s = quarter & 1 ? cosine : sine;
            cosines[i] = r * ((quarter + 1) & 2 ? -c : c);
            sines[i] = r * (quarter & 2 ? -s : s);
        }
    }
}

/* `count` numbers, in `threads`; number n is multiplied by scale[n / every], if there is one. */
void normals(float *out, const float *scale, int64_t every, int64_t count, uint64_t seed, int64_t threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t at = 0; at < count; at += SIZE) {
        float room[SIZE];
        int64_t end = at + SIZE < count ? at + SIZE : count;
        block(at / 4, (uint32_t)seed, (uint32_t)(seed >> 32), end - at < SIZE ? room : out + at);
        if (end - at < SIZE) memcpy(out + at, room, sizeof(float) * (end - at));
        for (int64_t n = at; scale && n < end;) {
            int64_t stop = (n / every + 1) * every;
            float by = scale[n / every];
            for (stop = stop < end ? stop : end; n < stop; n++) out[n] *= by;
        }
    }
}
