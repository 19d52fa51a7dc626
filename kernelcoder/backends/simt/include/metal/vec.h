// SPDX-License-Identifier: Apache-2.0
// Vectors of 2, 3 and 4 components: layout, construction, swizzles, operators (metal_types).
#pragma once
#include "scalar.h"

namespace metal {

template <class T, int N>
struct vec;

// A view of some components of a vector, in the memory of the whole: `v.zx`.
template <class T, int N, int... I>
struct Swizzle {
  T all[N];
  static constexpr int count = sizeof...(I);
  static constexpr int place[] = {I...};

  constexpr operator vec<T, count>() const {
    vec<T, count> out;
    for (int k = 0; k < count; ++k) out.all[k] = all[place[k]];
    return out;
  }
  constexpr const vec<T, count> kc_whole() const { return *this; }
  constexpr Swizzle &operator=(const vec<T, count> &from) {
    const vec<T, count> copy = from;  // `v.xy = v.yx`
    for (int k = 0; k < count; ++k) all[place[k]] = copy.all[k];
    return *this;
  }
  constexpr Swizzle &operator=(const Swizzle &from) {
    return *this = static_cast<vec<T, count>>(from);
  }
  template <class B>
  constexpr Swizzle &operator+=(const B &b) {
    return *this = static_cast<vec<T, count>>(*this) + b;
  }
  template <class B>
  constexpr Swizzle &operator-=(const B &b) {
    return *this = static_cast<vec<T, count>>(*this) - b;
  }
  template <class B>
  constexpr Swizzle &operator*=(const B &b) {
    return *this = static_cast<vec<T, count>>(*this) * b;
  }
  template <class B>
  constexpr Swizzle &operator/=(const B &b) {
    return *this = static_cast<vec<T, count>>(*this) / b;
  }
};

// Components of anything: 1 for a scalar. And its element type.
template <class A>
struct Shape {
  static constexpr int count = 1;
  using element = A;
};
template <class T, int N>
struct Shape<vec<T, N>> {
  static constexpr int count = N;
  using element = T;
};
template <class T, int N, int... I>
struct Shape<Swizzle<T, N, I...>> {
  static constexpr int count = sizeof...(I);
  using element = T;
};
template <class A>
inline constexpr int count_of = Shape<std::remove_cv_t<A>>::count;
template <class A>
using element_of = typename Shape<std::remove_cv_t<A>>::element;
template <class A>
concept Vector = count_of<A> > 1;

template <Vector A>
constexpr auto whole(const A &a) -> vec<element_of<A>, count_of<A>> {
  return a;
}
template <class A>
constexpr auto part(const A &a, int k) {
  if constexpr (Vector<A>)
    return whole(a).all[k];
  else
    return a;
}

// Names of swizzles: TAIL makes those with one more letter, MID with two more, TOP with three.
#define KC_S(name, ...) Swizzle<T, kWidth, __VA_ARGS__> name;
#define KC_TAIL2(p, x, y, ...) KC_S(p##x, __VA_ARGS__, 0) KC_S(p##y, __VA_ARGS__, 1)
#define KC_TAIL3(p, x, y, z, ...) KC_TAIL2(p, x, y, __VA_ARGS__) KC_S(p##z, __VA_ARGS__, 2)
#define KC_TAIL4(p, x, y, z, w, ...) KC_TAIL3(p, x, y, z, __VA_ARGS__) KC_S(p##w, __VA_ARGS__, 3)
#define KC_MID2(p, x, y, ...) \
  KC_TAIL2(p##x, x, y, __VA_ARGS__, 0) KC_TAIL2(p##y, x, y, __VA_ARGS__, 1)
#define KC_MID3(p, x, y, z, ...)          \
  KC_TAIL3(p##x, x, y, z, __VA_ARGS__, 0) \
  KC_TAIL3(p##y, x, y, z, __VA_ARGS__, 1) KC_TAIL3(p##z, x, y, z, __VA_ARGS__, 2)
#define KC_MID4(p, x, y, z, w, ...)                                                      \
  KC_TAIL4(p##x, x, y, z, w, __VA_ARGS__, 0) KC_TAIL4(p##y, x, y, z, w, __VA_ARGS__, 1)  \
  KC_TAIL4(p##z, x, y, z, w, __VA_ARGS__, 2) KC_TAIL4(p##w, x, y, z, w, __VA_ARGS__, 3)
#define KC_TOP2(p, x, y, ...) \
  KC_MID2(p##x, x, y, __VA_ARGS__, 0) KC_MID2(p##y, x, y, __VA_ARGS__, 1)
#define KC_TOP3(p, x, y, z, ...)         \
  KC_MID3(p##x, x, y, z, __VA_ARGS__, 0) \
  KC_MID3(p##y, x, y, z, __VA_ARGS__, 1) KC_MID3(p##z, x, y, z, __VA_ARGS__, 2)
#define KC_TOP4(p, x, y, z, w, ...)                                                    \
  KC_MID4(p##x, x, y, z, w, __VA_ARGS__, 0) KC_MID4(p##y, x, y, z, w, __VA_ARGS__, 1)  \
  KC_MID4(p##z, x, y, z, w, __VA_ARGS__, 2) KC_MID4(p##w, x, y, z, w, __VA_ARGS__, 3)
#define KC_ALL2(x, y)                                          \
  KC_TAIL2(x, x, y, 0) KC_TAIL2(y, x, y, 1) KC_MID2(x, x, y, 0) \
  KC_MID2(y, x, y, 1) KC_TOP2(x, x, y, 0) KC_TOP2(y, x, y, 1)
#define KC_ALL3(x, y, z)                                                            \
  KC_TAIL3(x, x, y, z, 0) KC_TAIL3(y, x, y, z, 1) KC_TAIL3(z, x, y, z, 2)           \
  KC_MID3(x, x, y, z, 0) KC_MID3(y, x, y, z, 1) KC_MID3(z, x, y, z, 2)              \
  KC_TOP3(x, x, y, z, 0) KC_TOP3(y, x, y, z, 1) KC_TOP3(z, x, y, z, 2)
#define KC_ALL4(x, y, z, w)                                             \
  KC_TAIL4(x, x, y, z, w, 0) KC_TAIL4(y, x, y, z, w, 1)                 \
  KC_TAIL4(z, x, y, z, w, 2) KC_TAIL4(w, x, y, z, w, 3)                 \
  KC_MID4(x, x, y, z, w, 0) KC_MID4(y, x, y, z, w, 1)                   \
  KC_MID4(z, x, y, z, w, 2) KC_MID4(w, x, y, z, w, 3)                   \
  KC_TOP4(x, x, y, z, w, 0) KC_TOP4(y, x, y, z, w, 1)                   \
  KC_TOP4(z, x, y, z, w, 2) KC_TOP4(w, x, y, z, w, 3)

// Construction: from one scalar (all components), from parts that add up to the width, explicitly
// from a vector of another type. Nothing is cleared.
#define KC_VEC(N, ALIGNED, XYZW, RGBA, SWIZZLES)                                             \
  template <class T>                                                                         \
  struct alignas(sizeof(T) * ALIGNED) vec<T, N> {                                            \
    static constexpr int kWidth = N;                                                         \
    union {                                                                                  \
      struct {                                                                               \
        T XYZW;                                                                              \
      };                                                                                     \
      struct {                                                                               \
        T RGBA;                                                                              \
      };                                                                                     \
      T all[N];                                                                              \
      SWIZZLES                                                                               \
    };                                                                                       \
    vec() = default;                                                                         \
    constexpr vec(const vec &from) = default;                                                \
    constexpr vec &operator=(const vec &from) {                                              \
      for (int k = 0; k < N; ++k) all[k] = from.all[k];                                      \
      return *this;                                                                          \
    }                                                                                        \
    template <Scalar S>                                                                      \
    constexpr vec(S s) : all{} {                                                             \
      for (int k = 0; k < N; ++k) all[k] = T(s);                                             \
    }                                                                                        \
    template <class U>                                                                       \
      requires(!std::is_same_v<U, T>)                                                        \
    constexpr explicit vec(const vec<U, N> &from) : all{} {                                  \
      for (int k = 0; k < N; ++k) all[k] = T(from.all[k]);                                   \
    }                                                                                        \
    template <class U, int P, int... I>                                                      \
      requires(sizeof...(I) == N && !std::is_same_v<U, T>)                                   \
    constexpr explicit vec(const Swizzle<U, P, I...> &from) : vec(whole(from)) {}            \
    template <class... A>                                                                    \
      requires(sizeof...(A) > 1 && (count_of<A> + ...) == N)                                 \
    constexpr vec(const A &...parts) : all{} {                                               \
      int at = 0;                                                                            \
      (put(at, parts), ...);                                                                 \
    }                                                                                        \
    constexpr T &operator[](int k) { return all[k]; }                                        \
    constexpr const T &operator[](int k) const { return all[k]; }                            \
    constexpr const vec kc_whole() const { return *this; }                                   \
                                                                                             \
   private:                                                                                  \
    template <class A>                                                                       \
    constexpr void put(int &at, const A &from) {                                             \
      for (int k = 0; k < count_of<A>; ++k) all[at++] = T(part(from, k));                    \
    }                                                                                        \
  };
#define KC_COMMA ,
KC_VEC(2, 2, x KC_COMMA y, r KC_COMMA g, KC_ALL2(x, y) KC_ALL2(r, g))
KC_VEC(3, 4, x KC_COMMA y KC_COMMA z, r KC_COMMA g KC_COMMA b, KC_ALL3(x, y, z) KC_ALL3(r, g, b))
KC_VEC(4, 4, x KC_COMMA y KC_COMMA z KC_COMMA w, r KC_COMMA g KC_COMMA b KC_COMMA a,
       KC_ALL4(x, y, z, w) KC_ALL4(r, g, b, a))

// Two vectors of one type, or a vector and a scalar that becomes its element type.
template <class A, class B>
concept Mates = (Vector<A> && Vector<B> && count_of<A> == count_of<B> &&
                 std::is_same_v<element_of<A>, element_of<B>>) ||
                (Vector<A> && Scalar<B>) || (Scalar<A> && Vector<B>);
template <class A, class B>
using Mate = vec<element_of<std::conditional_t<Vector<A>, A, B>>,
                 count_of<std::conditional_t<Vector<A>, A, B>>>;

// f of every pair of components.
template <class F, class A, class B>
  requires Mates<A, B>
constexpr auto zip(F f, const A &a, const B &b) {
  using T = element_of<Mate<A, B>>;
  vec<decltype(f(T(), T())), count_of<Mate<A, B>>> out;
  for (int k = 0; k < count_of<Mate<A, B>>; ++k) out.all[k] = f(T(part(a, k)), T(part(b, k)));
  return out;
}
// f of every component.
template <class F, Vector A>
constexpr auto each(F f, const A &a) {
  vec<decltype(f(part(a, 0))), count_of<A>> out;
  for (int k = 0; k < count_of<A>; ++k) out.all[k] = f(part(a, k));
  return out;
}

// The narrow integers would widen: a vector keeps its element type.
#define KC_VEC_MATH(op)                                                                  \
  template <class A, class B>                                                            \
    requires Mates<A, B>                                                                 \
  constexpr auto operator op(const A &a, const B &b) {                                   \
    return zip([](auto x, auto y) { return decltype(x)(x op y); }, a, b);                \
  }                                                                                      \
  template <class T, int N, class B>                                                     \
    requires Mates<vec<T, N>, B>                                                         \
  constexpr vec<T, N> &operator op##=(vec<T, N> &a, const B &b) {                        \
    return a = a op b;                                                                   \
  }
KC_VEC_MATH(+)
KC_VEC_MATH(-)
KC_VEC_MATH(*)
KC_VEC_MATH(/)
KC_VEC_MATH(%)
KC_VEC_MATH(&)
KC_VEC_MATH(|)
KC_VEC_MATH(^)
KC_VEC_MATH(<<)
KC_VEC_MATH(>>)
#undef KC_VEC_MATH

#define KC_VEC_COMPARE(op)                                            \
  template <class A, class B>                                         \
    requires Mates<A, B>                                              \
  constexpr auto operator op(const A &a, const B &b) {                \
    return zip([](auto x, auto y) { return bool(x op y); }, a, b);    \
  }
KC_VEC_COMPARE(<)
KC_VEC_COMPARE(>)
KC_VEC_COMPARE(<=)
KC_VEC_COMPARE(>=)
KC_VEC_COMPARE(==)
KC_VEC_COMPARE(!=)
KC_VEC_COMPARE(&&)
KC_VEC_COMPARE(||)
#undef KC_VEC_COMPARE

template <Vector A>
constexpr auto operator-(const A &a) {
  return each([](auto x) { return decltype(x)(-x); }, a);
}
template <Vector A>
constexpr auto operator~(const A &a) {
  return each([](auto x) { return decltype(x)(~x); }, a);
}
template <Vector A>
constexpr auto operator!(const A &a) {
  return each([](auto x) { return !x; }, a);
}

template <Vector A>
  requires std::is_same_v<element_of<A>, bool>
constexpr bool any(const A &a) {
  for (int k = 0; k < count_of<A>; ++k)
    if (part(a, k)) return true;
  return false;
}
template <Vector A>
  requires std::is_same_v<element_of<A>, bool>
constexpr bool all(const A &a) {
  for (int k = 0; k < count_of<A>; ++k)
    if (!part(a, k)) return false;
  return true;
}
constexpr bool any(bool a) { return a; }
constexpr bool all(bool a) { return a; }

// The same components without the alignment.
template <class T, int N>
struct packed_vec {
  T all[N];
  packed_vec() = default;
  constexpr packed_vec(const vec<T, N> &from) : all{} {
    for (int k = 0; k < N; ++k) all[k] = from.all[k];
  }
  constexpr operator vec<T, N>() const {
    vec<T, N> out;
    for (int k = 0; k < N; ++k) out.all[k] = all[k];
    return out;
  }
  constexpr T &operator[](int k) { return all[k]; }
  constexpr const T &operator[](int k) const { return all[k]; }
};

#define KC_NAMES(T)                                                                   \
  typedef vec<T, 2> T##2;                                                             \
  typedef vec<T, 3> T##3;                                                             \
  typedef vec<T, 4> T##4;                                                             \
  typedef packed_vec<T, 2> packed_##T##2;                                             \
  typedef packed_vec<T, 3> packed_##T##3;                                             \
  typedef packed_vec<T, 4> packed_##T##4;
KC_NAMES(bool)
KC_NAMES(char)
KC_NAMES(uchar)
KC_NAMES(short)
KC_NAMES(ushort)
KC_NAMES(int)
KC_NAMES(uint)
KC_NAMES(long)
KC_NAMES(ulong)
KC_NAMES(half)
KC_NAMES(bfloat)
KC_NAMES(float)
#undef KC_NAMES

}  // namespace metal
