#include "recipes/tasks/detection/set_loss.h"

#include <algorithm>
#include <cmath>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/box_loss.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "data/at.h"

namespace capstan::detection {
namespace {

using data::at;

/// What the queries of some layers, one behind the other, are to say.
struct Wanted {
  std::vector<std::int64_t> labels;   // of every query
  std::vector<std::int64_t> matched;  // numbers of the queries that have an object
  std::vector<float> boxes;           // of their objects, [matched, 4]
};

Wanted wanted_of(const Matches& matches, std::int64_t first, std::int64_t layers, const Batch& batch, std::int64_t queries,
                 std::int64_t nothing) {
  Wanted w;
  w.labels.assign(at(layers * batch.size() * queries), nothing);
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (std::int64_t b = 0; b < batch.size(); ++b) {
      const BatchImage& image = batch.parts[at(b)];
      for (const auto& [query, object] : matches[at(first + layer)][at(b)]) {
        const std::int64_t row = (layer * batch.size() + b) * queries + query;
        w.labels[at(row)] = image.labels[at(object)];
        w.matched.push_back(row);
        const data::Centre& box = image.boxes[at(object)];
        for (const double v : {box.cx, box.cy, box.width, box.height}) w.boxes.push_back(static_cast<float>(v));
      }
    }
  return w;
}

/// The three sums of some layers; zeros for none.
std::array<Tensor, 3> sums_of(const Answers& answers, std::int64_t first, std::int64_t layers, const Batch& batch, const Matches& matches,
                              const LossOptions& o) {
  if (layers == 0) return {Tensor::scalar(0), Tensor::scalar(0), Tensor::scalar(0)};
  const std::int64_t queries = answers.logits.size(2), classes = answers.logits.size(3);
  const Wanted wanted = wanted_of(matches, first, layers, batch, queries, classes - 1);
  const std::int64_t rows = std::ssize(wanted.labels), matched = std::ssize(wanted.matched);

  std::vector<float> weights(at(classes), 1.0f);
  weights.back() = static_cast<float>(o.no_object);
  const Tensor logits = reshape(slice(answers.logits, 0, first, layers), {rows, classes});
  const Tensor ce = cross_entropy(logits, Tensor::from(std::span<const std::int64_t>(wanted.labels), {rows}),
                                  {.reduction = Reduction::sum()}, Tensor::from(std::span<const float>(weights), {classes}))
                        .value;
  if (matched == 0) return {affine(ce, o.classification), Tensor::scalar(0), Tensor::scalar(0)};
  const Tensor boxes = index_select(reshape(slice(answers.boxes, 0, first, layers), {rows, 4}), 0,
                                    Tensor::from(std::span<const std::int64_t>(wanted.matched), {matched}));
  const Tensor objects = Tensor::from(std::span<const float>(wanted.boxes), {matched, 4});
  return {affine(ce, o.classification), affine(sum(abs(sub(boxes, objects))), o.l1),
          affine(generalized_iou_loss(boxes, objects, {.reduction = Reduction::sum()}).value, o.giou)};
}

}  // namespace

Matches matches_of(const Answers& answers, const Batch& batch, const MatchingCost& cost) {
  const std::int64_t layers = answers.logits.size(0), queries = answers.logits.size(2), classes = answers.logits.size(3);
  require<InternalError>(answers.logits.size(1) == batch.size() && answers.boxes.shape() == Shape{layers, batch.size(), queries, 4},
                         "set loss: answers for another batch: logits ", answers.logits, ", boxes ", answers.boxes, ", ", batch.size(),
                         " images");
  const Tensor logits = answers.logits.detach().contiguous(), boxes = answers.boxes.detach().contiguous();
  Matches out(at(layers));
  for (std::int64_t layer = 0; layer < layers; ++layer)
    for (std::int64_t b = 0; b < batch.size(); ++b) {
      const std::int64_t row = (layer * batch.size() + b) * queries;
      out[at(layer)].push_back(match({.logits = logits.span<const float>().subspan(at(row * classes), at(queries * classes)),
                                      .boxes = boxes.span<const float>().subspan(at(row * 4), at(queries * 4)),
                                      .classes = classes},
                                     batch.parts[at(b)].objects(), cost));
    }
  return out;
}

std::array<Tensor, 6> set_loss(const Answers& answers, const Batch& batch, const Matches& matches, const LossOptions& options) {
  const std::int64_t before = answers.logits.size(0) - 1;
  const auto last = sums_of(answers, before, 1, batch, matches, options);
  const auto auxiliary = sums_of(answers, 0, before, batch, matches, options);
  return {last[0], last[1], last[2], auxiliary[0], auxiliary[1], auxiliary[2]};
}

std::array<double, 6> loss_counts(const Batch& batch, std::int64_t queries, const LossOptions& options) {
  // Counts of the batches of a step are added up: one without objects must not count, and its sums of boxes are 0 whatever divides them.
  constexpr double kNone = 1e-12;
  const auto objects = static_cast<double>(batch.objects()), all = static_cast<double>(batch.size() * queries);
  const double weights = objects + options.no_object * (all - objects), boxes = std::max(kNone, objects);
  return {weights, boxes, boxes, weights, boxes, boxes};
}

}  // namespace capstan::detection
