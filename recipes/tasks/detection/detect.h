#pragma once
// Detect: answers lines with the objects of an image each, for `capstan predict`, and draws them.
//
// A line is the path of an image file, or with predict.input = indices the number of a test image of the data. An answer is one line, the
// most certain detection first, down to predict.threshold:
//     tsv    input <tab> class <tab> score <tab> x <tab> y <tab> width <tab> height <tab> class ...
//     jsonl  {"input":"a.png","objects":[{"class":"cat","score":0.9,"box":[x,y,width,height]}, ...]}
// Boxes are pixels of the image, clipped to it. With predict.pictures files appear there for each input: <line>-<name>-boxes.svg, and
// <line>-<name>-attention.svg where something was found (pictures.h).

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/image/image.h"
#include "recipes/tasks/detection/batch.h"
#include "recipes/tasks/detection/dataset.h"
#include "recipes/tasks/detection/network.h"
#include "recipes/tasks/detection/options.h"

namespace capstan::detection {

/// A line as it was read.
struct Query {
  std::int64_t line = 0;
  std::string text;
  data::Image image;  ///< as the file has it
};

class Detector {
 public:
  using Look = std::function<Attended(const Tensor& images, const Tensor& real)>;

  /// `data` is needed for predict.input = indices. Makes the directory of the pictures.
  Detector(const Options& options, bool json, std::vector<std::string> class_names, ImageForm form, const Dataset* data);

  /// Throws DataError or IoError naming the line if there is no sound image.
  Query read(std::string text, std::int64_t line) const;
  /// A line without its end for each. `look` gives no attention where no pictures are asked for.
  std::vector<std::string> answer(std::span<const Query> queries, const Look& look) const;
  bool draws() const { return !options_.predict.pictures.empty(); }

 private:
  struct Object;
  data::Image test_image(std::string_view text) const;  // DataError: there is none
  std::vector<Object> objects_in(const Answers& answers, std::int64_t image, const data::Image& pixels) const;
  std::string text_of(const Query& query, std::span<const Object> objects) const;
  void draw(const Query& query, std::span<const Object> objects, const Attended& seen, std::int64_t image, const Tensor& images) const;

  Options options_;
  bool json_;
  std::vector<std::string> class_names_;
  ImageForm form_;
  const Dataset* data_;
};

}  // namespace capstan::detection
