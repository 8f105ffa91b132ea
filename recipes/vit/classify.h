#pragma once
// Classify: answers lines with the most probable classes of an image each, for `capstan predict`, and draws attention pictures.
//
// engine/answer_lines.h says when answers appear. A line is the path of an image file, or with predict.input = indices the number of a test
// image of the data. An answer is one line:
//     tsv    input <tab> class <tab> probability <tab> class <tab> probability ...
//     jsonl  {"input":"a.png","classes":[{"class":"shoe","probability":0.9}, ...]}
// An image file that is broken or cannot be read ends the work with a DataError or IoError naming line and file, or with data.broken = skip
// is answered by `input <tab> - <tab> fault` and {"input":"a.png","error":"fault"}. With predict.pictures two PNG files appear there for
// each input: <line>-<name>-heads.png and <line>-<name>-rollout.png (pictures.h).

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/pipeline.h"
#include "recipes/vit/dataset.h"
#include "recipes/vit/model.h"
#include "recipes/vit/options.h"

namespace capstan::vit {

/// images f32 [B, C, H, W] -> logits; with_attention also gives the probabilities of attention.
struct Predictor {
  std::function<Tensor(const Tensor& images)> logits;
  std::function<VitModel::WithAttention(const Tensor& images)> with_attention;
  std::function<std::pair<std::int64_t, std::int64_t>(std::int64_t height, std::int64_t width)> grid;
  bool class_token = true;
};

/// `data` is needed for predict.input = indices. The error of a line comes after the answers to those before it.
void classify(const Config& config, const std::vector<std::string>& class_names, const Dataset* data, const Predictor& predictor,
              std::istream& in, std::ostream& out);

}  // namespace capstan::vit
