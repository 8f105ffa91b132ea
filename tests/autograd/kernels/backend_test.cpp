// Which member of a kernel runs.

#include "autograd/kernels/backend.h"

#include <gtest/gtest.h>

#include <string>

namespace capstan::kernels {
namespace {

struct Options {
  double scale = 1;
};

// Says which member ran on which type.
template <class T>
struct Named {
  using Signature = std::string(const T* x, const Options& options);
  static Signature fast, reference;
};
template <class T>
std::string Named<T>::fast(const T*, const Options& options) {
  return "fast " + std::string(name_of(dtype_of<T>)) + " " + std::to_string(static_cast<int>(options.scale));
}
template <class T>
std::string Named<T>::reference(const T*, const Options&) {
  return "reference " + std::string(name_of(dtype_of<T>));
}
constexpr Kernel<Named, float, bfloat16, double> named;

struct Problem {
  DType dtype = DType::f32;
};
struct NamedByDType {
  using Signature = std::string(const Problem& problem, int n);
  static std::string fast(const Problem&, int) { return "fast"; }
  static std::string reference(const Problem&, int) { return "reference"; }
};
constexpr KernelByDType<NamedByDType> named_by_dtype;

TEST(Kernel, RunsFastOnF32AndBf16UnlessTheReferenceIsForced) {
  const float* const f32 = nullptr;
  const bfloat16* const bf16 = nullptr;
  const double* const f64 = nullptr;
  EXPECT_EQ(named(f32, {.scale = 3}), "fast f32 3");
  EXPECT_EQ(named(bf16, {}), "fast bf16 1");
  EXPECT_EQ(named(f64, {}), "reference f64");
  EXPECT_EQ(named_by_dtype({DType::bf16}, 1), "fast");
  EXPECT_EQ(named_by_dtype({DType::f64}, 1), "reference");
  {
    const ScopedBackend guard(Backend::reference);
    EXPECT_EQ(named(f32, {}), "reference f32");
    EXPECT_EQ(named(bf16, {}), "reference bf16");
    EXPECT_EQ(named_by_dtype({DType::f32}, 1), "reference");
    EXPECT_FALSE(runs_fast(DType::f32));
  }
  EXPECT_EQ(backend(), Backend::fast);
  EXPECT_TRUE(runs_fast(DType::bf16));
  EXPECT_FALSE(runs_fast(DType::i64));
}

}  // namespace
}  // namespace capstan::kernels
