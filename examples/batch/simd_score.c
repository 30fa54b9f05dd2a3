/* Vectorised work over contiguous arrays, as in NumPy: a score for each of many candidates, from columns of their features.
 * libpa hands out ranges of indices (pa_map_range), and the loop over a range is plain C that the compiler turns into vector
 * instructions:
 *
 *     cc -std=c99 -O3 -fopt-info-vec -Icapi/include -c examples/batch/simd_score.c
 *     simd_score.c:..: optimized: loop vectorized using 16 byte vectors
 *
 * (with clang, -Rpass=loop-vectorize; the script `vectorised` beside this file checks either.)
 * With a function for each item (pa_map) it can do no such thing. This program measures
 *
 *   one loop on one thread, vectorised                score_range, called once
 *   one call for each candidate, on one thread        score_one, called through a pointer
 *   one call for each candidate                       pa_map
 *   ranges                                            pa_map_range
 *
 * usage: simd_score [CANDIDATES [ROUNDS]]        exits with 1 if any score is not what the first of them computed */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pa/pa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { feature_count = 4 };

typedef struct candidates {
  uint64_t count;
  float *features[feature_count]; /* columns */
  float *scores;
} candidates;

static const float weights[feature_count] = {0.8f, -1.7f, 0.4f, 2.1f};

/* A weighted sum, squashed into -1 to 1. */
static float score(float a, float b, float c, float d) {
  const float sum = weights[0] * a + weights[1] * b + weights[2] * c + weights[3] * d + 0.1f;
  return sum / (1.0f + fabsf(sum));
}

static void score_range(const candidates *all, uint64_t first, uint64_t count) {
  const float *a = all->features[0] + first, *b = all->features[1] + first;
  const float *c = all->features[2] + first, *d = all->features[3] + first;
  float *scores = all->scores + first;
  for (uint64_t i = 0; i < count; i++) scores[i] = score(a[i], b[i], c[i], d[i]); /* vectorised */
}

/* ------------------------------------------------------------------ the functions that are mapped */

static int32_t score_part(void *ctx, uint64_t first, uint64_t count, pa_call *call) {
  (void)call;
  score_range(ctx, first, count);
  return 0;
}

static int32_t score_one(void *ctx, void *item, void **value, pa_call *call) {
  const candidates *all = ctx;
  const uint64_t i = (uint64_t)((float *)item - all->features[0]);
  (void)value;
  (void)call;
  all->scores[i] = score(all->features[0][i], all->features[1][i], all->features[2][i], all->features[3][i]);
  return 0;
}

/* ------------------------------------------------------------------ measuring, and comparing */

static void serial_range(candidates *all, void *const *items) {
  (void)items;
  score_range(all, 0, all->count);
}

static void serial_items(candidates *all, void *const *items) {
  const pa_fn volatile hidden = score_one; /* as a library calls it: the compiler can't look inside */
  const pa_fn fn = hidden;
  for (uint64_t i = 0; i < all->count; i++) {
    void *value = NULL;
    fn(all, items[i], &value, NULL);
  }
}

static void finish(pa_status status, pa_result *result, const pa_error *error) {
  if (status || !pa_result_ok(result)) {
    fprintf(stderr, "simd_score: %s\n", status ? error->message : "a candidate has no score");
    exit(1);
  }
  pa_result_free(result);
}

static void parallel_items(candidates *all, void *const *items) {
  pa_result *result;
  pa_error error;
  pa_status status = pa_map(score_one, all, items, all->count, NULL, &result, &error);
  finish(status, result, &error);
}

static void parallel_ranges(candidates *all, void *const *items) {
  pa_result *result;
  pa_error error;
  pa_status status = pa_map_range(score_part, all, all->count, NULL, &result, &error);
  (void)items;
  finish(status, result, &error);
}

static const struct way {
  const char *name;
  void (*run)(candidates *all, void *const *items);
} ways[] = {
    {"one loop, one thread", serial_range},
    {"a call for each, one thread", serial_items},
    {"pa_map", parallel_items},
    {"pa_map_range", parallel_ranges},
};
enum { way_count = sizeof ways / sizeof *ways };

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (!memory) {
    fprintf(stderr, "simd_score: out of memory\n");
    exit(2);
  }
  return memory;
}

int main(int argc, char **argv) {
  const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
  const int rounds = argc > 2 ? atoi(argv[2]) : 15;
  candidates all = {count, {NULL}, NULL};
  uint32_t random = 12345;
  double best_ns[way_count];
  float *expected;
  void **items;

  if (count < 1 || rounds < 1) {
    fprintf(stderr, "usage: simd_score [CANDIDATES [ROUNDS]], each at least 1\n");
    return 2;
  }
  for (int f = 0; f < feature_count; f++) {
    all.features[f] = allocate(count * sizeof(float));
    for (uint64_t i = 0; i < count; i++) {
      random = random * 1664525u + 1013904223u;
      all.features[f][i] = (float)(random >> 8) / 8388608.0f - 1.0f;
    }
  }
  all.scores = allocate(count * sizeof(float));
  expected = allocate(count * sizeof(float));
  items = allocate(count * sizeof(void *));
  for (uint64_t i = 0; i < count; i++) items[i] = &all.features[0][i];
  score_range(&all, 0, count);
  memcpy(expected, all.scores, count * sizeof(float));

  for (int round = 0; round < rounds; round++) {
    for (int w = 0; w < way_count; w++) {
      double ns;
      memset(all.scores, 0xff, count * sizeof(float)); /* no score of before is left */
      ns = now_ns();
      ways[w].run(&all, items);
      ns = (now_ns() - ns) / (double)count;
      if (round == 0 || ns < best_ns[w]) best_ns[w] = ns;
      if (memcmp(expected, all.scores, count * sizeof(float)) != 0) {
        fprintf(stderr, "simd_score: \"%s\" computed other scores\n", ways[w].name);
        return 1;
      }
    }
  }

  printf("%llu candidates, best of %d rounds\n", (unsigned long long)count, rounds);
  for (int w = 0; w < way_count; w++)
    printf("%-30s %6.2f ns each, %5.2f times the loop\n", ways[w].name, best_ns[w], best_ns[w] / best_ns[0]);
  printf("a range is %.1f times as fast as a call for each; all scores are equal to the bit\n", best_ns[2] / best_ns[3]);

  free(items);
  free(expected);
  free(all.scores);
  for (int f = 0; f < feature_count; f++) free(all.features[f]);
  return 0;
}
