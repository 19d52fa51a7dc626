// SPDX-License-Identifier: Apache-2.0
// The judge's own loops over memory it shares with a child: poison, canaries, inputs, answers. It is
// loaded into the judge (ctypes, without the interpreter's lock) and reads what hostile code wrote,
// so it takes every offset from the judge and none from that memory. scan.py mirrors the structs.
#include <math.h>
#include <stdint.h>
#include <string.h>

// Pages [first, last) of one output and its bytes inside them, from the start of the region.
typedef struct {
  uint64_t first, last, offset, bytes;
} KcPlace;

// A stretch of the input region (two: at either edge of a page) and what it was made of; offset
// ~0 where there is no second.
typedef struct {
  uint64_t offset, again, bytes;
  const char *made_of;
} KcInput;

// One output of one case: where it lies at one edge and (unless ~0) at the other; its dtype; the
// right bits; and each element's accepted interval, value and spacing, as in numerics.Bounds.
typedef struct {
  uint64_t offset, again, elements;
  uint32_t dtype, reserved;
  const char *right;
  const float *low, *high;
  const uint8_t *nan;  // or NULL
  const uint8_t *negative;  // the sign that a zero must have, or NULL
  const double *expected, *spacing;
} KcAnswer;

enum { KC_F32, KC_F16, KC_BF16 };
enum { KC_BITS = 1, KC_DIFFER = 2 };  // flags of KcFound

// What was found. Errors are those of numerics.errors; below 0 where nothing could be compared.
typedef struct {
  uint64_t wrong;
  double max_abs, max_rel, max_ulp;
  uint32_t flags, reserved;
} KcFound;

enum { CHUNK = 4096 };

void kc_poison(char *out, const KcPlace *place, uint32_t count, int byte) {
  for (uint32_t i = 0; i < count; ++i) {
    const KcPlace *p = place + i;
    if (p->bytes == 0) continue;
    memset(out + p->first, byte ^ 0xFF, p->offset - p->first);
    memset(out + p->offset, byte, p->bytes);
    memset(out + p->offset + p->bytes, byte ^ 0xFF, p->last - p->offset - p->bytes);
  }
}

static int all(const char *from, const char *to, char byte) {
  uint8_t differs = 0;
  for (; from < to; ++from) differs |= (uint8_t)(*from ^ byte);
  return differs == 0;
}

// Whether everything around the places' bytes still is the canary.
int kc_intact(const char *out, const KcPlace *place, uint32_t count, int canary) {
  for (uint32_t i = 0; i < count; ++i) {
    const KcPlace *p = place + i;
    if (p->bytes == 0) continue;
    if (!all(out + p->first, out + p->offset, (char)canary)) return 0;
    if (!all(out + p->offset + p->bytes, out + p->last, (char)canary)) return 0;
  }
  return 1;
}

// Whether both stretches of every input are what they were made of.
int kc_inputs(const char *in, const KcInput *input, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i)
    for (uint64_t at = 0; at < input[i].bytes; at += CHUNK) {
      const uint64_t left = input[i].bytes - at, size = left < CHUNK ? left : CHUNK;
      const char *want = input[i].made_of + at;
      if (memcmp(in + input[i].offset + at, want, size)) return 0;
      if (input[i].again != UINT64_MAX && memcmp(in + input[i].again + at, want, size)) return 0;
    }
  return 1;
}

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Exact: a subnormal half is its fraction times 2^-24, everything else is rebased.
static float from_half(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7FFF;
  if (rest < 0x0400) return from_bits(sign | 0x3F800000) * (float)rest * 0x1p-24f;
  if (rest >= 0x7C00) return from_bits(sign | 0x7F800000 | (rest & 0x3FF) << 13);
  return from_bits(sign | ((rest << 13) + (112u << 23)));
}

static float value_at(const char *data, uint64_t i, uint32_t dtype) {
  uint16_t small;
  if (dtype == KC_F32) return ((const float *)data)[i];
  memcpy(&small, data + 2 * i, sizeof small);
  return dtype == KC_F16 ? from_half(small) : from_bits((uint32_t)small << 16);
}

// Element by element, as numerics.Bounds.wrong and numerics.errors do it.
static void measure(const char *got, const KcAnswer *answer, KcFound *found) {
  uint64_t wrong = 0;
  double most = -1, relative = 0, ulps = 0;
  for (uint64_t i = 0; i < answer->elements; ++i) {
    const float value = value_at(got, i, answer->dtype);
    int inside = value >= answer->low[i] && value <= answer->high[i];
    if (answer->negative && value == 0 && !signbit(value) != !answer->negative[i]) inside = 0;
    wrong += !(inside || (answer->nan && answer->nan[i] && isnan(value)));
    const double expected = answer->expected[i], error = fabs((double)value - expected);
    if (!isfinite(error)) continue;
    if (error > most) most = error;
    if (error == 0) continue;
    if (error / answer->spacing[i] > ulps) ulps = error / answer->spacing[i];
    if (expected != 0 && error / fabs(expected) > relative) relative = error / fabs(expected);
  }
  found->wrong = wrong;
  found->max_abs = most;
  found->max_rel = most < 0 ? -1 : relative;
  found->max_ulp = most < 0 ? -1 : ulps;
}

static void judge(const char *out, const KcAnswer *answer, KcFound *found) {
  const uint64_t bytes = answer->elements * (answer->dtype == KC_F32 ? 4 : 2);
  const char *one = out + answer->offset, *two = out + answer->again;
  const int twice = answer->again != UINT64_MAX;
  int right = 1, same = 1;
  for (uint64_t at = 0; at < bytes && (right || same); at += CHUNK) {
    const uint64_t left = bytes - at, size = left < CHUNK ? left : CHUNK;
    const int first = !memcmp(one + at, answer->right + at, size);
    right &= first;
    if (twice) same &= !memcmp(two + at, first ? answer->right + at : one + at, size);
  }
  memset(found, 0, sizeof *found);
  found->flags = (right ? KC_BITS : 0) | (same ? 0 : KC_DIFFER);
  if (!right) measure(one, answer, found);
}

// Fills `found` of every answer: 2 if any is wrong or differs between the edges, else 1 if any has
// other bits than the right ones, else 0.
uint32_t kc_judge(const char *out, const KcAnswer *answer, uint32_t count, KcFound *found) {
  uint32_t worst = 0;
  for (uint32_t i = 0; i < count; ++i) {
    judge(out, answer + i, found + i);
    if (found[i].wrong != 0 || found[i].flags & KC_DIFFER) worst = 2;
    else if (worst == 0) worst = !(found[i].flags & KC_BITS);
  }
  return worst;
}
