#include "recipes/tasks/detection/coco_metric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "data/packing.h"

namespace capstan::detection {
namespace {

constexpr double kMost = 1e10, kSmall = 32. * 32., kMedium = 96. * 96.;
struct Range {
  double least, most;
  bool contains(double area) const { return !(area < least) && !(area > most); }
};
constexpr std::array<Range, CocoMetric::kAreas> kRanges{{{0, kMost}, {0, kSmall}, {kSmall, kMedium}, {kMedium, kMost}}};
constexpr std::array<std::string_view, 12> kNames{"ap",   "ap50",  "ap75",   "ap_small", "ap_medium", "ap_large",
                                                  "ar@1", "ar@10", "ar@100", "ar_small", "ar_medium", "ar_large"};
constexpr std::array<std::int64_t, 10> kAll{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr double kNothing = -1;

/// Intersection over union; over the area of the detection alone where the box is a crowd's. The order of the operations is that of
/// pycocotools, and this file is compiled without fused ones, so that what is at a threshold there is at it here.
double overlap(const data::Box& found, double found_area, const data::AnnotatedBox& truth, double truth_area) {
  const double width = std::fmin(found.width + found.x, truth.box.width + truth.box.x) - std::fmax(found.x, truth.box.x);
  if (width <= 0) return 0;
  const double height = std::fmin(found.height + found.y, truth.box.height + truth.box.y) - std::fmax(found.y, truth.box.y);
  if (height <= 0) return 0;
  const double common = width * height;
  return common / (truth.crowd ? found_area : found_area + truth_area - common);
}

}  // namespace

double CocoMetric::threshold(std::int64_t i) {
  constexpr double kFirst = .5, kLast = .95, kStep = (kLast - kFirst) / (kThresholds - 1);  // numpy.linspace
  return i == kThresholds - 1 ? kLast : static_cast<double>(i) * kStep + kFirst;
}

CocoMetric::CocoMetric(std::int64_t categories, Options options)
    : Accumulator(1), options_(std::move(options)), categories_(static_cast<std::size_t>(categories)) {
  require<InternalError>(options_.categories.empty() || std::ssize(options_.categories) == categories,
                         "coco metric: ", options_.categories.size(), " names of ", categories, " categories");
}

void CocoMetric::add(std::int64_t image, std::span<const data::AnnotatedBox> truth, std::span<const data::DetectedBox> found) {
  const auto count = static_cast<std::int64_t>(categories_.size());
  const auto check = [&](std::int64_t category, std::string_view what) {
    require<InternalError>(category >= 0 && category < count, "coco metric: image ", image, ": ", what, " of category ", category,
                           ", there are ", count);
  };
  std::vector<const data::AnnotatedBox*> boxes;
  std::vector<const data::DetectedBox*> detections;
  for (const data::AnnotatedBox& t : truth) {
    check(t.category, "a box");
    boxes.push_back(&t);
  }
  for (const data::DetectedBox& d : found) {
    check(d.category, "a detection");
    require<NumericalError>(std::isfinite(d.score), "coco metric: image ", image, ": the score of detection ", &d - found.data(), " is ",
                            d.score);
    detections.push_back(&d);
  }
  std::ranges::stable_sort(boxes, {}, &data::AnnotatedBox::category);
  std::ranges::stable_sort(detections, [](const data::DetectedBox* a, const data::DetectedBox* b) {
    return a->category != b->category ? a->category < b->category : a->score > b->score;
  });
  sums_[0] += 1;
  auto b = boxes.begin();
  auto d = detections.begin();
  while (b != boxes.end() || d != detections.end()) {
    std::int64_t category = count;
    if (b != boxes.end()) category = (*b)->category;
    if (d != detections.end()) category = std::min(category, (*d)->category);
    const auto last_box = std::find_if(b, boxes.end(), [&](const data::AnnotatedBox* t) { return t->category != category; });
    const auto last_found = std::find_if(d, detections.end(), [&](const data::DetectedBox* t) { return t->category != category; });
    judge(image, std::span(b, last_box), std::span(d, std::min(last_found, d + std::min<std::ptrdiff_t>(kMostDetections, last_found - d))),
          categories_[static_cast<std::size_t>(category)]);
    b = last_box;
    d = last_found;
  }
}

void CocoMetric::judge(std::int64_t image, std::span<const data::AnnotatedBox* const> truth,
                       std::span<const data::DetectedBox* const> found, Category& category) const {
  std::vector<double> truth_areas;
  for (const data::AnnotatedBox* t : truth) truth_areas.push_back(t->box.area());
  std::vector<double> overlaps;  // [found, truth]
  std::vector<Judged> judged;
  for (const data::DetectedBox* d : found) {
    const double area = d->box.area();
    for (std::size_t g = 0; g < truth.size(); ++g) overlaps.push_back(overlap(d->box, area, *truth[g], truth_areas[g]));
    judged.push_back({.score = d->score, .image = image, .rank = std::ssize(judged)});
  }
  std::vector<std::size_t> order(truth.size());
  std::vector<char> taken(truth.size());
  for (std::size_t a = 0; a < kAreas; ++a) {
    const auto ignored = [&](std::size_t g) { return truth[g]->crowd || !kRanges[a].contains(truth[g]->area); };
    std::iota(order.begin(), order.end(), 0);
    const auto first_ignored = std::stable_partition(order.begin(), order.end(), [&](std::size_t g) { return !ignored(g); });
    category.to_find[a] += first_ignored - order.begin();
    for (std::int64_t t = 0; t < kThresholds; ++t) {
      std::ranges::fill(taken, 0);
      const auto bit = static_cast<std::uint16_t>(1U << t);
      for (std::size_t d = 0; d < found.size(); ++d) {
        double best = std::min(threshold(t), 1 - 1e-10);
        auto match = order.end();
        for (auto g = order.begin(); g != order.end(); ++g) {
          if (taken[*g] != 0 && !truth[*g]->crowd) continue;
          if (match < first_ignored && g >= first_ignored) break;  // a real match is held: those that do not count cannot take it away
          if (const double o = overlaps[d * truth.size() + *g]; !(o < best)) {
            best = o;
            match = g;
          }
        }
        Judged& j = judged[d];
        if (match != order.end()) {
          taken[*match] = 1;
          j.matched[a] |= bit;
          if (match >= first_ignored) j.skipped[a] |= bit;
        } else if (!kRanges[a].contains(found[d]->box.area())) {
          j.skipped[a] |= bit;
        }
      }
    }
  }
  category.found.insert(category.found.end(), judged.begin(), judged.end());
}

void CocoMetric::merge(const CocoMetric& part) {
  require<InternalError>(part.categories_.size() == categories_.size(), "coco metric: parts of ", categories_.size(), " and ",
                         part.categories_.size(), " categories do not merge");
  Accumulator::merge(part);
  for (std::size_t c = 0; c < categories_.size(); ++c) {
    const Category& other = part.categories_[c];
    categories_[c].found.insert(categories_[c].found.end(), other.found.begin(), other.found.end());
    for (std::size_t a = 0; a < kAreas; ++a) categories_[c].to_find[a] += other.to_find[a];
  }
}

std::vector<std::byte> CocoMetric::judged() const {
  data::Packer out;
  for (const Category& c : categories_) {
    out.put_list(std::span(c.found));
    out.put(c.to_find);
  }
  return std::move(out).bytes();
}

void CocoMetric::add_judged(std::span<const std::byte> judged) {
  data::Unpacker in(judged);
  for (Category& c : categories_) {
    const auto found = in.list<Judged>();
    c.found.insert(c.found.end(), found.begin(), found.end());
    const auto to_find = in.get<std::array<std::int64_t, kAreas>>();
    for (std::size_t a = 0; a < kAreas; ++a) c.to_find[a] += to_find[a];
  }
}

CocoMetric::Result CocoMetric::result() const {
  Result result;
  const std::size_t count = categories_.size();
  result.truths_.resize(count);
  result.detections_.resize(count);
  result.precision_.assign(static_cast<std::size_t>(kAreas * kThresholds * kRecalls) * count, kNothing);
  result.recall_.assign(static_cast<std::size_t>(kAreas * kThresholds) * Result::kLimits.size() * count, kNothing);
  std::vector<double> recalls, precisions;
  for (std::size_t c = 0; c < count; ++c) {
    const auto category = static_cast<std::int64_t>(c);
    std::vector<Judged> found = categories_[c].found;
    std::ranges::sort(found, [](const Judged& a, const Judged& b) {
      if (a.score != b.score) return a.score > b.score;
      return a.image != b.image ? a.image < b.image : a.rank < b.rank;
    });
    result.truths_[c] = categories_[c].to_find[0];
    result.detections_[c] = std::ssize(found);
    for (std::size_t a = 0; a < kAreas; ++a) {
      const std::int64_t to_find = categories_[c].to_find[a];
      if (to_find == 0) continue;
      for (std::int64_t t = 0; t < kThresholds; ++t) {
        const auto is = [t](std::uint16_t bits) { return (bits >> t & 1) != 0; };
        recalls.clear();
        precisions.clear();
        std::int64_t hits = 0, misses = 0;
        std::array<std::int64_t, Result::kLimits.size()> hits_within{};
        for (const Judged& j : found) {
          if (!is(j.skipped[a])) {
            const bool hit = is(j.matched[a]);
            ++(hit ? hits : misses);
            for (std::size_t m = 0; hit && m < Result::kLimits.size(); ++m)
              if (j.rank < Result::kLimits[m]) ++hits_within[m];
          }
          const auto h = static_cast<double>(hits), f = static_cast<double>(misses);
          recalls.push_back(h / static_cast<double>(to_find));
          precisions.push_back(h / (f + h + std::numeric_limits<double>::epsilon()));
        }
        for (std::size_t m = 0; m < Result::kLimits.size(); ++m)
          result.recall_[result.recall_at(t, category, static_cast<std::int64_t>(a), m)] =
              static_cast<double>(hits_within[m]) / static_cast<double>(to_find);
        for (std::size_t i = precisions.size(); i-- > 1;) precisions[i - 1] = std::max(precisions[i - 1], precisions[i]);
        double* curve = result.precision_.data() + result.precision_at(t, category, static_cast<std::int64_t>(a));
        for (std::int64_t r = 0; r < kRecalls; ++r) {
          const auto at = std::ranges::lower_bound(recalls, static_cast<double>(r) * .01);
          curve[r] = at == recalls.end() ? 0 : precisions[static_cast<std::size_t>(at - recalls.begin())];
        }
      }
    }
  }
  return result;
}

std::size_t CocoMetric::Result::precision_at(std::int64_t threshold, std::int64_t category, std::int64_t area) const {
  return static_cast<std::size_t>(((area * categories() + category) * kThresholds + threshold) * kRecalls);
}

std::size_t CocoMetric::Result::recall_at(std::int64_t threshold, std::int64_t category, std::int64_t area, std::size_t limit) const {
  const auto limits = static_cast<std::int64_t>(kLimits.size()), m = static_cast<std::int64_t>(limit);
  return static_cast<std::size_t>(((area * limits + m) * categories() + category) * kThresholds + threshold);
}

std::span<const double> CocoMetric::Result::precision(std::int64_t threshold, std::int64_t category, AreaRange area) const {
  return std::span(precision_).subspan(precision_at(threshold, category, static_cast<std::int64_t>(area)), kRecalls);
}

double CocoMetric::Result::mean_precision(std::span<const std::int64_t> thresholds, std::int64_t first, std::int64_t last,
                                          AreaRange area) const {
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t c = first; c < last; ++c)
    for (const std::int64_t t : thresholds)
      if (const auto curve = precision(t, c, area); curve[0] > kNothing) {
        sum += std::accumulate(curve.begin(), curve.end(), 0.0);
        count += kRecalls;
      }
  return count == 0 ? kNothing : sum / static_cast<double>(count);
}

double CocoMetric::Result::mean_recall(std::int64_t first, std::int64_t last, AreaRange area, std::size_t limit) const {
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t c = first; c < last; ++c)
    for (std::int64_t t = 0; t < kThresholds; ++t)
      if (const double r = recall_[recall_at(t, c, static_cast<std::int64_t>(area), limit)]; r > kNothing) {
        sum += r;
        ++count;
      }
  return count == 0 ? kNothing : sum / static_cast<double>(count);
}

double CocoMetric::Result::ap(std::int64_t category, AreaRange area) const { return mean_precision(kAll, category, category + 1, area); }
double CocoMetric::Result::ap_at(std::int64_t threshold, std::int64_t category, AreaRange area) const {
  return mean_precision(std::span(&threshold, 1), category, category + 1, area);
}
double CocoMetric::Result::ar(std::int64_t category, AreaRange area) const {
  return mean_recall(category, category + 1, area, kLimits.size() - 1);
}

engine::Metrics CocoMetric::Result::numbers() const {
  const std::int64_t n = categories();
  constexpr std::int64_t kAt50 = 0, kAt75 = 5;
  const auto precision_of = [&](std::span<const std::int64_t> thresholds, AreaRange area) {
    return mean_precision(thresholds, 0, n, area);
  };
  const auto recall_of = [&](std::size_t limit, AreaRange area) { return mean_recall(0, n, area, limit); };
  const std::array<double, kNames.size()> values{precision_of(kAll, AreaRange::all),
                                                 precision_of(std::span(&kAt50, 1), AreaRange::all),
                                                 precision_of(std::span(&kAt75, 1), AreaRange::all),
                                                 precision_of(kAll, AreaRange::small),
                                                 precision_of(kAll, AreaRange::medium),
                                                 precision_of(kAll, AreaRange::large),
                                                 recall_of(0, AreaRange::all),
                                                 recall_of(1, AreaRange::all),
                                                 recall_of(2, AreaRange::all),
                                                 recall_of(2, AreaRange::small),
                                                 recall_of(2, AreaRange::medium),
                                                 recall_of(2, AreaRange::large)};
  engine::Metrics numbers;
  for (std::size_t i = 0; i < values.size(); ++i) numbers.push_back({std::string(kNames[i]), values[i]});
  return numbers;
}

std::vector<engine::MetricInfo> CocoMetric::metrics() const {
  std::vector<engine::MetricInfo> all;
  for (const std::string_view name : kNames) all.push_back({std::string(name)});
  for (std::size_t c = 0; options_.per_category && c < categories_.size(); ++c)
    all.push_back({"ap/" + (options_.categories.empty() ? std::to_string(c) : options_.categories[c])});
  return all;
}

std::vector<double> CocoMetric::values() const {
  const Result all = result();
  std::vector<double> values;
  for (const engine::Metric& m : all.numbers()) values.push_back(m.value);
  for (std::int64_t c = 0; options_.per_category && c < all.categories(); ++c) values.push_back(all.ap(c));
  return values;
}

}  // namespace capstan::detection
