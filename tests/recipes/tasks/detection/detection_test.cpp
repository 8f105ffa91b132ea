// Boxes, assignments, matching and the metric of COCO, against published cases, brute force, and pycocotools and scipy
// (tests/goldens/make_detection.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/box_loss.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/reduce.h"
#include "data/hdf5/hdf5.h"
#include "recipes/tasks/detection/assignment.h"
#include "recipes/tasks/detection/coco_metric.h"
#include "recipes/tasks/detection/matching.h"
#include "tests/message_of.h"

namespace capstan::detection {
namespace {

using data::clipped, data::generalized_iou, data::iou;
using Detection = data::DetectedBox;
using TrueBox = data::AnnotatedBox;
using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

const data::Hdf5Reader& goldens() {
  static const data::Hdf5Reader reader(CAPSTAN_SOURCE_DIR "/tests/goldens/detection.h5", {.require_seal = false});
  return reader;
}
std::vector<double> numbers(const std::string& name) { return goldens().read(name).to_vector(); }

double total(std::span<const double> cost, std::int64_t columns, const Pairs& pairs) {
  double sum = 0;
  for (const auto& [r, c] : pairs) sum += cost[static_cast<std::size_t>(r * columns + c)];
  return sum;
}

// ---- boxes

TEST(Boxes, OverlapsOfPublishedPairs) {
  struct Case {
    data::Corners a, b;
    double iou, giou;
  };
  for (const Case& c : {Case{{0, 0, 2, 2}, {1, 1, 3, 3}, .142857, -.079365}, Case{{0, 0, 1, 1}, {2, 2, 3, 3}, 0, -.777778},
                        Case{{0, 0, 4, 4}, {1, 1, 3, 3}, .25, .25}, Case{{1, 2, 3, 5}, {1, 2, 3, 5}, 1, 1},
                        Case{{0, 0, 1, 1}, {1, 0, 2, 1}, 0, 0}, Case{{.1, .2, .5, .6}, {.3, .1, .7, .5}, .230769, .097436}}) {
    EXPECT_NEAR(iou(c.a, c.b), c.iou, 1e-6);
    EXPECT_NEAR(generalized_iou(c.a, c.b), c.giou, 1e-6);
    EXPECT_EQ(generalized_iou(c.a, c.b), generalized_iou(c.b, c.a));
  }
  EXPECT_EQ(iou({1, 1, 1, 1}, {1, 1, 1, 1}), 0) << "empty boxes have nothing in common";
  EXPECT_EQ(generalized_iou({1, 1, 1, 1}, {1, 1, 1, 1}), 0);
}

TEST(Boxes, FormsAndClipping) {
  const data::Box box{10, 20, 30, 40};
  EXPECT_EQ(corners_of(box), (data::Corners{10, 20, 40, 60}));
  EXPECT_EQ(box_of(corners_of(box)), box);
  EXPECT_EQ(centre_of(box, 100, 80), (data::Centre{.25, .5, .3, .5}));
  EXPECT_EQ(box_of(data::Centre{.25, .5, .3, .5}, 100, 80), box);
  EXPECT_EQ(clipped({-5, -5, 10, 20}, 100, 8), (data::Box{0, 0, 5, 8}));
  EXPECT_EQ(clipped({120, 0, 10, 10}, 100, 100).area(), 0);
}

// ---- assignment

TEST(Assignment, PublishedMatrices) {
  const std::vector<double> wide{4, 1, 3, 2, 2, 0, 5, 3, 3, 2, 2, 5}, tall{7, 5, 3, 2, 8, 6, 4, 1, 9, 3, 3, 2},
      shares{.9, .1, .4, .7, .2, .3, .8, .5, .15, .25, .6, .05};
  EXPECT_EQ(assign(wide, 3, 4), (Pairs{{0, 3}, {1, 1}, {2, 2}}));
  EXPECT_EQ(total(wide, 4, assign(wide, 3, 4)), 4);
  EXPECT_EQ(assign(tall, 4, 3), (Pairs{{1, 0}, {2, 1}, {3, 2}}));
  EXPECT_EQ(total(tall, 3, assign(tall, 4, 3)), 5);
  EXPECT_EQ(assign(shares, 3, 4), (Pairs{{0, 1}, {1, 0}, {2, 3}}));
  EXPECT_NEAR(total(shares, 4, assign(shares, 3, 4)), .35, 1e-12);
  EXPECT_TRUE(assign({}, 0, 5).empty());
  EXPECT_TRUE(assign({}, 5, 0).empty());
}

/// The smallest sum over all ways to give each of the rows a column of its own; rows <= columns.
double by_trying(std::span<const double> cost, std::int64_t columns, std::int64_t row, std::int64_t rows, unsigned taken) {
  if (row == rows) return 0;
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t c = 0; c < columns; ++c)
    if ((taken >> c & 1) == 0)
      best = std::min(best, cost[static_cast<std::size_t>(row * columns + c)] + by_trying(cost, columns, row + 1, rows, taken | 1U << c));
  return best;
}

TEST(Assignment, AsGoodAsTheBestOfAll) {
  Rng rng(random_key(3, "assignment"));
  for (int i = 0; i < 1000; ++i) {
    const auto rows = static_cast<std::int64_t>(rng.below(6)) + 1, columns = static_cast<std::int64_t>(rng.below(6)) + 1;
    std::vector<double> cost, turned(static_cast<std::size_t>(rows * columns));
    for (std::int64_t k = 0; k < rows * columns; ++k) {  // half of them small integers, so with many ties
      cost.push_back(i % 2 == 0 ? static_cast<double>(rng.below(5)) - 2 : rng.uniform() - .5);
      turned[static_cast<std::size_t>(k % columns * rows + k / columns)] = cost.back();
    }
    const Pairs pairs = assign(cost, rows, columns);
    ASSERT_EQ(std::ssize(pairs), std::min(rows, columns));
    for (std::size_t k = 1; k < pairs.size(); ++k) EXPECT_LT(pairs[k - 1].first, pairs[k].first);
    std::vector<std::int64_t> used;
    for (const auto& p : pairs) used.push_back(p.second);
    std::ranges::sort(used);
    EXPECT_EQ(std::ranges::adjacent_find(used), used.end());
    const double best = rows <= columns ? by_trying(cost, columns, 0, rows, 0) : by_trying(turned, rows, 0, columns, 0);
    EXPECT_NEAR(total(cost, columns, pairs), best, 1e-12) << rows << " x " << columns;
  }
}

TEST(Assignment, EqualsScipy) {
  const std::vector<double> expected = numbers("/assignment/totals");
  ASSERT_EQ(expected.size(), 100u);
  for (std::uint64_t number = 0; number < 100; ++number) {
    std::uint64_t state = number + 1;
    std::vector<double> cost(3000);
    for (double& c : cost) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      c = static_cast<double>(state >> 40) / (1 << 24);
      c = number % 3 == 0 ? std::floor(c * 8) / 8 : c - .5;
    }
    const Pairs pairs = assign(cost, 100, 30);
    EXPECT_NEAR(total(cost, 30, pairs), expected[number], 1e-12) << number;
    EXPECT_EQ(assign(cost, 100, 30), pairs);
  }
}

TEST(Assignment, TiesAndRefusals) {
  EXPECT_EQ(assign(std::vector<double>(9, 1.0), 3, 3), (Pairs{{0, 0}, {1, 1}, {2, 2}})) << "free columns, the lowest first";
  EXPECT_EQ(assign(std::vector<double>(6, 0.0), 3, 2), (Pairs{{0, 0}, {1, 1}}));
  EXPECT_EQ(message_of<NumericalError>([] {
              assign(std::vector<double>{1, 2, 3, 4, 5, std::nan("")}, 2, 3);
            }),
            "assign: costs must be finite numbers: row 1, column 2 of 2 x 3 is nan");
  EXPECT_THROW(assign(std::vector{std::numeric_limits<double>::infinity()}, 1, 1), NumericalError);
}

// ---- matching

TEST(Matching, PublishedCase) {
  const std::vector<float> logits{2, 0, 0, 0, 1, .5F, 0, 0, 3}, boxes{.5F, .5F, .4F, .4F, .3F, .3F, .2F, .2F, .7F, .6F, .3F, .5F};
  const std::vector<std::int64_t> labels{1, 0};
  const std::vector<data::Centre> targets{{.28, .32, .2, .24}, {.55, .5, .4, .5}};
  const Predictions predictions{.logits = logits, .boxes = boxes, .classes = 3};
  const std::vector<double> cost = matching_costs(predictions, {labels, targets});
  const std::vector<double> expected{4.065826, -1.265269, -1.460793, 4.96197, 6.345422, 1.312129};
  ASSERT_EQ(cost.size(), expected.size());
  for (std::size_t i = 0; i < cost.size(); ++i) EXPECT_NEAR(cost[i], expected[i], 1e-5);
  EXPECT_EQ(match(predictions, {labels, targets}), (Pairs{{0, 1}, {1, 0}}));
  EXPECT_TRUE(match(predictions, {}).empty()) << "an image without objects";

  // The losses of these pairs, made of ops: query 0 is of target 1, query 1 of target 0, query 2 of none.
  const Tensor all_logits = Tensor::from<float>({2, 0, 0, 0, 1, .5F, 0, 0, 3}, {3, 3}),
               classes = Tensor::from<std::int64_t>({0, 1, 2}, {3});
  EXPECT_NEAR(cross_entropy(all_logits, classes, {}, Tensor::from<float>({1, 1, .1F}, {3})).value.item(), .442527, 1e-5);
  const Tensor matched = Tensor::from<float>({.5F, .5F, .4F, .4F, .3F, .3F, .2F, .2F}, {2, 4}),
               wanted = Tensor::from<float>({.55F, .5F, .4F, .5F, .28F, .32F, .2F, .24F}, {2, 4});
  EXPECT_NEAR(sum(abs(sub(matched, wanted))).item() / 2, .115, 1e-5);
  EXPECT_NEAR(generalized_iou_loss(matched, wanted).value.item(), .354351, 1e-5);

  const std::vector<std::int64_t> many(4, 0);
  const std::vector<data::Centre> four(4, data::Centre{.5, .5, .1, .1});
  EXPECT_EQ(message_of<DataError>([&] { match(predictions, {many, four}); }), "matching: an image with 4 objects, but there are 3 queries");
  std::vector<float> broken = boxes;
  broken[5] = std::nanf("");
  EXPECT_EQ(message_of<NumericalError>([&] {
              match({.logits = logits, .boxes = broken, .classes = 3}, {labels, targets});
            }),
            "matching: the cost of query 1 and object 0 is not a finite number");
}

// ---- the metric

void expect_numbers(const CocoMetric& metric, const std::vector<double>& expected, double tolerance, const std::string& what) {
  const auto infos = metric.metrics();
  const auto values = metric.values();
  ASSERT_EQ(infos.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << what << " " << infos[i].name;
}

TrueBox truth(std::int64_t category, data::Box box, bool crowd = false) { return {box, category, crowd, box.area()}; }

TEST(CocoMetric, PublishedCase) {
  CocoMetric metric(1);
  // The second image first: only ids order what is equal.
  metric.add(2, std::vector{truth(0, {0, 0, 40, 40}), truth(0, {60, 60, 50, 50}, true)},
             std::vector<Detection>{{{2, 2, 40, 40}, 0, .6}, {{62, 62, 10, 10}, 0, .55}, {{1, 0, 40, 40}, 0, .3}});
  metric.add(1, std::vector{truth(0, {10, 10, 20, 20}), truth(0, {50, 50, 30, 10})},
             std::vector<Detection>{{{12, 11, 20, 20}, 0, .9}, {{50, 52, 30, 10}, 0, .8}, {{80, 80, 5, 5}, 0, .7}});
  expect_numbers(metric, {.453366, .915842, .084158, .450495, .85, -1, .4, .633333, .633333, .45, 1, -1}, 1e-6, "published");
  const CocoMetric::Result result = metric.result();
  const std::vector<double> by_threshold{.915842, .915842, .915842, .915842, .5, .084158, .084158, .067327, .067327, .067327};
  for (std::int64_t t = 0; t < 10; ++t) EXPECT_NEAR(result.ap_at(t, 0), by_threshold[static_cast<std::size_t>(t)], 1e-6);
  EXPECT_EQ(result.truths(0), 3) << "the crowd need not be found";
  EXPECT_EQ(metric.images(), 2);
}

TEST(CocoMetric, EqualsPycocotools) {
  const auto truths = numbers("/coco/truth"), found = numbers("/coco/found"), sizes = numbers("/coco/sizes"),
             expected = numbers("/coco/numbers"), ap = numbers("/coco/ap"), curves = numbers("/coco/curves");
  const auto whole = [](double v) { return static_cast<std::int64_t>(v); };
  for (std::size_t set = 0; set < 20; ++set) {
    const std::string name = "set " + std::to_string(set);
    const std::int64_t images = whole(sizes[2 * set]), categories = whole(sizes[2 * set + 1]);
    CocoMetric metric(categories), part(categories);
    for (std::int64_t image = images - 1; image >= 0; --image) {
      std::vector<TrueBox> boxes;
      std::vector<Detection> detections;
      const auto is_own = [&](const double* row) { return whole(row[0]) == static_cast<std::int64_t>(set) && whole(row[1]) == image; };
      for (const double* t = truths.data(); t < truths.data() + truths.size(); t += 9)
        if (is_own(t)) boxes.push_back({{t[3], t[4], t[5], t[6]}, whole(t[2]), t[7] != 0, t[8]});
      for (const double* d = found.data(); d < found.data() + found.size(); d += 8)
        if (is_own(d)) detections.push_back({{d[3], d[4], d[5], d[6]}, whole(d[2]), d[7]});
      (image % 2 == 0 ? metric : part).add(image, boxes, detections);
    }
    metric.merge(part);
    expect_numbers(
        metric, {expected.begin() + static_cast<std::ptrdiff_t>(12 * set), expected.begin() + static_cast<std::ptrdiff_t>(12 * set + 12)},
        1e-9, name);
    const CocoMetric::Result result = metric.result();
    for (std::int64_t c = 0; c < categories; ++c) {
      const std::size_t at = 4 * set + static_cast<std::size_t>(c);
      EXPECT_NEAR(result.ap(c), ap[at], 1e-9) << name << " category " << c;
      for (const std::int64_t t : {0, 5})
        for (std::size_t r = 0; r < 101; ++r)
          EXPECT_NEAR(result.precision(t, c)[r], curves[(2 * at + static_cast<std::size_t>(t == 5)) * 101 + r], 1e-9)
              << name << " " << c << " " << r;
    }
  }
}

// pycocotools finds an overlap of 0.5999999999999999 and 0.7499999999999998, which a fused multiplication would round to the threshold.
TEST(CocoMetric, OverlapsAtAThresholdAreRoundedAsPycocotoolsDoes) {
  CocoMetric metric(2);
  metric.add(1, std::vector{truth(0, {5.7, 12.8, 31.7, 24.3}), truth(1, {.2, 9.7, 39.3, 29.6})},
             std::vector<Detection>{{{5.7, 12.8, 19.02, 24.3}, 0, 1}, {{.2, 9.7, 29.475, 29.6}, 1, 1}});
  const CocoMetric::Result result = metric.result();
  EXPECT_NEAR(result.ap_at(1, 0), 1, 1e-12);
  EXPECT_EQ(result.ap_at(2, 0), 0) << "at .6";
  EXPECT_NEAR(result.ap_at(4, 1), 1, 1e-12);
  EXPECT_EQ(result.ap_at(5, 1), 0) << "at .75";
}

TEST(CocoMetric, NothingToFindAndNothingFound) {
  CocoMetric metric(2, {.per_category = true, .categories = {"cell", "platelet"}});
  metric.add(1, {}, std::vector<Detection>{{{0, 0, 5, 5}, 1, .5}});
  for (const double v : metric.values()) EXPECT_EQ(v, -1);
  metric.add(2, std::vector{truth(0, {0, 0, 10, 10})}, {});
  const auto values = metric.values();
  EXPECT_EQ(metric.metrics().at(12).name, "ap/cell");
  EXPECT_EQ(values.at(0), 0);
  EXPECT_EQ(values.at(12), 0);
  EXPECT_EQ(values.at(13), -1) << "no platelet was to be found";
  EXPECT_EQ(message_of<NumericalError>([&] {
              metric.add(3, {}, std::vector<Detection>{{{}, 0, 1}, {{}, 1, std::nan("")}});
            }),
            "coco metric: image 3: the score of detection 1 is nan");
  EXPECT_THROW(metric.add(3, {}, std::vector<Detection>{{{}, 2, 1}}), InternalError);
}

}  // namespace
}  // namespace capstan::detection
