// The fast update kernels against the reference ones, on sizes that reach every path: vector remainders, pieces of long rows, threads.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/kernels/optimizer_update.h"
#include "optim/coalesce.h"

namespace capstan::kernels {
namespace {

std::vector<float> noise(std::int64_t n, std::uint64_t seed, double low = -1) {
  Rng rng(seed);
  std::vector<float> out;
  for (std::int64_t i = 0; i < n; ++i) out.push_back(static_cast<float>(rng.uniform(low, 1)));
  return out;
}

struct Case {
  std::int64_t table, width, named;  ///< named = 0: dense
  bool all_rows;
};
struct Buffers {
  explicit Buffers(const Case& c)
      : value(noise(c.table * c.width, 1)),
        first(noise(c.table * c.width, 2)),
        second(noise(c.table * c.width, 3, 0)),
        gradient(noise((c.named > 0 ? c.named : c.table) * c.width, 4)) {
    for (std::int64_t i = 0; i < c.named; ++i) rows.push_back((i * 7 + 3) % c.table);
    from.assign(static_cast<std::size_t>(c.table), -1);
    for (std::size_t i = 0; i < rows.size(); ++i) from[static_cast<std::size_t>(rows[i])] = static_cast<std::int32_t>(i);
    tensor = {value.data(), first.data(), second.data(), gradient.data(), 1, c.table * c.width, nullptr, nullptr, 0.1};
    if (c.named > 0) {
      tensor.count = c.all_rows ? c.table : c.named;
      tensor.width = c.width;
      if (c.all_rows) {
        tensor.gradient_row = from.data();
      } else {
        tensor.rows = rows.data();
      }
    }
  }
  std::vector<float> value, first, second, gradient;
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> from;
  UpdateTensor<float> tensor;
};

template <class Update>
void expect_equal_results(const Update& update, bool with_first = true) {
  for (const Case& c : {Case{1, 1, 0, false}, Case{1, 17, 0, false}, Case{3, 100003, 0, false}, Case{1000, 50, 99, false},
                        Case{1000, 50, 99, true}, Case{9000, 1, 8999, false}, Case{2000, 3, 1999, false}, Case{500, 16, 499, false},
                        Case{500, 17, 499, false}, Case{40, 8195, 5, false}, Case{9, 8195, 2, true}, Case{5, 0, 2, true}}) {
    Buffers fast(c), slow(c);
    if (!with_first) fast.tensor.first = slow.tensor.first = nullptr;
    update(std::span<const UpdateTensor<float>>(&fast.tensor, 1));
    const ScopedBackend reference(Backend::reference);
    update(std::span<const UpdateTensor<float>>(&slow.tensor, 1));
    for (const auto& [f, s] :
         {std::pair(&fast.value, &slow.value), std::pair(&fast.first, &slow.first), std::pair(&fast.second, &slow.second)})
      for (std::size_t i = 0; i < f->size(); ++i)
        ASSERT_NEAR((*f)[i], (*s)[i], 3e-6 * (1 + std::abs((*s)[i])))
            << c.table << " x " << c.width << ", " << c.named << ", element " << i;
  }
}

TEST(UpdateKernels, AgreeWithTheReference) {
  for (const bool flag : {false, true}) {
    expect_equal_results([&](auto t) { sgd_update(t, {.scale = .5, .learning_rate = .1, .momentum = .9, .nesterov = flag}); });
    expect_equal_results([&](auto t) { sgd_update(t, {.scale = .5, .learning_rate = .1}); }, false);
    expect_equal_results(
        [&](auto t) { adam_update(t, {.scale = .5, .step_size = .1, .root_scale = 2, .epsilon = 1e-3, .decay_rate = .1, .l2 = flag}); });
    expect_equal_results(
        [&](auto t) { adagrad_update(t, {.scale = .5, .learning_rate = .1, .momentum = .5, .epsilon = 1e-3, .epsilon_inside = flag}); });
    expect_equal_results([&](auto t) { adagrad_update(t, {.scale = .5, .learning_rate = .1, .epsilon = 1e-3, .epsilon_inside = flag}); },
                         false);
  }
}

TEST(UpdateKernels, MovingAverageAgreesWithTheReference) {
  for (const std::int64_t n : {1, 17, 100003}) {
    Buffers fast({1, n, 0, false}), slow({1, n, 0, false});
    average_update(std::span<const UpdateTensor<float>>(&fast.tensor, 1), 0.25);
    const ScopedBackend reference(Backend::reference);
    average_update(std::span<const UpdateTensor<float>>(&slow.tensor, 1), 0.25);
    for (std::size_t i = 0; i < fast.value.size(); ++i) EXPECT_NEAR(fast.value[i], slow.value[i], 2e-7f) << n << ", element " << i;
    EXPECT_NE(fast.value, noise(n, 1));
  }
}

TEST(UpdateKernels, DoNotDependOnHowTensorsAreGrouped) {
  const Case sizes[] = {{1, 70001, 0, false}, {1000, 50, 99, true}, {1, 33, 0, false}};
  std::vector<Buffers> together, apart;
  std::vector<UpdateTensor<float>> list;
  for (const Case& c : sizes) together.emplace_back(c), apart.emplace_back(c);
  for (std::size_t i = 0; i < 3; ++i) {
    list.push_back(together[i].tensor);
    adam_update({&apart[i].tensor, 1}, {.step_size = .1});
  }
  adam_update(list, {.step_size = .1});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(together[i].value, apart[i].value);
}

// Clipping and the update both ask for it: the second time costs nothing.
TEST(Rows, AreCoalescedOnce) {
  const Gradient g = Gradient::rows(Tensor::from<std::int64_t>({3, 1, 3}, Shape{3}), Tensor::from<float>({1, 2, 4}, Shape{3, 1}), Shape{5, 1});
  EXPECT_FALSE(g.has_unique_rows());
  const Gradient once = optim::coalesced(g), twice = optim::coalesced(once);
  EXPECT_TRUE(once.has_unique_rows());
  EXPECT_EQ(once.indices().to_vector(), (std::vector<double>{3, 1}));
  EXPECT_EQ(once.row_values().to_vector(), (std::vector<double>{5, 2}));
  EXPECT_EQ(twice.row_values().data<const float>(), once.row_values().data<const float>());
  EXPECT_EQ(twice.indices().data<const std::int64_t>(), once.indices().data<const std::int64_t>());
}

TEST(Rows, CoalesceInTheOrderOfFirstOccurrence) {
  const std::vector<std::int64_t> indices{4, 1, 4, 0, 1, 4};
  std::vector<std::int64_t> unique(6), position(6);
  for (int repeat = 0; repeat < 2; ++repeat) {  // the scratch memory is clean again
    ASSERT_EQ(coalesce(indices, 5, unique, position), 3);
    EXPECT_EQ(std::vector<std::int64_t>(unique.begin(), unique.begin() + 3), (std::vector<std::int64_t>{4, 1, 0}));
    EXPECT_EQ(position, (std::vector<std::int64_t>{0, 1, 0, 2, 1, 0}));
    EXPECT_THROW(coalesce(indices, 4, unique, position), ShapeError);
  }
  const std::vector<std::int64_t> negative{0, -1};
  EXPECT_THROW(coalesce(negative, 4, unique, position), ShapeError);
  EXPECT_EQ(coalesce({}, 4, unique, position), 0);
}

TEST(Rows, SumAgreesWithTheReferenceAboveTheThreadThreshold) {
  constexpr std::int64_t n = 3000, width = 37;
  std::vector<std::int64_t> indices, unique(n), position(n);
  Rng rng(1);
  for (std::int64_t i = 0; i < n; ++i) indices.push_back(static_cast<std::int64_t>(rng.below(500)));
  const std::int64_t count = coalesce(indices, 500, unique, position);
  const std::vector<float> rows = noise(n * width, 2);
  std::vector<float> fast(static_cast<std::size_t>(count * width)), slow(fast);
  sum_rows(rows.data(), position, count, width, fast.data());
  const ScopedBackend reference(Backend::reference);
  sum_rows(rows.data(), position, count, width, slow.data());
  EXPECT_EQ(fast, slow);  // both add in the order of occurrence
}

}  // namespace
}  // namespace capstan::kernels
