#include "recipes/engine/metrics/classification.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/core/error.h"
#include "recipes/engine/metrics/ranking.h"

namespace capstan::engine {
namespace {

double share(double part, double whole) { return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN(); }

}  // namespace

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> class_names, Options options)
    : Accumulator(class_names.size() * class_names.size()), names_(std::move(class_names)), options_(std::move(options)) {}

double ConfusionMatrix::at(std::int64_t truth, std::int64_t predicted) const {
  return sums_[static_cast<std::size_t>(truth * classes() + predicted)];
}

void ConfusionMatrix::add(std::int64_t truth, std::int64_t predicted, std::int64_t count) {
  require<InternalError>(truth >= 0 && truth < classes() && predicted >= 0 && predicted < classes(), "confusion matrix: classes ", truth,
                         " and ", predicted, " of ", classes());
  sums_[static_cast<std::size_t>(truth * classes() + predicted)] += static_cast<double>(count);
}

std::int64_t ConfusionMatrix::count(std::int64_t truth, std::int64_t predicted) const {
  return static_cast<std::int64_t>(at(truth, predicted));
}

std::int64_t ConfusionMatrix::total() const {
  double sum = 0;
  for (const double c : sums_) sum += c;
  return static_cast<std::int64_t>(sum);
}

double ConfusionMatrix::of_truth(std::int64_t truth) const {
  double all = 0;
  for (std::int64_t c = 0; c < classes(); ++c) all += at(truth, c);
  return all;
}

double ConfusionMatrix::of_prediction(std::int64_t predicted) const {
  double all = 0;
  for (std::int64_t c = 0; c < classes(); ++c) all += at(c, predicted);
  return all;
}

double ConfusionMatrix::accuracy() const {
  double right = 0;
  for (std::int64_t c = 0; c < classes(); ++c) right += at(c, c);
  return share(right, static_cast<double>(total()));
}

double ConfusionMatrix::recall(std::int64_t truth) const { return share(at(truth, truth), of_truth(truth)); }
double ConfusionMatrix::precision(std::int64_t predicted) const { return share(at(predicted, predicted), of_prediction(predicted)); }

double ConfusionMatrix::f1(std::int64_t of) const {
  const double all = of_truth(of) + of_prediction(of);
  return all > 0 ? 2 * at(of, of) / all : 0;
}

double ConfusionMatrix::macro_f1() const {
  double sum = 0, met = 0;
  for (std::int64_t c = 0; c < classes(); ++c) {
    if (of_truth(c) + of_prediction(c) == 0) continue;
    sum += f1(c);
    ++met;
  }
  return share(sum, met);
}

double ConfusionMatrix::matthews() const {
  // With c right, s cases, t_k true and p_k predicted ones of class k: (c s - sum t p) / sqrt((s^2 - sum p^2) (s^2 - sum t^2)).
  double right = 0, both = 0, predicted = 0, truths = 0;
  const auto s = static_cast<double>(total());
  for (std::int64_t c = 0; c < classes(); ++c) {
    const double t = of_truth(c), p = of_prediction(c);
    right += at(c, c);
    both += t * p;
    predicted += p * p;
    truths += t * t;
  }
  const double spread = std::sqrt((s * s - predicted) * (s * s - truths));
  return spread > 0 ? (right * s - both) / spread : 0;
}

std::vector<MetricInfo> ConfusionMatrix::metrics() const {
  std::vector<MetricInfo> out{{options_.prefix + "accuracy", Goal::maximize}};
  if (options_.f1) out.push_back({options_.prefix + "f1", Goal::maximize});
  if (options_.macro_f1) out.push_back({options_.prefix + "macro_f1", Goal::maximize});
  if (options_.matthews) out.push_back({options_.prefix + "matthews", Goal::maximize});
  if (options_.recalls)
    for (const std::string& name : names_) out.push_back({options_.prefix + "recall/" + name, Goal::maximize});
  return out;
}

std::vector<double> ConfusionMatrix::values() const {
  std::vector<double> out{accuracy()};
  if (options_.f1) {
    double sum = 0;
    for (std::int64_t c = 0; c < classes(); ++c) sum += f1(c);
    out.push_back(classes() == 2 ? f1(1) : sum / static_cast<double>(classes()));
  }
  if (options_.macro_f1) out.push_back(macro_f1());
  if (options_.matthews) out.push_back(matthews());
  if (options_.recalls)
    for (std::int64_t c = 0; c < classes(); ++c) out.push_back(recall(c));
  return out;
}

std::string ConfusionMatrix::to_tsv() const {
  std::string out = "true\\predicted";
  for (const std::string& name : names_) out += "\t" + name;
  out += "\trecall\n";
  for (std::int64_t t = 0; t < classes(); ++t) {
    out += names_[static_cast<std::size_t>(t)];
    for (std::int64_t p = 0; p < classes(); ++p) out += join_text("\t", count(t, p));
    out += join_text("\t", recall(t), "\n");
  }
  out += "precision";
  for (std::int64_t p = 0; p < classes(); ++p) out += join_text("\t", precision(p));
  return out + join_text("\t", accuracy(), "\n");
}

double cross_entropy_of(std::span<const float> logits, std::int64_t target) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v) - top);
  return std::log(sum) + top - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

std::vector<std::string> best_classes(const Tensor& logits, const data::IdMap& classes) {
  const Tensor rows = logits.contiguous();
  const auto width = static_cast<std::size_t>(rows.size(1));
  std::vector<std::string> out;
  for (auto all = rows.span<const float>(); !all.empty(); all = all.subspan(width))
    out.emplace_back(classes[top_k(all.first(width), 1).at(0)]);
  return out;
}

void Classification::add(const Tensor& logits, const Tensor& labels) {
  const Tensor rows = logits.contiguous();
  const auto all = rows.span<const float>();
  const auto wanted = labels.span<const std::int64_t>();
  const auto classes = static_cast<std::size_t>(rows.size(1));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto row = all.subspan(i * classes, classes);
    confusion.add(wanted[i], top_k(row, 1).at(0));
    loss.add(cross_entropy_of(row, wanted[i]));
  }
}

std::vector<MetricInfo> CrossEntropy::metrics() const {
  std::vector<MetricInfo> out{{name_, Goal::minimize}};
  if (!perplexity_.empty()) out.push_back({perplexity_, Goal::minimize});
  return out;
}

std::vector<double> CrossEntropy::values() const {
  std::vector<double> out{value()};
  if (!perplexity_.empty()) out.push_back(std::exp(value()));
  return out;
}

}  // namespace capstan::engine
