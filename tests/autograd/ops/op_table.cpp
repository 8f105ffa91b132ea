#include "tests/autograd/ops/op_table.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <thread>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "tests/close.h"

namespace capstan::testing {
namespace detail {
namespace {

/// Input i of a case has a gradient.
bool is_variable(const Case& s, std::size_t i) {
  return s.inputs[i].defined() && is_floating(s.inputs[i].dtype()) && !s.constants.contains(i);
}

/// The same values at every second place of the last axis of a wider tensor.
Tensor make_strided(const Tensor& t) {
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

/// The same values with the axes in memory in the opposite order.
Tensor make_transposed(const Tensor& t) {
  if (!t.defined() || t.rank() < 2) return t;
  std::vector<int> order;
  for (int axis = t.rank() - 1; axis >= 0; --axis) order.push_back(axis);
  const Tensor turned = t.view(t.layout().permute(order)).clone();
  return turned.view(turned.layout().permute(order));
}

/// The same values with axis 1 last in memory, as images may lie.
Tensor make_channels_last(const Tensor& t) {
  if (!t.defined() || t.rank() != 4) return t;
  const Tensor turned = t.view(t.layout().permute(std::array{0, 2, 3, 1})).clone();
  return turned.view(turned.layout().permute(std::array{0, 3, 1, 2}));
}

struct Outcome {
  std::vector<Tensor> outputs;
  std::vector<std::vector<double>> gradients;  // by input; empty where none was asked for
  std::vector<DType> types;                    // of the gradients; where there is none, of the input
};

/// Forward, and backward from fixed asymmetric cotangents, to the floating inputs that `wanted` names (all: empty), `uses` times over.
Outcome run_both(const Case& s, const std::vector<Tensor>& inputs, const std::vector<bool>& wanted = {}, int uses = 1) {
  const Application& apply = s.apply;
  Outcome result;
  std::vector<Tensor> operands = inputs;
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (is_variable(s, i) && (wanted.empty() || wanted[i])) operands[i] = make_leaf(operands[i]);
  Tape tape;
  result.outputs = apply(operands);
  result.gradients.resize(inputs.size());
  for (const Tensor& t : inputs) result.types.push_back(t.defined() ? t.dtype() : DType::f32);
  std::vector<Tensor> outputs, cotangents;
  for (int use = 0; use < uses; ++use) {
    const std::vector<Tensor> now = use == 0 ? result.outputs : apply(operands);
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
    if (gi.defined()) result.types[i] = gi.is_sparse() ? gi.row_values().dtype() : gi.to_dense().dtype();
    result.gradients[i] = gi.defined() ? dense_values(gi) : std::vector<double>(static_cast<std::size_t>(operands[i].numel()), 0.0);
  }
  for (Tensor& t : result.outputs) t = t.detach();
  return result;
}

void expect_close(const Outcome& actual, const Outcome& expected, double relative, double absolute) {
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size());
  for (std::size_t k = 0; k < actual.outputs.size(); ++k)
    capstan::expect_close(actual.outputs[k].to_vector(), expected.outputs[k].to_vector(), relative, "output " + std::to_string(k),
                          absolute);
  for (std::size_t i = 0; i < actual.gradients.size(); ++i)
    capstan::expect_close(actual.gradients[i], expected.gradients[i], relative, "gradient of input " + std::to_string(i), absolute);
}

/// Every element of every floating input against five-point central differences.
void check_gradient(const Case& s) {
  const Outcome analytic = run_both(s, s.inputs);
  const NoGrad no_grad;
  std::vector<Tensor> inputs;
  for (const Tensor& t : s.inputs) inputs.push_back(t.defined() ? t.clone() : t);
  std::vector<std::vector<double>> cotangents, bases;
  for (std::size_t k = 0; k < analytic.outputs.size(); ++k) {
    cotangents.push_back(uniform(analytic.outputs[k].shape(), 0.3, 1.7, 99 + k).to_vector());
    bases.push_back(analytic.outputs[k].to_vector());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!is_variable(s, i)) continue;
    double* const values = inputs[i].data<double>();
    for (std::int64_t e = 0; e < inputs[i].numel(); ++e) {
      const double x = values[e], h = 5e-4;
      double slope = 0;
      for (const auto& [step, weight] : {std::pair{-2.0, 1.0}, {-1.0, -8.0}, {1.0, 8.0}, {2.0, -1.0}}) {
        values[e] = x + step * h;
        const std::vector<Tensor> y = s.apply(inputs);
        for (std::size_t k = 0; k < y.size(); ++k) {
          if (!is_floating(y[k].dtype())) continue;
          const std::vector<double> now = y[k].to_vector();
          for (std::size_t j = 0; j < now.size(); ++j)
            slope += weight * cotangents[k][j] * (now[j] - bases[k][j]);  // differences of near numbers
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
void check_precision(const Case& s, DType dtype) {
  const std::vector<Tensor> narrow = convert(s.inputs, dtype);
  const Outcome expected = run_both(s, convert(narrow, DType::f64));
  const double tolerance = dtype == DType::f32 ? s.f32_tolerance : s.bf16_tolerance;
  expect_close(run_both(s, narrow), expected, tolerance, 1e-12);
  const kernels::ScopedBackend reference(kernels::Backend::reference);
  expect_close(run_both(s, narrow), expected, tolerance, 1e-12);
}

/// Asking for fewer gradients changes none of them.
void check_needs(const Case& s) {
  const Outcome all = run_both(s, s.inputs);
  std::vector<std::size_t> variables;
  for (std::size_t i = 0; i < s.inputs.size(); ++i)
    if (is_variable(s, i)) variables.push_back(i);
  const std::size_t masks = std::size_t{1} << std::min<std::size_t>(variables.size(), 6);
  for (std::size_t mask = 0; mask < masks; ++mask) {
    std::vector<bool> wanted(s.inputs.size(), false);
    for (std::size_t v = 0; v < variables.size(); ++v) wanted[variables[v]] = (mask >> (v % 6)) & 1;
    const Outcome some = run_both(s, s.inputs, wanted);
    for (const std::size_t i : variables)
      if (wanted[i])
        capstan::expect_close(some.gradients[i], all.gradients[i], 1e-12,
                              "needs mask " + std::to_string(mask) + ", gradient of input " + std::to_string(i), 1e-14);
  }
}

/// Inputs used by two applications receive the sum.
void check_accumulation(const Case& s) {
  Outcome once = run_both(s, s.inputs);
  const Outcome twice = run_both(s, s.inputs, {}, 2);
  for (auto& g : once.gradients)
    for (double& v : g) v *= 2;
  expect_close(twice, once, 1e-12, 1e-14);
}

void check_layouts(const Case& s) {
  const Outcome expected = run_both(s, s.inputs);
  for (Tensor (*const laid_out)(const Tensor&) : {make_strided, make_transposed, make_channels_last}) {
    std::vector<Tensor> inputs;
    for (const Tensor& t : s.inputs) inputs.push_back(laid_out(t));
    expect_close(run_both(s, inputs), expected, 1e-12, 1e-14);
  }
}

/// A recorded value where the op has no derivative is an error that names it, never a cut graph.
void check_constants(const Case& s) {
  for (const std::size_t i : s.constants) {
    if (!s.inputs[i].defined()) continue;
    std::vector<Tensor> inputs = s.inputs;
    inputs[i] = make_leaf(inputs[i].detach());
    Tape tape;
    EXPECT_THROW(s.apply(inputs), GraphError) << "input " << i;
    const NoGrad no_grad;
    EXPECT_NO_THROW(s.apply(inputs)) << "nobody records";
  }
}

/// A scalar in an optional place is refused by a message of the op: it is not taken for an operand that was left out.
void check_scalars(const Op& op) {
  const std::vector<Case> cases = op.good();
  std::set<std::size_t> optional;
  for (const Case& s : cases)
    for (std::size_t i = 0; i < s.inputs.size(); ++i)
      if (!s.inputs[i].defined() && !op.takes_scalar.contains(i)) optional.insert(i);
  for (const std::size_t i : optional)
    for (const Case& s : cases) {
      if (s.inputs[i].defined()) continue;
      for (const DType dtype : {DType::f64, DType::u8, DType::i64}) {
        std::vector<Tensor> inputs = s.inputs;
        inputs[i] = Tensor::scalar(0, dtype);
        try {
          s.apply(inputs);
          ADD_FAILURE() << op.name << ", sample " << s.name << ": took a scalar of " << name_of(dtype) << " as input " << i;
        } catch (const Error& e) {
          EXPECT_EQ(std::string(e.what()).rfind(op.name, 0), 0u) << "a message begins with the op's name: " << e.what();
        }
      }
    }
}

void expect_same_bits(const Outcome& actual, const Outcome& expected, const std::string& what) {
  for (std::size_t k = 0; k < expected.outputs.size(); ++k)
    EXPECT_TRUE(actual.outputs[k].to_vector() == expected.outputs[k].to_vector()) << "output " << k << ", " << what;
  for (std::size_t i = 0; i < expected.gradients.size(); ++i)
    EXPECT_TRUE(actual.gradients[i] == expected.gradients[i]) << "gradient of input " << i << ", " << what;
}

void check_repetition(const Case& s) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    if ((dtype == DType::f32 && !s.f32) || (dtype == DType::bf16 && !s.bf16)) continue;
    const std::vector<Tensor> inputs = convert(s.inputs, dtype);
    const Outcome first = run_both(s, inputs), second = run_both(s, inputs);
    expect_same_bits(second, first, std::string(name_of(dtype)));
  }
}

std::int64_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

/// How many threads there are when those that have ended are gone: one is listed for a moment longer. Stops looking at `expected`.
std::int64_t threads_that_stay(std::int64_t expected) {
  std::int64_t fewest = threads_of_this_process();
  for (int attempt = 0; attempt < 500 && fewest > expected; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    fewest = std::min(fewest, threads_of_this_process());
  }
  return fewest;
}

/// Ends the threads that wait for work; how many there are then.
std::int64_t threads_without_pool() {
  omp_pause_resource_all(omp_pause_soft);
  return threads_that_stay(1);
}

class ScopedThreads {
 public:
  explicit ScopedThreads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~ScopedThreads() { omp_set_num_threads(before_); }
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

 private:
  int before_;
};

/// One thread and several compute the right numbers; the same bits again and again, and, where the op promises it, the same bits as one
/// thread. Only a sample that does start threads tells.
void check_threads(const Case& s) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    if (dtype == DType::f32 ? !s.f32 : !s.bf16) continue;
    SCOPED_TRACE(name_of(dtype));
    const std::vector<Tensor> inputs = convert(s.inputs, dtype);
    const auto with_threads = [&](int count) {
      const ScopedThreads threads(count);
      return run_both(s, inputs);
    };
    const Outcome one = with_threads(1), expected = run_both(s, convert(inputs, DType::f64));
    const double tolerance = dtype == DType::f32 ? s.f32_tolerance : s.bf16_tolerance;
    expect_close(one, expected, tolerance, 1e-12);
    const std::int64_t before = threads_without_pool();
    for (const int count : {2, 3}) {
      const Outcome several = with_threads(count);
      const std::int64_t started = s.threads ? count - 1 : 0;
      EXPECT_EQ(threads_that_stay(before + started) - before, started) << "threads started; one that a smaller region let go has ended";
      const std::string what = std::to_string(count) + " threads";
      if (s.same_bits) {
        expect_same_bits(several, one, what);
      } else {
        expect_close(several, expected, tolerance, 1e-12);
        expect_same_bits(with_threads(count), several, what + " again");
      }
    }
  }
}

/// The gradients of parameters in bf16 are f32 sums, by both back ends: not all of them are numbers that bf16 has too.
void check_parameters(const Case& s) {
  for (const kernels::Backend backend : {kernels::Backend::fast, kernels::Backend::reference}) {
    const kernels::ScopedBackend scoped(backend);
    const Outcome outcome = run_both(s, convert(s.inputs, DType::bf16));
    for (const std::size_t i : s.parameters) {
      EXPECT_EQ(outcome.types[i], DType::f32) << "gradient of input " << i;
      EXPECT_TRUE(std::ranges::any_of(outcome.gradients[i],
                                      [](double v) {
                                        const auto wide = static_cast<float>(v);
                                        return float{bfloat16(wide)} != wide;
                                      }))
          << "gradient of input " << i << " was rounded to bf16";
    }
  }
}

void check_message(const BadCase& s, const std::string& op) {
  try {
    s.apply(s.inputs);
    FAIL() << op << " took the bad input";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(s.message), std::string::npos)
        << "the message was: " << e.what() << "\nexpected in it: " << s.message;
    EXPECT_EQ(std::string(e.what()).rfind(op, 0), 0u) << "a message begins with the op's name: " << e.what();
  }
}

class FunctionTest : public ::testing::Test {
 public:
  explicit FunctionTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const std::string& op, const std::string& check, std::function<void()> body) {
  ::testing::RegisterTest(("op_" + op).c_str(), check.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [body = std::move(body)]() -> ::testing::Test* { return new FunctionTest(body); });
}

}  // namespace

void register_op(const Op& op) {
  registered_ops().insert(op.name);
  const auto add_check = [&](const std::string& name, void (*check)(const Case&)) {
    add_test(op.name, name, [op, check] {
      const std::vector<Case> cases = op.good();
      ASSERT_FALSE(cases.empty()) << op.name << " has no samples";
      for (const Case& s : cases) {
        SCOPED_TRACE(op.name + ", sample " + s.name);
        check(s);
        if (::testing::Test::HasFatalFailure()) return;
      }
    });
  };
  if (op.differentiable) {
    add_check("gradient", check_gradient);
    add_check("needs", check_needs);
    add_check("accumulation", check_accumulation);
  }
  add_check("f32", [](const Case& s) {
    if (s.f32) check_precision(s, DType::f32);
  });
  add_check("bf16", [](const Case& s) {
    if (s.bf16) check_precision(s, DType::bf16);
  });
  add_check("layouts", check_layouts);
  add_check("constants", check_constants);
  add_test(op.name, "scalars", [op] { check_scalars(op); });
  add_check("repetition", check_repetition);
  add_test(op.name, "threads", [op] { check_threads(op.large()); });
  if (!op.parameters.empty()) add_test(op.name, "parameters", [op] { check_parameters(op.large()); });
  add_test(op.name, "messages", [op] {
    const std::vector<BadCase> cases = op.bad();
    ASSERT_FALSE(cases.empty()) << op.name << " has no bad samples";
    for (const BadCase& s : cases) {
      SCOPED_TRACE(op.name + ", bad sample " + s.name);
      check_message(s, op.name);
    }
  });
}

}  // namespace detail

Tensor uniform(const Shape& shape, double low, double high, std::uint64_t seed) {
  Rng rng(random_key(seed, "samples"));
  Tensor t(shape, DType::f64);
  for (double& v : t.span<double>()) v = rng.uniform(low, high);
  return t;
}

Tensor some_indices(const Shape& shape, std::int64_t size) {
  Tensor t(shape, DType::i64);
  std::int64_t i = 0;
  for (std::int64_t& v : t.span<std::int64_t>()) v = (i % 3 == 0 ? i : i * i) % size, ++i;
  return t;
}

Tensor convert(const Tensor& t, DType dtype) {
  if (!t.defined() || !is_floating(t.dtype())) return t;
  const std::vector<double> values = t.to_vector();
  Tensor out(t.shape(), dtype);
  dispatch_floating("convert", dtype, [&](auto zero) {
    using T = decltype(zero);
    std::ranges::transform(values, out.span<T>().begin(), [](double v) {
      if constexpr (std::is_same_v<T, bfloat16>)
        return bfloat16(static_cast<float>(v));
      else
        return static_cast<T>(v);
    });
  });
  return out;
}

std::vector<Tensor> convert(const std::vector<Tensor>& list, DType dtype) {
  std::vector<Tensor> out;
  for (const Tensor& t : list) out.push_back(convert(t, dtype));
  return out;
}

std::vector<double> dense_values(const Gradient& g) {
  if (!g.is_sparse()) return g.to_dense().to_vector();
  std::vector<double> out(static_cast<std::size_t>(g.shape().numel()), 0.0);
  const std::vector<double> rows = g.row_values().to_vector(), indices = g.indices().to_vector();
  const std::size_t width = indices.empty() ? 0 : rows.size() / indices.size();
  for (std::size_t i = 0; i < indices.size(); ++i)
    for (std::size_t j = 0; j < width; ++j) out[static_cast<std::size_t>(indices[i]) * width + j] += rows[i * width + j];
  return out;
}

std::set<std::string>& registered_ops() {
  static std::set<std::string> names;
  return names;
}

}  // namespace capstan::testing
