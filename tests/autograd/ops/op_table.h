#pragma once
// The op table: what every op is tested for, from one list of samples.
//
// An op family's *_samples_test.cpp specialises Samples<Op> for each of its ops and registers the family:
//     template <> struct Samples<Softmax> {
//       static std::vector<Sample<Softmax>> good() { return {{.name = "rows", .args = {.axis = -1}, .inputs = {uniform({3, 5})}}}; }
//       static std::vector<BadSample<Softmax>> bad() { return {{.name = "axis", .args = {.axis = 2}, .inputs = {uniform({3, 5})}, .message = "axis 2"}}; }
//     };
//     const bool registered = register_family<SoftmaxOps>();
// The primary template has no definition: an op without samples does not compile. op_table_test.cpp checks that no family is forgotten.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/tape/op.h"

namespace capstan::testing {

template <class O>
struct Sample {
  std::string name;
  typename O::Args args{};
  std::vector<Tensor> inputs;     ///< floating inputs in f64; indices and masks as the op wants them; undefined = absent
  double f32_tolerance = 2e-5;    ///< relative to max(|expected element|, mean |expected|)
  double bf16_tolerance = 3e-2;
  bool f32 = true, bf16 = true;   ///< false where an op has no such kernel or its Args fix the element type
};

template <class O>
struct BadSample {
  std::string name;
  typename O::Args args{};
  std::vector<Tensor> inputs;
  std::string message;  ///< a part of the error's text
};

template <class O>
struct Samples;

/// f64 values for samples; the same for the same seed.
inline Tensor uniform(const Shape& shape, double low = -1.5, double high = 1.5, std::uint64_t seed = 1) {
  Rng rng(random_key(seed, "samples"));
  Tensor t(shape, DType::f64);
  for (double& v : t.span<double>()) v = rng.uniform(low, high);
  return t;
}

namespace detail {

template <class R, class A, class... S>
constexpr std::size_t arity(R (*)(const A&, const S&...)) { return sizeof...(S); }
template <class R, class A>
constexpr std::size_t arity(R (*)(const A&, std::span<const Spec>)) { return 0; }

template <class O, std::size_t... I>
auto apply_fixed(const typename O::Args& args, const std::vector<Tensor>& in, std::index_sequence<I...>) { return apply<O>(args, in[I]...); }

template <class O>
std::vector<Tensor> run(const typename O::Args& args, const std::vector<Tensor>& in) {
  constexpr std::size_t n = arity(&O::spec);
  const auto to_list = [](auto result) {
    if constexpr (std::is_same_v<decltype(result), Tensor>) return std::vector<Tensor>{result};
    else return std::vector<Tensor>(result.begin(), result.end());
  };
  if constexpr (n == 0) {
    return to_list(apply<O>(args, std::span<const Tensor>(in)));
  } else {
    if (in.size() != n) throw InternalError(join_text(O::name, ": the sample has ", in.size(), " inputs, the op takes ", n));
    return to_list(apply_fixed<O>(args, in, std::make_index_sequence<n>()));
  }
}

inline Tensor convert(const Tensor& t, DType dtype) {
  if (!t.defined() || !is_floating(t.dtype())) return t;
  const std::vector<double> values = t.to_vector();
  Tensor out(t.shape(), dtype);
  dispatch_floating("convert", dtype, [&](auto zero) {
    using T = decltype(zero);
    std::ranges::transform(values, out.span<T>().begin(), [](double v) {
      if constexpr (std::is_same_v<T, bfloat16>) return bfloat16(static_cast<float>(v));
      else return static_cast<T>(v);
    });
  });
  return out;
}
inline std::vector<Tensor> convert(const std::vector<Tensor>& list, DType dtype) {
  std::vector<Tensor> out;
  for (const Tensor& t : list) out.push_back(convert(t, dtype));
  return out;
}

inline bool is_variable(const Tensor& t) { return t.defined() && is_floating(t.dtype()); }

/// The same values at every second place of the last axis of a wider tensor.
inline Tensor make_strided(const Tensor& t) {
  if (!t.defined() || t.rank() == 0) return t;
  const Tensor wide = Tensor::full(t.shape().with(-1, 2 * t.size(-1) + 1), 0.0, t.dtype());
  const Tensor view = wide.view(wide.layout().slice(t.rank() - 1, 1, t.size(-1), 2));
  const Tensor from = t.contiguous();
  dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t n = t.size(-1);
    for (std::int64_t i = 0; i < t.numel(); ++i) wide.data<T>()[i / n * (2 * n + 1) + 1 + 2 * (i % n)] = from.data<const T>()[i];
  });
  return view;
}

inline std::vector<double> dense_values(const Gradient& g) {
  if (!g.is_sparse()) return g.dense().to_vector();
  std::vector<double> out(static_cast<std::size_t>(g.shape().numel()), 0.0);
  const std::vector<double> rows = g.row_values().to_vector(), indices = g.indices().to_vector();
  const std::size_t width = indices.empty() ? 0 : rows.size() / indices.size();
  for (std::size_t i = 0; i < indices.size(); ++i)
    for (std::size_t j = 0; j < width; ++j) out[static_cast<std::size_t>(indices[i]) * width + j] += rows[i * width + j];
  return out;
}

struct Outcome {
  std::vector<Tensor> outputs;
  std::vector<std::vector<double>> gradients;  // by input; empty where none was asked for
};

/// Forward, and backward from fixed asymmetric cotangents, to the floating inputs that `wanted` names (all: empty), `uses` times over.
template <class O>
Outcome run_both(const typename O::Args& args, const std::vector<Tensor>& inputs, const std::vector<bool>& wanted = {}, int uses = 1) {
  Outcome result;
  std::vector<Tensor> operands = inputs;
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (is_variable(operands[i]) && (wanted.empty() || wanted[i])) operands[i] = make_leaf(operands[i]);
  Tape tape;
  result.outputs = run<O>(args, operands);
  result.gradients.resize(inputs.size());
  if constexpr (capstan::detail::is_differentiable<O>()) {
    std::vector<Tensor> outputs, cotangents;
    for (int use = 0; use < uses; ++use) {
      const std::vector<Tensor> now = use == 0 ? result.outputs : run<O>(args, operands);
      for (std::size_t k = 0; k < now.size(); ++k) {
        if (now[k].node().kind == NodeRef::Kind::constant) continue;
        outputs.push_back(now[k]);
        cotangents.push_back(convert(uniform(now[k].shape(), 0.3, 1.7, 99 + k), now[k].dtype()));
      }
    }
    if (outputs.empty()) return result;
    const Gradients g = tape.backward(outputs, cotangents);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].node().kind != NodeRef::Kind::leaf) continue;
      const Gradient gi = g.of(operands[i]);
      result.gradients[i] = gi.defined() ? dense_values(gi) : std::vector<double>(static_cast<std::size_t>(operands[i].numel()), 0.0);
    }
  }
  for (Tensor& t : result.outputs) t = t.detach();
  return result;
}

inline void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double relative, double absolute, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double mean = 0;
  for (const double v : expected) mean += std::abs(v);
  if (!expected.empty()) mean /= static_cast<double>(expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double bound = absolute + relative * std::max({std::abs(expected[i]), mean});
    const bool same = std::abs(actual[i] - expected[i]) <= bound || actual[i] == expected[i];
    ASSERT_TRUE(same) << what << ": element " << i << " of " << actual.size() << ": got " << actual[i] << ", expected " << expected[i];
  }
}

inline void expect_close(const Outcome& actual, const Outcome& expected, double relative, double absolute) {
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size());
  for (std::size_t k = 0; k < actual.outputs.size(); ++k)
    expect_close(actual.outputs[k].to_vector(), expected.outputs[k].to_vector(), relative, absolute, "output " + std::to_string(k));
  for (std::size_t i = 0; i < actual.gradients.size(); ++i)
    expect_close(actual.gradients[i], expected.gradients[i], relative, absolute, "gradient of input " + std::to_string(i));
}

/// Every element of every floating input against five-point central differences.
template <class O>
void check_gradient(const Sample<O>& s) {
  const Outcome analytic = run_both<O>(s.args, s.inputs);
  const NoGrad no_grad;
  std::vector<Tensor> inputs;
  for (const Tensor& t : s.inputs) inputs.push_back(t.defined() ? t.clone() : t);
  std::vector<std::vector<double>> cotangents;
  for (std::size_t k = 0; k < analytic.outputs.size(); ++k) cotangents.push_back(uniform(analytic.outputs[k].shape(), 0.3, 1.7, 99 + k).to_vector());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!is_variable(inputs[i])) continue;
    double* const values = inputs[i].template data<double>();
    for (std::int64_t e = 0; e < inputs[i].numel(); ++e) {
      const double x = values[e], h = 5e-4;
      double slope = 0;
      for (const auto& [step, weight] : {std::pair{-2.0, 1.0}, {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}}) {
        values[e] = x + step * h;
        const std::vector<Tensor> y = run<O>(s.args, inputs);
        for (std::size_t k = 0; k < y.size(); ++k) {
          if (!is_floating(y[k].dtype())) continue;
          const std::vector<double> now = y[k].to_vector(), base = analytic.outputs[k].to_vector();
          for (std::size_t j = 0; j < now.size(); ++j) slope += weight * cotangents[k][j] * (now[j] - base[j]);  // differences of near numbers
        }
      }
      values[e] = x;
      slope /= 12 * h;
      const double a = analytic.gradients[i][static_cast<std::size_t>(e)];
      ASSERT_LE(std::abs(a - slope), 1e-9 + 1e-6 * std::max(std::abs(a), std::abs(slope)))
          << "input " << i << ", element " << e << " of " << inputs[i].numel() << ": analytic " << a << ", numeric " << slope;
    }
  }
}

/// The fast kernels, and the reference in the narrow type, against the f64 reference on the same rounded inputs.
template <class O>
void check_precision(const Sample<O>& s, DType dtype) {
  const std::vector<Tensor> narrow = convert(s.inputs, dtype);
  const Outcome expected = run_both<O>(s.args, convert(narrow, DType::f64));
  const double tolerance = dtype == DType::f32 ? s.f32_tolerance : s.bf16_tolerance;
  expect_close(run_both<O>(s.args, narrow), expected, tolerance, 1e-12);
  const kernels::ScopedBackend reference(kernels::Backend::reference);
  expect_close(run_both<O>(s.args, narrow), expected, tolerance, 1e-12);
}

/// Asking for fewer gradients changes none of them.
template <class O>
void check_needs(const Sample<O>& s) {
  const Outcome all = run_both<O>(s.args, s.inputs);
  std::vector<std::size_t> variables;
  for (std::size_t i = 0; i < s.inputs.size(); ++i)
    if (is_variable(s.inputs[i])) variables.push_back(i);
  const std::size_t masks = std::size_t{1} << std::min<std::size_t>(variables.size(), 6);
  for (std::size_t mask = 0; mask < masks; ++mask) {
    std::vector<bool> wanted(s.inputs.size(), false);
    for (std::size_t v = 0; v < variables.size(); ++v) wanted[variables[v]] = (mask >> (v % 6)) & 1;
    const Outcome some = run_both<O>(s.args, s.inputs, wanted);
    for (const std::size_t i : variables)
      if (wanted[i]) expect_close(some.gradients[i], all.gradients[i], 1e-12, 1e-14, "needs mask " + std::to_string(mask) + ", gradient of input " + std::to_string(i));
  }
}

/// Inputs used by two applications receive the sum.
template <class O>
void check_accumulation(const Sample<O>& s) {
  Outcome once = run_both<O>(s.args, s.inputs);
  const Outcome twice = run_both<O>(s.args, s.inputs, {}, 2);
  for (auto& g : once.gradients)
    for (double& v : g) v *= 2;
  expect_close(twice, once, 1e-12, 1e-14);
}

template <class O>
void check_strided(const Sample<O>& s) {
  const Outcome expected = run_both<O>(s.args, s.inputs);
  std::vector<Tensor> strided;
  for (const Tensor& t : s.inputs) strided.push_back(make_strided(t));
  expect_close(run_both<O>(s.args, strided), expected, 1e-12, 1e-14);
}

template <class O>
void check_repetition(const Sample<O>& s) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    if ((dtype == DType::f32 && !s.f32) || (dtype == DType::bf16 && !s.bf16)) continue;
    const std::vector<Tensor> inputs = convert(s.inputs, dtype);
    const Outcome first = run_both<O>(s.args, inputs), second = run_both<O>(s.args, inputs);
    for (std::size_t k = 0; k < first.outputs.size(); ++k) EXPECT_EQ(first.outputs[k].to_vector(), second.outputs[k].to_vector()) << "output " << k << " in " << name_of(dtype);
    for (std::size_t i = 0; i < first.gradients.size(); ++i) EXPECT_EQ(first.gradients[i], second.gradients[i]) << "gradient " << i << " in " << name_of(dtype);
  }
}

template <class O>
void check_message(const BadSample<O>& s) {
  try {
    run<O>(s.args, s.inputs);
    FAIL() << O::name << " took the bad input";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(s.message), std::string::npos) << "the message was: " << e.what() << "\nexpected in it: " << s.message;
    EXPECT_EQ(std::string(e.what()).rfind(std::string(O::name), 0), 0u) << "a message begins with the op's name: " << e.what();
  }
}

class FunctionTest : public ::testing::Test {
 public:
  explicit FunctionTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

inline void add_test(std::string_view op, std::string_view check, std::function<void()> body) {
  ::testing::RegisterTest(("op_" + std::string(op)).c_str(), std::string(check).c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [body = std::move(body)]() -> ::testing::Test* { return new FunctionTest(body); });
}

}  // namespace detail

/// The names of all ops registered in this program.
inline std::set<std::string>& registered_ops() {
  static std::set<std::string> names;
  return names;
}

template <class O>
void register_op() {
  registered_ops().insert(std::string(O::name));
  const auto for_each_good = [](auto check) {
    return [check] {
      const std::vector<Sample<O>> samples = Samples<O>::good();
      ASSERT_FALSE(samples.empty()) << O::name << " has no samples";
      for (const Sample<O>& s : samples) {
        SCOPED_TRACE(std::string(O::name) + ", sample " + s.name);
        check(s);
        if (::testing::Test::HasFatalFailure()) return;
      }
    };
  };
  if constexpr (capstan::detail::is_differentiable<O>()) {
    detail::add_test(O::name, "gradient", for_each_good([](const Sample<O>& s) { detail::check_gradient<O>(s); }));
    detail::add_test(O::name, "needs", for_each_good([](const Sample<O>& s) { detail::check_needs<O>(s); }));
    detail::add_test(O::name, "accumulation", for_each_good([](const Sample<O>& s) { detail::check_accumulation<O>(s); }));
  }
  detail::add_test(O::name, "f32", for_each_good([](const Sample<O>& s) { if (s.f32) detail::check_precision<O>(s, DType::f32); }));
  detail::add_test(O::name, "bf16", for_each_good([](const Sample<O>& s) { if (s.bf16) detail::check_precision<O>(s, DType::bf16); }));
  detail::add_test(O::name, "strided", for_each_good([](const Sample<O>& s) { detail::check_strided<O>(s); }));
  detail::add_test(O::name, "repetition", for_each_good([](const Sample<O>& s) { detail::check_repetition<O>(s); }));
  detail::add_test(O::name, "messages", [] {
    const std::vector<BadSample<O>> samples = Samples<O>::bad();
    ASSERT_FALSE(samples.empty()) << O::name << " has no bad samples";
    for (const BadSample<O>& s : samples) {
      SCOPED_TRACE(std::string(O::name) + ", bad sample " + s.name);
      detail::check_message<O>(s);
    }
  });
}

namespace detail {
template <class... Ops>
void register_all(TypeList<Ops...>) { (register_op<Ops>(), ...); }
}  // namespace detail

/// Registers the tests of all ops of a family; does not compile if one has no samples.
template <class Family>
bool register_family() {
  detail::register_all(Family{});
  return true;
}

}  // namespace capstan::testing
