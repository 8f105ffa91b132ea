#pragma once
// One case of a file in tests/goldens: a layer of PyTorch with weights, inputs, output and all gradients (see make_nn.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "autograd/tape/tape.h"
#include "data/hdf5/hdf5.h"
#include "nn/parameter_store.h"
#include "tests/close.h"

namespace capstan::nn {

inline void set_values(const Tensor& to, const std::vector<double>& values) {
  ASSERT_EQ(static_cast<std::size_t>(to.numel()), values.size());
  dispatch_floating("test", to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, double>) {
        to.data<T>()[i] = values[i];
      } else {
        to.data<T>()[i] = T(static_cast<float>(values[i]));
      }
    }
  });
}

using capstan::expect_close;
using capstan::expect_rounded;

inline Tensor dense(const Gradient& g, DType dtype) {
  if (!g.is_sparse()) return g.dense();
  std::vector<double> sum(static_cast<std::size_t>(g.shape().numel()));
  const std::vector<double> indices = g.indices().to_vector(), rows = g.row_values().to_vector();
  const std::size_t width = rows.size() / indices.size();
  for (std::size_t i = 0; i < indices.size(); ++i)
    for (std::size_t j = 0; j < width; ++j) sum[static_cast<std::size_t>(indices[i]) * width + j] += rows[i * width + j];
  Tensor t(g.shape(), dtype);
  set_values(t, sum);
  return t;
}

class Golden {
 public:
  /// `set` names the file tests/goldens/<set>.h5.
  Golden(const std::string& name, DType dtype, const std::string& set = "nn") : set_(set), prefix_("/" + name + "/"), dtype_(dtype) {
    for (const data::Hdf5Entry& e : file().entries())
      if (e.name.starts_with(prefix_ + "input/")) {
        const Tensor stored = file().read(e.name);
        const bool integer = stored.dtype() == DType::i64;
        inputs_.emplace(e.name.substr(prefix_.size() + 6), integer ? stored : make_leaf(as_floating(stored)));
      }
  }

  const Tensor& input(const std::string& name) const { return inputs_.at(name); }
  Tensor mask(const std::string& name) const {
    const Tensor stored = file().read(prefix_ + "mask/" + name);
    return stored.dtype() == DType::u8 ? stored : as_floating(stored);
  }
  bool has_mask(const std::string& name) const {
    return std::ranges::any_of(file().entries(), [&](const data::Hdf5Entry& e) { return e.name == prefix_ + "mask/" + name; });
  }
  std::vector<double> values(const std::string& name) const { return file().read(prefix_ + name).to_vector(); }

  /// Gives the store the case's parameters; the names must be the same set.
  void load(ParameterStore& store) const {
    std::size_t stored = 0;
    for (const data::Hdf5Entry& e : file().entries()) stored += e.name.starts_with(prefix_ + "parameter/") ? 1 : 0;
    EXPECT_EQ(stored, store.parameters().size());
    for (const Parameter& p : store.parameters()) set_values(p.write(), values("parameter/" + p.name()));
  }

  /// Runs `forward` on a tape and compares its output and the gradients of all parameters and inputs, each by its own magnitude.
  template <class Forward>
  void expect(ParameterStore& store, double tolerance, Forward&& forward) const {
    load(store);
    Tape tape;
    const Tensor output = forward();
    expect_close(output.to_vector(), values("output"), tolerance, prefix_ + "output");
    const Tensor cotangent = as_floating(file().read(prefix_ + "cotangent"));
    const Gradients gradients = tape.backward(std::span(&output, 1), std::span(&cotangent, 1));
    std::map<std::string, Gradient> actual;
    for (const Parameter& p : store.parameters()) actual.emplace("parameter/" + p.name(), gradients.of(p.value()));
    for (const auto& [name, x] : inputs_)
      if (is_floating(x.dtype())) actual.emplace("input/" + name, gradients.of(x));
    // Some gradients are zero but for rounding, such as that of the bias of attention's keys: what is left is that of the largest ones.
    double largest = 0;
    for (const auto& [name, g] : actual) largest = std::max(largest, magnitude(values("gradient/" + name)));
    const double rounding = 16 * largest * (dtype_ == DType::f64 ? 0x1p-52 : 0x1p-23);
    for (const auto& [name, g] : actual) {
      ASSERT_TRUE(g.defined()) << prefix_ << name << " has no gradient";
      expect_close(dense(g, dtype_).to_vector(), values("gradient/" + name), tolerance, prefix_ + "gradient/" + name, rounding);
    }
  }

 private:
  const data::Hdf5Reader& file() const {
    static std::map<std::string, data::Hdf5Reader> readers;
    const auto known = readers.find(set_);
    if (known != readers.end()) return known->second;
    return readers.emplace(set_, data::Hdf5Reader(CAPSTAN_SOURCE_DIR "/tests/goldens/" + set_ + ".h5", {.require_seal = false}))
        .first->second;
  }
  Tensor as_floating(const Tensor& stored) const {
    Tensor t(stored.shape(), dtype_);
    set_values(t, stored.to_vector());
    return t;
  }

  std::string set_, prefix_;
  DType dtype_;
  std::map<std::string, Tensor> inputs_;
};

/// Runs test(dtype, tolerance) in f64 and f32.
template <class Test>
void in_both_precisions(Test&& test) {
  test(DType::f64, 1e-11);
  test(DType::f32, 3e-5);
}

}  // namespace capstan::nn
