#pragma once
// exp, log, tanh, erf ... that vectorise: include this in every kernel of openmp/ that calls them in a loop.
//
// glibc declares the vector variants of these functions (libmvec) only under plain -ffast-math. The kernels are compiled with
// -fno-finite-math-only on top, so that infinities and NaN stay what they are, and would silently fall back to scalar calls.
// Declaring the functions again with their vector variants brings them back; std::exp(float) and its like end in these.
// Largest error of the vector variants: 4 ulp.

#include <cmath>

#if defined(__x86_64__) && defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35)
extern "C" {
[[gnu::simd("notinbranch")]] float expf(float) noexcept;
[[gnu::simd("notinbranch")]] float expm1f(float) noexcept;
[[gnu::simd("notinbranch")]] float logf(float) noexcept;
[[gnu::simd("notinbranch")]] float log1pf(float) noexcept;
[[gnu::simd("notinbranch")]] float tanhf(float) noexcept;
[[gnu::simd("notinbranch")]] float erff(float) noexcept;
[[gnu::simd("notinbranch")]] float powf(float, float) noexcept;
[[gnu::simd("notinbranch")]] float sinf(float) noexcept;
[[gnu::simd("notinbranch")]] float cosf(float) noexcept;
}
#endif
#endif
