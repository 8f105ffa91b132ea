#include "nn/models/resnet_names.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

bool has(std::span<const std::string> names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

/// A count [1] as the single whole number that it is elsewhere.
Tensor whole_number(const Tensor& ours, const Shape& shape) { return Tensor::full(shape, std::round(ours.item()), DType::i64); }

class Pairs : public ForeignNames {
 public:
  explicit Pairs(const ResNetOptions& o) : counts_(o.norm == ResNetNorm::batch) { heads = {"head"}; }

  /// A convolution and its normalisation, which are ours as <place>/conv<number> and norm<number>.
  void layer(const std::string& their_conv, const std::string& their_norm, const std::string& place, std::string_view number = "") {
    const std::string norm = join_text(place, "/norm", number);
    add(their_conv + ".weight", join_text(place, "/conv", number, "/weight"));
    both(their_norm, norm);
    add(their_norm + ".running_mean", norm + "/running_mean");
    add(their_norm + ".running_var", norm + "/running_variance");
    const std::string count = their_norm + ".num_batches_tracked";
    if (!counts_) return ignored.push_back(count);
    TensorPair& pair = add(count, norm + "/batches_tracked");
    pair.shape = Shape{};
    pair.written = whole_number;
    heads.push_back(pair.ours);  // for old files do not have it
  }

  ForeignNames take() { return std::move(*this); }

 private:
  bool counts_;
};

/// Calls block(stage, place in it, where it is ours, its options) for every block.
template <class F>
void each_block(const ResNetOptions& o, const F& block) {
  const auto stages = resnet_blocks(o);
  for (std::size_t stage = 0; stage < stages.size(); ++stage)
    for (std::size_t i = 0; i < stages[stage].size(); ++i) block(stage, i, join_text("stages/", stage, "/", i), stages[stage][i]);
}

int convolutions(const ResNetBlockOptions& b) { return b.kind == ResNetBlock::basic ? 2 : 3; }

}  // namespace

bool is_torchvision_resnet(std::span<const std::string> names) {
  return has(names, "conv1.weight") && has(names, "bn1.weight") && has(names, "layer1.0.conv1.weight");
}

bool is_hugging_face_resnet(std::span<const std::string> names) {
  return has(names, "resnet.embedder.embedder.convolution.weight") || has(names, "embedder.embedder.convolution.weight");
}

ForeignNames torchvision_names(const ResNetOptions& o) {
  Pairs pairs(o);
  pairs.layer("conv1", "bn1", "stem");
  each_block(o, [&](std::size_t stage, std::size_t i, const std::string& ours, const ResNetBlockOptions& b) {
    const std::string theirs = join_text("layer", stage + 1, ".", i, ".");
    for (int n = 1; n <= convolutions(b); ++n) pairs.layer(join_text(theirs, "conv", n), join_text(theirs, "bn", n), ours, join_text(n));
    if (b.projects()) pairs.layer(theirs + "downsample.0", theirs + "downsample.1", ours + "/shortcut");
  });
  pairs.both("fc", "head");
  return pairs.take();
}

ForeignNames hugging_face_names(const ResNetOptions& o, std::span<const std::string> names) {
  const std::string prefix = has(names, "embedder.embedder.convolution.weight") ? "" : "resnet.";
  Pairs pairs(o);
  const auto layer = [&](const std::string& theirs, const std::string& ours, std::string_view number = "") {
    pairs.layer(theirs + ".convolution", theirs + ".normalization", ours, number);
  };
  layer(prefix + "embedder.embedder", "stem");
  each_block(o, [&](std::size_t stage, std::size_t i, const std::string& ours, const ResNetBlockOptions& b) {
    const std::string theirs = join_text(prefix, "encoder.stages.", stage, ".layers.", i, ".");
    if (b.projects()) layer(theirs + "shortcut", ours + "/shortcut");
    for (int n = 0; n < convolutions(b); ++n) layer(join_text(theirs, "layer.", n), ours, join_text(n + 1));
  });
  pairs.both("classifier.1", "head");
  return pairs.take();
}

}  // namespace capstan::nn
