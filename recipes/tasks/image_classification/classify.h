#pragma once
// Classify: answers lines with the most probable classes of an image each, for `capstan predict`, and draws attention pictures.
//
// A line is the path of an image file, or with predict.input = indices the number of a test image of the data. An answer is one line:
//     tsv    input <tab> class <tab> probability <tab> class <tab> probability ...
//     jsonl  {"input":"a.png","classes":[{"class":"shoe","probability":0.9}, ...]}
// With predict.pictures two PNG files appear there for each input: <line>-<name>-heads.png and <line>-<name>-rollout.png (pictures.h).

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/pipeline.h"
#include "recipes/tasks/image_classification/dataset.h"
#include "recipes/tasks/image_classification/network.h"
#include "recipes/tasks/image_classification/options.h"

namespace capstan::image_classification {

/// A line as it was read.
struct Query {
  std::int64_t line = 0;
  std::string text;
  data::Image image;  ///< as the model sees it
};

class Classifier {
 public:
  /// images f32 [B, C, H, W] -> logits f32 [B, classes].
  using Logits = std::function<Tensor(const Tensor& images)>;
  /// image f32 [1, C, H, W]; for predict.pictures.
  using Look = std::function<Attention(const Tensor& image)>;

  /// `data` is needed for predict.input = indices. Makes the directory of the pictures.
  Classifier(const Options& options, bool json, std::vector<std::string> class_names, const data::ImagePipeline& pipeline,
             const Dataset* data);

  /// Throws DataError or IoError naming the line if there is no sound image.
  Query read(std::string text, std::int64_t line) const;
  /// A line without its end for each.
  std::vector<std::string> answer(std::span<const Query> queries, const Logits& logits, const Look& look) const;

 private:
  data::Image test_image(std::string_view text) const;  // DataError: there is none
  std::string text_of(const Query& query, std::span<const float> logits) const;
  void draw(const Query& query, const Attention& attention) const;

  Options options_;
  bool json_;
  std::vector<std::string> class_names_;
  data::ImagePipeline pipeline_;
  const Dataset* data_;
};

}  // namespace capstan::image_classification
