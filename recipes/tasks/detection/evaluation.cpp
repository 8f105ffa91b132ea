#include "recipes/tasks/detection/evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/at.h"
#include "data/packing.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/tasks/detection/set_loss.h"

namespace capstan::detection {
namespace {

using data::at;

constexpr std::size_t kExamples = 4;

/// Boxes of a prior that knows no image.
constexpr std::int64_t kMostTypicalBoxes = 100, kTypicalImages = 1000;
constexpr double kMeets = 0.5;
constexpr std::int64_t kTypicalNumbers = 6;

/// A box that stands for many, as shares of the image.
struct TypicalBox {
  data::Centre box;
  std::int64_t label = 0;
  double score = 0;
};

struct LabelledBox {
  data::Centre box;
  std::int64_t label = 0;
};
std::vector<LabelledBox> boxes_to_meet(const data::AnnotatedImage& image) {
  std::vector<LabelledBox> out;
  if (image.width < 1 || image.height < 1) return out;
  for (const data::AnnotatedBox& b : image.boxes)
    if (!b.crowd) out.push_back({data::centre_of(b.box, static_cast<double>(image.width), static_cast<double>(image.height)), b.category});
  return out;
}

/// Without classes that no category has.
std::vector<std::string> named(const std::vector<std::string>& classes) {
  std::vector<std::string> out;
  for (const std::string& name : classes)
    if (name != kNoCategory) out.push_back(name);
  return out;
}
std::vector<std::int64_t> ranks_of(const std::vector<std::string>& classes) {
  std::vector<std::int64_t> out;
  std::int64_t next = 0;
  for (const std::string& name : classes) out.push_back(name == kNoCategory ? -1 : next++);
  return out;
}

std::string example_of(const data::AnnotatedImage& truth, std::vector<Detection> found, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::ranges::stable_sort(found, std::ranges::greater{}, [](const Detection& d) { return d.found.score; });
  std::string text = join_text("image ", truth.id, ", ", truth.boxes.size(), " objects:");
  for (std::size_t i = 0; i < std::min(found.size(), kShown); ++i) {
    const data::Box& b = found[i].found.box;
    text += join_text(i == 0 ? " " : "; ", names[at(found[i].found.category)], " ", std::round(found[i].found.score * 100) / 100, " at ",
                      std::lround(b.x), ",", std::lround(b.y), " ", std::lround(b.width), "x", std::lround(b.height));
  }
  return text;
}

}  // namespace

std::vector<Detection> detections_of(const Answers& answers, std::int64_t image, std::int64_t height, std::int64_t width) {
  const std::int64_t layers = answers.logits.size(0), batch = answers.logits.size(1), queries = answers.logits.size(2),
                     classes = answers.logits.size(3);
  const Tensor logits = answers.logits.detach().contiguous(), boxes = answers.boxes.detach().contiguous();
  std::vector<Detection> out;
  for (std::int64_t q = 0; q < queries; ++q) {
    const std::int64_t row = ((layers - 1) * batch + image) * queries + q;
    const auto own = logits.span<const float>().subspan(at(row * classes), at(classes));
    const auto of_box = boxes.span<const float>().subspan(at(4 * row), 4);
    const auto finite = [](float v) { return std::isfinite(v); };
    require<NumericalError>(std::ranges::all_of(own, finite) && std::ranges::all_of(of_box, finite), "detection: the answer of query ", q,
                            " is not finite");
    const auto best = std::ranges::max_element(own.first(at(classes - 1)));
    const double largest = *std::ranges::max_element(own);
    double sum = 0;
    for (const float v : own) sum += std::exp(static_cast<double>(v) - largest);
    const float* const b = boxes.data<const float>() + 4 * row;
    out.push_back(
        {.found = {.box = data::box_of(data::Centre{b[0], b[1], b[2], b[3]}, static_cast<double>(width), static_cast<double>(height)),
                   .category = best - own.begin(),
                   .score = std::exp(static_cast<double>(*best) - largest) / sum},
         .query = q});
  }
  return out;
}

// ---- loss

void SetLossMean::add(const Answers& answers, const Batch& batch, const LossOptions& options) {
  const Matches matches = matches_of(answers, batch, options.cost);
  const auto sums = set_loss(answers, batch, matches, options);
  const std::int64_t queries = answers.logits.size(2), classes = answers.logits.size(3);
  const auto counts = loss_counts(batch, queries, options);
  for (std::size_t k = 0; k < 3; ++k) sums_[k] += sums[k].item();
  sums_[3] += counts[0];
  sums_[4] += static_cast<double>(batch.objects());
  const Tensor logits = answers.logits.detach().contiguous();
  const auto& last = matches.back();
  for (std::int64_t b = 0; b < batch.size(); ++b) {
    std::vector<std::int64_t> said(at(queries));
    for (std::int64_t q = 0; q < queries; ++q) {
      const std::int64_t row = ((answers.logits.size(0) - 1) * batch.size() + b) * queries + q;
      said[at(q)] = engine::top_k(logits.span<const float>().subspan(at(row * classes), at(classes)), 1).at(0);
    }
    const BatchImage& image = batch.parts[at(b)];
    for (const auto& [query, object] : last[at(b)]) {
      sums_[5] += said[at(query)] == image.labels[at(object)] ? 0 : 1;
      sums_[6] += 1;
    }
    const auto claimed = std::ranges::count_if(said, [&](std::int64_t s) { return s != classes - 1; });
    sums_[7] += std::abs(static_cast<double>(claimed) - static_cast<double>(image.labels.size()));
    sums_[8] += 1;
  }
}

std::vector<engine::MetricInfo> SetLossMean::metrics() const {
  using engine::Goal;
  return {{"loss", Goal::minimize},
          {std::string(kLossTerms[0]), Goal::minimize},
          {std::string(kLossTerms[1]), Goal::minimize},
          {std::string(kLossTerms[2]), Goal::minimize},
          {"class_error", Goal::minimize},
          {"cardinality_error", Goal::minimize}};
}

std::vector<double> SetLossMean::values() const {
  const auto over = [](double sum, double count) { return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN(); };
  const double objects = std::max(1.0, sums_[4]);
  const double ce = over(sums_[0], sums_[3]), l1 = over(sums_[1], objects), giou = over(sums_[2], objects);
  return {ce + l1 + giou, ce, l1, giou, over(sums_[5], std::max(1.0, sums_[6])), over(sums_[7], sums_[8])};
}

// ---- evaluation

Evaluation::Evaluation(const Dataset& data, engine::Split part, const Options& options, FoundBoxes found)
    : data_(&data),
      part_(part),
      loss_options_(options.loss),
      keeps_results_(!options.evaluate.results.empty()),
      rank_(ranks_of(data.class_names())),
      coco_(std::ssize(named(data.class_names())), {.per_category = options.evaluate.per_class, .categories = named(data.class_names())}),
      found_(std::move(found)),
      threshold_(options.predict.threshold) {}

std::vector<std::byte> Evaluation::rest() const {
  data::Packer out;
  out.put_list(std::span<const std::byte>(coco_.judged()));
  out.put_text(results_.entries());
  out.put(results_.size());
  for (const std::string& example : examples_) out.put_text(example);
  return std::move(out).bytes();
}

void Evaluation::add_rest(std::span<const std::byte> rest) {
  data::Unpacker in(rest);
  coco_.add_judged(in.list<std::byte>());
  const std::string entries = in.text();
  results_.add_entries(entries, in.get<std::int64_t>());
  while (!in.done()) {
    std::string example = in.text();
    if (examples_.size() < kExamples) examples_.push_back(std::move(example));
  }
}

std::vector<engine::Finding> Evaluation::findings() const {
  std::vector<engine::Finding> out = findings_of(coco_.result(), names());
  if (found_ && data_->size(part_) > 0) out.push_back(boxes_finding(*data_, part_, found_, threshold_));
  return out;
}

std::vector<std::string> Evaluation::names() const { return named(data_->class_names()); }

void Evaluation::add(const Batch& batch, const Answers& answers) {
  for (std::int64_t b = 0; b < batch.size(); ++b) {
    const BatchImage& image = batch.parts[at(b)];
    const data::AnnotatedImage& truth = data_->annotated(part_, image.number);
    const std::vector<Detection> found = detections_of(answers, b, image.height, image.width);
    std::vector<data::DetectedBox> boxes;
    for (const Detection& d : found) {
      const std::int64_t id = data_->category_id(part_, d.found.category);
      if (id < 0) continue;  // a class that the part has no category for
      boxes.push_back(d.found);
      boxes.back().category = rank_[at(d.found.category)];
      if (keeps_results_) results_.add(truth.id, id, d.found.box, d.found.score);
    }
    std::vector<data::AnnotatedBox> wanted = truth.boxes;
    for (data::AnnotatedBox& w : wanted) w.category = rank_[at(w.category)];
    coco_.add(truth.id, wanted, boxes);
    if (examples_.size() < kExamples) examples_.push_back(example_of(truth, found, data_->class_names()));
  }
  loss_.add(answers, batch, loss_options_);
}

// ---- baseline

Tensor typical_boxes(const Dataset& data) {
  Rng rng(random_key(0, "typical boxes"));
  const std::int64_t images = data.size(engine::Split::train), looked_at = std::min(images, kTypicalImages);
  std::vector<std::vector<LabelledBox>> seen;
  std::vector<TypicalBox> all;
  for (std::int64_t i = 0; i < looked_at; ++i) {
    seen.push_back(boxes_to_meet(data.annotated(engine::Split::train, i * images / looked_at)));
    for (const LabelledBox& b : seen.back()) all.push_back({b.box, b.label, 0});
  }
  for (std::size_t i = 0; i < all.size() && i < at(kMostTypicalBoxes); ++i)
    std::swap(all[i], all[i + static_cast<std::size_t>(rng.below(all.size() - i))]);
  if (std::ssize(all) > kMostTypicalBoxes) all.resize(at(kMostTypicalBoxes));
  for (TypicalBox& t : all) {
    const data::Corners own = data::corners_of(t.box);
    const auto met = std::ranges::count_if(seen, [&](const std::vector<LabelledBox>& boxes) {
      return std::ranges::any_of(
          boxes, [&](const LabelledBox& b) { return b.label == t.label && data::iou(own, data::corners_of(b.box)) >= kMeets; });
    });
    t.score = static_cast<double>(met) / static_cast<double>(looked_at);
  }
  std::ranges::stable_sort(all, std::ranges::greater{}, &TypicalBox::score);
  std::vector<TypicalBox> apart;  // of those that would meet the same object the best
  for (const TypicalBox& t : all)
    if (std::ranges::none_of(apart, [&](const TypicalBox& other) {
          return other.label == t.label && data::iou(data::corners_of(other.box), data::corners_of(t.box)) >= kMeets;
        }))
      apart.push_back(t);
  Tensor out({std::ssize(apart), kTypicalNumbers}, DType::f64);
  double* to = out.data<double>();
  for (const TypicalBox& t : apart)
    for (const double v : {static_cast<double>(t.label), t.score, t.box.cx, t.box.cy, t.box.width, t.box.height}) *to++ = v;
  return out;
}

engine::Metrics baselines(const Tensor& typical, const Dataset& data, engine::Split part) {
  if (!typical.defined() || data.size(part) == 0) return {};
  CocoMetric metric(std::ssize(data.class_names()));
  for (std::int64_t i = 0; i < data.size(part); ++i) {
    const data::AnnotatedImage& image = data.annotated(part, i);
    std::vector<data::DetectedBox> found;
    for (std::int64_t k = 0; k < typical.size(0); ++k) {
      const double* const t = typical.data<const double>() + k * kTypicalNumbers;
      found.push_back(
          {.box = data::box_of(data::Centre{t[2], t[3], t[4], t[5]}, static_cast<double>(image.width), static_cast<double>(image.height)),
           .category = static_cast<std::int64_t>(t[0]),
           .score = t[1]});
    }
    metric.add(image.id, image.boxes, found);
  }
  engine::Metrics out;
  for (engine::Metric& m : metric.result().numbers())
    if (m.name == "ap" || m.name == "ap50") out.push_back({"typical_boxes/" + m.name, m.value});
  return out;
}

}  // namespace capstan::detection
