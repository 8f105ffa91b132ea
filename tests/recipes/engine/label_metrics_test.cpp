// Metrics of labels and numbers against scikit-learn and scipy (tests/goldens/make_label_metrics.py), and how parts of a pass merge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/hdf5/hdf5.h"
#include "recipes/engine/metrics/classification.h"
#include "recipes/engine/metrics/regression.h"

namespace capstan::engine {
namespace {

constexpr double kTolerance = 1e-9;

const data::Hdf5Reader& goldens() {
  static const data::Hdf5Reader reader(CAPSTAN_SOURCE_DIR "/tests/goldens/label_metrics.h5", {.require_seal = false});
  return reader;
}

/// The cases below a group, "/classes/" or "/numbers/".
std::set<std::string> cases(const std::string& group) {
  std::set<std::string> all;
  for (const auto& e : goldens().entries())
    if (e.name.starts_with(group)) all.insert(e.name.substr(0, e.name.find('/', group.size())));
  return all;
}

std::vector<double> numbers(const std::string& name) { return goldens().read(name).to_vector(); }

void expect_equal(double actual, double expected, const std::string& what) {
  if (std::isfinite(expected)) {
    EXPECT_NEAR(actual, expected, kTolerance * std::max(1.0, std::abs(expected))) << what;
  } else {
    EXPECT_EQ(std::isnan(actual), std::isnan(expected)) << what << ": " << actual;
  }
}

TEST(LabelMetrics, EqualScikitLearn) {
  const auto all = cases("/classes/");
  ASSERT_EQ(all.size(), 10u);
  for (const std::string& name : all) {
    const auto classes = static_cast<std::size_t>(numbers(name + "/count")[0]);
    const auto truth = numbers(name + "/truth"), predicted = numbers(name + "/predicted"), expected = numbers(name + "/expected");
    ConfusionMatrix first(std::vector<std::string>(classes, "c"), {.f1 = classes == 2, .macro_f1 = true, .matthews = true}), second = first;
    for (std::size_t i = 0; i < truth.size(); ++i)
      (i % 3 == 0 ? first : second).add(static_cast<std::int64_t>(truth[i]), static_cast<std::int64_t>(predicted[i]));
    first.merge(second);
    std::size_t metric = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      if (k == 1 && classes != 2) continue;
      expect_equal(first.values().at(metric), expected[k], name + " " + first.metrics().at(metric).name);
      ++metric;
    }
    EXPECT_EQ(metric, first.values().size());
  }
}

TEST(RegressionMetrics, EqualScipy) {
  const auto all = cases("/numbers/");
  ASSERT_EQ(all.size(), 9u);
  for (const std::string& name : all) {
    const auto truth = numbers(name + "/truth"), predicted = numbers(name + "/predicted"), expected = numbers(name + "/expected");
    const auto count = static_cast<std::int64_t>(truth.size());
    Regression first(count), second(count);
    for (std::int64_t i = 0; i < count; ++i)
      (i % 3 == 0 ? first : second).add(i, truth[static_cast<std::size_t>(i)], predicted[static_cast<std::size_t>(i)]);
    first.merge(second);
    for (std::size_t k = 0; k < expected.size(); ++k) expect_equal(first.values()[k], expected[k], name + " " + first.metrics()[k].name);
  }
}

TEST(RegressionMetrics, SharedRanksAreMeans) {
  EXPECT_THAT(mean_ranks(std::vector<double>{3, 1, 3, 2, 3}), testing::ElementsAre(4, 1, 4, 2, 4));
  EXPECT_TRUE(mean_ranks({}).empty());
}

TEST(RegressionMetrics, APlaceIsFilledOnceWithAFiniteNumber) {
  Regression r(2);
  EXPECT_TRUE(std::isnan(r.values()[2])) << "no case";
  r.add(1, 3, 4);
  EXPECT_EQ(r.values()[2], 1);
  EXPECT_THROW(r.add(1, 3, 4), InternalError);
  EXPECT_THROW(r.add(2, 3, 4), InternalError);
  EXPECT_THROW(r.add(0, 3, std::nan("")), NumericalError);
}

}  // namespace
}  // namespace capstan::engine
