// Every update rule in both loops, on sizes that reach every path: vector remainders, pieces of long rows, narrow rows, threads.
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"
#include "autograd/kernels/optimizer_update.h"
#include "tests/optim/samples.h"

namespace capstan::kernels {
namespace {

template <class T>
std::vector<T> noise(std::int64_t n, std::uint64_t seed, double low = -1) {
  Rng rng(seed);
  std::vector<T> out;
  for (std::int64_t i = 0; i < n; ++i) out.push_back(T(static_cast<float>(rng.uniform(low, 1))));
  return out;
}

struct Case {
  std::int64_t table, width, named;  ///< named = 0: dense
  bool all_rows;
};
const Case kCases[] = {{1, 1, 0, false},      {1, 17, 0, false},      {3, 100003, 0, false},  {1000, 50, 99, false},
                       {1000, 50, 99, true},  {9000, 1, 8999, false}, {2000, 3, 1999, false}, {500, 16, 499, false},
                       {500, 17, 499, false}, {40, 8195, 5, false},   {9, 8195, 2, true},     {5, 0, 2, true}};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.table << " x " << c.width << ", " << c.named << " rows named" << (c.all_rows ? ", all updated" : "");
}

/// One tensor of a case, with state; the second moment is positive.
template <class T>
struct Buffers {
  explicit Buffers(const Case& c)
      : value(noise<T>(c.table * c.width, 1)),
        moments{noise<T>(c.table * c.width, 2, 0), noise<T>(c.table * c.width, 3, 0)},
        gradient(noise<T>((c.named > 0 ? c.named : c.table) * c.width, 4)),
        shadow(value.size(), bfloat16(99)) {
    for (std::int64_t i = 0; i < c.named; ++i) rows.push_back((i * 7 + 3) % c.table);
    from.assign(static_cast<std::size_t>(c.table), -1);
    for (std::size_t i = 0; i < rows.size(); ++i) from[static_cast<std::size_t>(rows[i])] = static_cast<std::int32_t>(i);
    const bool dense = c.named == 0;
    tensor = {.value = value.data(),
              .moments = {moments[0].data(), moments[1].data()},
              .gradient = gradient.data(),
              .count = dense        ? 1
                       : c.all_rows ? c.table
                                    : c.named,
              .width = dense ? c.table * c.width : c.width,
              .rows = dense || c.all_rows ? nullptr : rows.data(),
              .gradient_row = dense || !c.all_rows ? nullptr : from.data(),
              .options = {.weight_decay = .1}};
  }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  template <class Rule>
  bool run(const Rule& rule) {
    return update(std::span<const UpdateTensor<T>>(&tensor, 1), rule, .5);
  }
  bool is_visited(std::size_t element) const {
    if (tensor.rows == nullptr) return true;
    return from[element / static_cast<std::size_t>(tensor.width)] >= 0;
  }

  std::vector<T> value;
  std::array<std::vector<T>, kMaxMoments> moments;
  std::vector<T> gradient;
  std::vector<bfloat16> shadow;
  std::vector<std::int64_t> rows;
  std::vector<std::int32_t> from;
  UpdateTensor<T> tensor;
};

template <class Rule>
class EveryRule : public ::testing::Test {
 protected:
  static Rule rule(double learning_rate = .1) { return optim::Samples<Rule>::rule(learning_rate); }

  /// f() with the fast and with the plain loop of f32.
  template <class F>
  static void on_both_backends(const F& f) {
    f();
    const ScopedBackend reference(Backend::reference);
    f();
  }
};
TYPED_TEST_SUITE(EveryRule, optim::RuleTypes<UpdateRule>::type, optim::RuleNames);

TYPED_TEST(EveryRule, AgreesWithTheOracle) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::PrintToString(c));
    Buffers<double> oracle(c);
    oracle.run(this->rule());
    const auto expect_near = [](const std::vector<float>& actual, const std::vector<double>& expected) {
      for (std::size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], 3e-6 * (1 + std::abs(expected[i]))) << "element " << i;
    };
    this->on_both_backends([&] {
      Buffers<float> buffers(c);
      buffers.run(this->rule());
      expect_near(buffers.value, oracle.value);
      for (std::size_t k = 0; k < kMaxMoments; ++k) expect_near(buffers.moments[k], oracle.moments[k]);
    });
  }
}

TYPED_TEST(EveryRule, DoesNotDependOnTheNumberOfThreads) {
  const int before = omp_get_max_threads();
  for (const Case& c : {Case{3, 100003, 0, false}, Case{60000, 1, 59999, false}, Case{4000, 17, 3999, false}, Case{4000, 33, 999, true}}) {
    SCOPED_TRACE(::testing::PrintToString(c));
    Buffers<float> one(c), several(c);
    omp_set_num_threads(1);
    one.run(this->rule());
    omp_set_num_threads(3);
    several.run(this->rule());
    EXPECT_EQ(one.value, several.value);
    EXPECT_EQ(one.moments, several.moments);
    EXPECT_NE(one.value, noise<float>(c.table * c.width, 1));
  }
  omp_set_num_threads(before);
}

TYPED_TEST(EveryRule, TellsOfAValueThatIsNotFinite) {
  for (const Case& c : kCases) {
    if (c.width == 0) continue;
    for (const Backend backend : {Backend::fast, Backend::reference}) {
      const ScopedBackend scoped(backend);
      Buffers<float> b(c);
      EXPECT_TRUE(b.run(this->rule())) << testing::PrintToString(c);
      // The last visited element; others of the table are not looked at.
      for (std::size_t e = b.value.size(); e-- > 0;)
        if (b.is_visited(e)) {
          for (const float wrong : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
            b.value[e] = wrong;
            EXPECT_FALSE(b.run(this->rule())) << testing::PrintToString(c) << ", element " << e;
          }
          break;
        }
    }
  }
}

TYPED_TEST(EveryRule, DoesNotDependOnHowTensorsAreGrouped) {
  const Case cases[] = {{1, 70001, 0, false}, {1000, 50, 99, true}, {1, 33, 0, false}};
  Buffers<float> together[] = {Buffers<float>(cases[0]), Buffers<float>(cases[1]), Buffers<float>(cases[2])};
  std::vector<UpdateTensor<float>> list;
  for (const Buffers<float>& b : together) list.push_back(b.tensor);
  update(std::span<const UpdateTensor<float>>(list), this->rule(), .5);
  for (std::size_t i = 0; i < 3; ++i) {
    Buffers<float> apart(cases[i]);
    apart.run(this->rule());
    EXPECT_EQ(together[i].value, apart.value);
    EXPECT_EQ(together[i].moments, apart.moments);
  }
}

TYPED_TEST(EveryRule, UpdatesPartsOfWholeGrainsToTheBitsOfTheWhole) {
  for (const std::int64_t rest : {0, 1, 5, 8, 15, 16, 17, 31, 63}) {
    for (const std::int64_t grains : {1, 2, 127, 128, 129, 300}) {
      const Case c{1, grains * kUpdateGrain + rest, 0, false};
      SCOPED_TRACE(::testing::PrintToString(c));
      this->on_both_backends([&] {
        Buffers<float> whole(c), parts(c);
        whole.run(this->rule());
        for (const auto& [begin, end] :
             {std::pair<std::int64_t, std::int64_t>{0, grains / 3}, {grains / 3, grains - 1}, {grains - 1, grains}}) {
          UpdateTensor<float> part = parts.tensor;
          const std::int64_t at = begin * kUpdateGrain;
          part.value += at;
          part.gradient += at;
          for (float*& moment : part.moments) moment += at;
          part.width = end == grains ? c.width - at : (end - begin) * kUpdateGrain;
          update(std::span<const UpdateTensor<float>>(&part, 1), this->rule(), .5);
        }
        EXPECT_EQ(parts.value, whole.value);
        EXPECT_EQ(parts.moments, whole.moments);
      });
    }
  }
}

TYPED_TEST(EveryRule, LetsNotANumberThrough) {                     // it must be seen, not hidden by a fast loop
  for (const std::size_t bad : {std::size_t{5}, std::size_t{39}})  // in the body of the vectorised loop and at its end
    this->on_both_backends([&] {
      Buffers<float> buffers({1, 40, 0, false});
      buffers.gradient[bad] = std::numeric_limits<float>::quiet_NaN();
      for (int step = 0; step < 3; ++step) {
        buffers.run(this->rule());
        for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(buffers.value[i]), i == bad) << "step " << step << ", element " << i;
        buffers.gradient[bad] = 1;  // it stays
      }
    });
}

TYPED_TEST(EveryRule, ScalesItsLearningRateByParameter) {
  const Case c{60, 17, 29, true};
  this->on_both_backends([&] {
    Buffers<float> scaled(c), half(c), whole(c);
    scaled.tensor.options.learning_rate_scale = .5;
    scaled.run(this->rule(.1));
    half.run(this->rule(.05));
    whole.run(this->rule(.1));
    EXPECT_EQ(scaled.value, half.value);
    EXPECT_EQ(scaled.moments, half.moments);
    if (!optim::Samples<TypeParam>::optimizers().empty()) {
      EXPECT_NE(scaled.value, whole.value);
    }
  });
}

TYPED_TEST(EveryRule, RefreshesTheShadowOfWhatItVisits) {
  const auto expect_shadow = [&]<class T>(const Case& c) {
    SCOPED_TRACE(::testing::PrintToString(c));
    Buffers<T> with(c), without(c);
    with.tensor.shadow = with.shadow.data();
    with.run(this->rule());
    without.run(this->rule());
    EXPECT_EQ(with.value, without.value);
    EXPECT_EQ(with.moments, without.moments);
    for (std::size_t i = 0; i < with.value.size(); ++i)
      ASSERT_EQ(with.shadow[i].bits, bfloat16(with.is_visited(i) ? static_cast<float>(with.value[i]) : 99.0f).bits) << "element " << i;
  };
  for (const Case& c : kCases) {
    if (c.table * c.width > 100000) continue;  // long rows and threads are reached without
    this->on_both_backends([&] { expect_shadow.template operator()<float>(c); });
    expect_shadow.template operator()<double>(c);
  }
}

TYPED_TEST(EveryRule, RefusesATensorWithoutItsState) {
  for (std::size_t k = 0; k < TypeParam::moments; ++k) {
    Buffers<float> buffers({1, 17, 0, false});
    buffers.tensor.moments[k] = nullptr;
    EXPECT_THROW(buffers.run(this->rule()), InternalError);
    EXPECT_EQ(buffers.value, noise<float>(17, 1));
  }
}

// ---- missed steps of Adam ----

TEST(ApplyRule, NeitherReadsNorWritesTheMomentsOfRowsAtRest) {
  const float never = std::numeric_limits<float>::quiet_NaN();
  constexpr std::int64_t kWidths[] = {5, 384, 20000};
  for (const Backend backend : {Backend::fast, Backend::reference})
    for (const std::int64_t width : kWidths) {
      const ScopedBackend scope(backend);
      const auto n = static_cast<std::size_t>(width);
      std::vector<float> value(3 * n, 2.0f), first(3 * n, never), second(3 * n, never), gradient(n, 1.0f);
      std::fill_n(first.begin() + width, n, 0.0f);
      std::fill_n(second.begin() + width, n, 0.0f);
      const std::int32_t rows[] = {kAtRest, 0, kAtRest};
      const UpdateTensor<float> tensor{.value = value.data(),
                                       .moments = {first.data(), second.data()},
                                       .gradient = gradient.data(),
                                       .count = 3,
                                       .width = width,
                                       .gradient_row = rows,
                                       .options = {.weight_decay = .5}};
      for (int step = 0; step < 2; ++step)
        update(std::span(&tensor, 1), rules::Adam{.epsilon = 1e-8, .step_size = .125, .l2 = 0, .decay_rate = .5});
      for (std::size_t i = 0; i < 3 * n; ++i) {
        const bool named = i / n == 1;
        ASSERT_EQ(named, value[i] != 2.0f * .75f * .75f) << "element " << i;
        ASSERT_EQ(named, !std::isnan(first[i]) && !std::isnan(second[i])) << "element " << i;
        ASSERT_FALSE(std::isnan(value[i]));
      }
    }
}

TEST(AdamCatchUp, AgreesWithTheOracleAndRefreshesTheShadow) {
  constexpr std::int64_t table = 40, width = 1037;  // above the threshold of threads
  const rules::Adam rule{.beta2 = .98, .epsilon = 1e-3};
  const std::vector<rules::AdamMissedStep> history{{.1, 2}, {.05, 1.5}, {.2, 1.25}};
  const auto run = [&]<class T>(Buffers<T>& b, bool with_shadow, double learning_rate_scale) {
    std::vector<AdamMissedRow<T>> missed;
    for (std::int64_t r = 0; r < table; r += 2) {
      const std::int64_t at = r * width;
      missed.push_back({.value = b.value.data() + at,
                        .first = b.moments[0].data() + at,
                        .second = b.moments[1].data() + at,
                        .steps = std::span(history).subspan(static_cast<std::size_t>(r % 4)),
                        .idle = r % 3,
                        .learning_rate_scale = learning_rate_scale,
                        .shadow = with_shadow ? b.shadow.data() + at : nullptr});
    }
    adam_catch_up(std::span<const AdamMissedRow<T>>(missed), width, rule);
  };
  const Case c{table, width, 0, false};
  Buffers<double> oracle(c);
  run(oracle, true, .5);
  const auto expect_fits_oracle = [&] {
    Buffers<float> b(c), plain(c), whole(c);
    run(b, true, .5);
    run(plain, false, .5);
    run(whole, false, 1);
    EXPECT_EQ(b.value, plain.value);
    EXPECT_NE(b.value, whole.value);
    EXPECT_EQ(b.moments, whole.moments);
    for (std::size_t i = 0; i < b.value.size(); ++i) {
      ASSERT_NEAR(b.value[i], oracle.value[i], 3e-6);
      ASSERT_NEAR(b.moments[0][i], oracle.moments[0][i], 1e-6);
      ASSERT_NEAR(b.moments[1][i], oracle.moments[1][i], 1e-6);
      const bool visited = i / width % 2 == 0;
      ASSERT_EQ(b.shadow[i].bits, bfloat16(visited ? b.value[i] : 99.0f).bits);
    }
  };
  expect_fits_oracle();
  const ScopedBackend reference(Backend::reference);
  expect_fits_oracle();
}

}  // namespace
}  // namespace capstan::kernels
