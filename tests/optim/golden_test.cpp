// A hundred steps against PyTorch; the file is made by tests/goldens/make_optim.py.
#include <gtest/gtest.h>

#include "autograd/kernels/backend.h"
#include "data/hdf5/hdf5.h"
#include "tests/close.h"
#include "tests/optim/samples.h"

namespace capstan::optim {
namespace {

const data::Hdf5Reader& goldens() {
  static const data::Hdf5Reader reader(CAPSTAN_SOURCE_DIR "/tests/goldens/optim.h5", {.require_seal = false});
  return reader;
}

Tensor as(const Tensor& t, DType dtype) {
  if (dtype == DType::f64) return t.contiguous().clone();
  const std::vector<double> values = t.to_vector();
  return Tensor::from(std::vector<float>(values.begin(), values.end()), t.shape());
}
Tensor part(const Tensor& t, std::int64_t step) { return t.view(*t.layout().slice(0, step, 1).reshape(t.shape().without(0))); }

struct Case {
  std::string name;
  double learning_rate;
  MakeOptimizer make;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Golden : public ::testing::TestWithParam<Case> {
 protected:
  void run(DType dtype, bool sparse, double tolerance) {
    const std::string group = sparse ? "/sparse/" : "/dense/";
    const Tensor gradients = goldens().read("/gradients"), indices = goldens().read("/indices"), rows = goldens().read("/rows");
    const Tensor expected = goldens().read(group + GetParam().name);
    const Parameter p{"p", as(goldens().read("/start"), dtype), {.sparse_gradient = sparse}};
    const auto optimizer = GetParam().make({&p, 1});
    for (std::int64_t step = 0; step < 100; ++step) {
      const Gradient g = sparse ? Gradient::rows(part(indices, step).contiguous(), as(part(rows, step), dtype), p.value().shape())
                                : Gradient(as(part(gradients, step), dtype));
      optimizer->step({&g, 1}, GetParam().learning_rate);
      if (step % 10 != 9) continue;
      expect_close(p.value().to_vector(), part(expected, step / 10).to_vector(), tolerance, "step " + std::to_string(step));
      if (HasFatalFailure()) return;
    }
  }
  void run_all(bool sparse) {
    run(DType::f64, sparse, 1e-12);
    run(DType::f32, sparse, 2e-5);
    const kernels::ScopedBackend reference(kernels::Backend::reference);
    run(DType::f32, sparse, 2e-5);
  }
};

class DenseGolden : public Golden {};
TEST_P(DenseGolden, FollowsPyTorch) { run_all(false); }
INSTANTIATE_TEST_SUITE_P(
    Optimizers, DenseGolden,
    ::testing::Values(
        Case{"sgd", .05, maker<Sgd>(SgdOptions{})}, Case{"sgd_decay", .05, maker<Sgd>(SgdOptions{.weight_decay = .1})},
        Case{"momentum", .05, maker<Sgd>(SgdOptions{.momentum = .9, .weight_decay = .1})},
        Case{"nesterov", .05, maker<Sgd>(SgdOptions{.momentum = .9, .nesterov = true, .weight_decay = .1})},
        Case{"adam", .01, maker<Adam>(AdamOptions{})},
        Case{"adam_l2", .01, maker<Adam>(AdamOptions{.beta1 = .8, .beta2 = .98, .epsilon = 1e-3, .weight_decay = .1})},
        Case{"adamw", .01, maker<AdamW>(AdamWOptions{.beta2 = .98, .epsilon = 1e-6, .weight_decay = .1})},
        Case{"adagrad", .05, maker<Adagrad>(AdagradOptions{.epsilon = 1e-3, .placement = AdagradEpsilon::outside_root})},
        Case{"adagrad_decay", .05,
             maker<Adagrad>(AdagradOptions{
                 .epsilon = 1e-10, .placement = AdagradEpsilon::outside_root, .weight_decay = .1, .initial_accumulator = .1})}),
    [](const auto& test) { return test.param.name; });

class SparseGolden : public Golden {};
TEST_P(SparseGolden, FollowsPyTorch) { run_all(true); }
INSTANTIATE_TEST_SUITE_P(
    Optimizers, SparseGolden,
    ::testing::Values(Case{"adam_lazy", .01,
                           maker<Adam>(AdamOptions{
                               .beta2 = .98, .epsilon = 1e-3, .placement = AdamEpsilon::before_correction, .sparse = SparsePolicy::lazy})},
                      Case{"adagrad", .05, maker<Adagrad>(AdagradOptions{.epsilon = 1e-3, .placement = AdagradEpsilon::outside_root})},
                      Case{"sgd", .05, maker<Sgd>(SgdOptions{})}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace capstan::optim
