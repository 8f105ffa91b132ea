// Samples of the reductions; see op_table.h.

#include "autograd/ops/reduce.h"

#include "tests/autograd/ops/op_table.h"

namespace capstan::testing {
namespace {

// Distinct values a quarter apart in mixed order: no ties, also after rounding to bf16, and no crossing under small steps.
Tensor distinct(const Shape& shape) {
  Tensor t(shape, DType::f64);
  const std::int64_t n = t.numel();
  for (std::int64_t i = 0; i < n; ++i) t.data<double>()[i] = static_cast<double>((i * 13 + 11) % (n | 1)) / 4.0 - 3.0;
  return t;
}

template <class O>
std::vector<Sample<O>> reductions(Tensor (*x)(const Shape&)) {
  return {{.name = "all", .args = {}, .inputs = {x({3, 5})}},
          {.name = "row", .args = {.axes = {0}}, .inputs = {x({37})}},
          {.name = "rows", .args = {.axes = {-1}}, .inputs = {x({4, 19})}},
          {.name = "columns", .args = {.axes = {0}}, .inputs = {x({6, 19})}},
          {.name = "middle, kept", .args = {.axes = {1}, .keepdim = true}, .inputs = {x({2, 5, 3})}},
          {.name = "first and last", .args = {.axes = {0, -1}}, .inputs = {x({2, 3, 4})}},
          {.name = "first and third, kept", .args = {.axes = {2, 0}, .keepdim = true}, .inputs = {x({2, 3, 4, 5})}},
          {.name = "one element", .args = {.axes = {0}}, .inputs = {x({1, 3})}},
          {.name = "scalar", .args = {}, .inputs = {x({})}},
          {.name = "no results", .args = {.axes = {1}}, .inputs = {x({0, 3})}}};
}

// Axes differ from op to op: each way to divide the work comes up.
template <class O>
Sample<O> large_reduction(const typename O::Args& args) {
  return {.name = "large", .args = args, .inputs = {uniform({31, 37, 89}, 0.2, 1.5)}};
}

template <class O>
std::vector<BadSample<O>> reductions_bad() {
  return {{.name = "axis", .args = {.axes = {2}}, .inputs = {uniform({2, 3})}, .message = "x f64[2, 3] has 2 axes, axis 2"},
          {.name = "twice", .args = {.axes = {1, -1}}, .inputs = {uniform({2, 3})}, .message = "axis -1 named twice"},
          {.name = "integers", .args = {}, .inputs = {Tensor::zeros({2}, DType::i64)}, .message = "floating type: x i64[2]"}};
}

Tensor any(const Shape& shape) { return uniform(shape, 0.2, 1.5); }

}  // namespace

template <>
struct Samples<ops::Sum> {
  static auto good() {
    auto samples = reductions<ops::Sum>(any);
    samples.push_back({.name = "of nothing", .args = {.axes = {0}}, .inputs = {uniform({0, 3})}});
    return samples;
  }
  static auto large() { return large_reduction<ops::Sum>({}); }
  static auto bad() { return reductions_bad<ops::Sum>(); }
};
template <>
struct Samples<ops::Mean> {
  static auto good() { return reductions<ops::Mean>(any); }
  static auto large() { return large_reduction<ops::Mean>({.axes = {0}}); }
  static auto bad() { return reductions_bad<ops::Mean>(); }
};
template <>
struct Samples<ops::Variance> {
  static auto good() {
    auto samples = reductions<ops::Variance>(distinct);
    samples.push_back({.name = "of a sample", .args = {.axes = {1}, .correction = 1}, .inputs = {uniform({3, 6})}});
    return samples;
  }
  static auto large() { return large_reduction<ops::Variance>({.axes = {-1}}); }
  static auto bad() {
    auto samples = reductions_bad<ops::Variance>();
    samples.push_back(
        {.name = "too few", .args = {.axes = {0}, .correction = 1}, .inputs = {uniform({1, 3})}, .message = "elements 1, correction 1"});
    samples.push_back(
        {.name = "correction", .args = {.axes = {0}, .correction = -1}, .inputs = {uniform({3})}, .message = "must not be negative: -1"});
    return samples;
  }
};
template <>
struct Samples<ops::Max> {
  static auto good() { return reductions<ops::Max>(distinct); }
  static auto large() { return large_reduction<ops::Max>({.axes = {0, -1}}); }
  static auto bad() {
    auto samples = reductions_bad<ops::Max>();
    samples.push_back({.name = "nothing", .args = {.axes = {0}}, .inputs = {uniform({0, 3})}, .message = "of nothing: x f64[0, 3]"});
    return samples;
  }
};
template <>
struct Samples<ops::Min> {
  static auto good() { return reductions<ops::Min>(distinct); }
  static auto large() { return large_reduction<ops::Min>({.axes = {1}}); }
  static auto bad() { return reductions_bad<ops::Min>(); }
};
template <>
struct Samples<ops::Argmax> {
  static std::vector<Sample<ops::Argmax>> good() {
    return {{.name = "rows", .args = {.axis = -1}, .inputs = {distinct({4, 53})}},
            {.name = "columns, kept", .args = {.axis = 0, .keepdim = true}, .inputs = {distinct({5, 19})}},
            {.name = "middle", .args = {.axis = 1}, .inputs = {distinct({2, 3, 4})}},
            {.name = "no results", .args = {.axis = 1}, .inputs = {distinct({0, 3})}}};
  }
  static Sample<ops::Argmax> large() { return {.name = "large", .args = {.axis = -1}, .inputs = {uniform(kLarge)}}; }
  static std::vector<BadSample<ops::Argmax>> bad() {
    return {{.name = "axis", .args = {.axis = 1}, .inputs = {uniform({3})}, .message = "x f64[3] has 1 axes, axis 1"},
            {.name = "nothing", .args = {.axis = 0}, .inputs = {uniform({0, 3})}, .message = "of nothing"},
            {.name = "integers", .args = {}, .inputs = {Tensor::zeros({2}, DType::i64)}, .message = "floating"}};
  }
};

namespace {
const bool registered = register_family<ops::ReduceOps>();
}

}  // namespace capstan::testing
