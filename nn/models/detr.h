#pragma once
// DETR, the detection transformer (Carion et al., "End-to-end object detection with transformers", 2020): objects of an image as a set of
// predictions, one for each of a fixed number of learned queries.
//
//     features   ResNet, its last stage [B, C, h, w]; a 1x1 convolution to `width`
//     memory     encoder of the h w places; their positions are added to queries and keys of every layer, not to values
//     decoder    the queries, which start at 0; their learned embeddings are added likewise, and the positions to the memory's keys
//                (anchors: they start at their embeddings; sines of a fixed point for each are added, and attention to the memory falls
//                with the distance from it, in each head at another rate)
//     each layer, normalised:  logits = class_head(x) of the classes and "no object", boxes = sigmoid(MLP of three layers(x))
//                (anchors: the box counts from the point: sigmoid(MLP(x) + (logit(point), -2, -2)))
//
// Boxes are (centre x, centre y, width, height) as shares of the image without its padding, for so the loss has them and so positions
// count. It knows no matching and no loss (recipes/tasks/detection). Parameters: backbone/..., projection, encoder/<n>/...,
// decoder/<n>/..., decoder/norm, queries, class_head, box_head/{0, 1, 2}, and with learned positions row_positions and column_positions.

#include <array>
#include <cstdint>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "nn/models/resnet.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "nn/transformer_stack.h"

namespace capstan::nn {

enum class DetrPositions : std::uint8_t {
  sine,     ///< of the rows and columns that are real, scaled to 2 pi
  learned,  ///< a vector a row and one a column, of 50 each
};

struct DetrOptions {
  std::int64_t classes = 0;  ///< without "no object", which is one more logit, the last
  std::int64_t width = 256, heads = 8, encoder_layers = 6, decoder_layers = 6, inner = 2048, queries = 100;
  bool pre_norm = false;
  double dropout = 0.1, attention_dropout = 0.1, activation_dropout = 0.1;
  DetrPositions positions = DetrPositions::sine;
  bool anchors = false;
  bool auxiliary = true;

  template <class V>
  void visit(V& v) {
    v("classes", classes, "classes of objects; 0: as many as the data has (the highest category number + 1)", V::between(0, 1e6)).of_use();
    v("width", width, "width of the transformer, a multiple of 4", V::between(4, 65536));
    v("heads", heads, "attention heads, a divisor of the width", V::between(1, 1024));
    v("encoder_layers", encoder_layers, "layers of the encoder", V::between(0, 1024));
    v("decoder_layers", decoder_layers, "layers of the decoder", V::between(1, 1024));
    v("inner", inner, "inner width of the feed-forward parts", V::between(1, 1e6));
    v("queries", queries, "objects that can be found in an image", V::between(1, 1e5));
    v("pre_norm", pre_norm, "normalise before each part instead of behind each sum");
    v("dropout", dropout, "share of the results of all parts set to zero in training", V::fraction()).of_training();
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction()).of_training();
    v("activation_dropout", activation_dropout, "share of inner activations set to zero in training", V::fraction()).of_training();
    v("positions", positions, "sine: fixed sines and cosines; learned: a vector a row and one a column, up to 50 of each",
      {{"sine", DetrPositions::sine}, {"learned", DetrPositions::learned}});
    v("anchors", anchors,
      "each query belongs to a fixed point of the image: has sines of it for positions, counts its box from there (after Anchor DETR, "
      "Wang et al. 2021) and attends around it (after SMCA, Gao et al. 2021): learns from small sets; no: as published, a learned "
      "embedding alone");
    v("auxiliary", auxiliary, "every layer of the decoder answers in training, not the last one alone").of_training();
  }
};

/// The two stacks, for whoever names their parameters.
TransformerStackOptions detr_encoder_options(const DetrOptions& options);
TransformerStackOptions detr_decoder_options(const DetrOptions& options);

/// What the decoder reads of an image.
struct DetrMemory {
  Tensor tokens, positions;  ///< [B, h w, width]
  Tensor keys;               ///< u8 [B, h w], 0 for padding, or undefined
  Tensor ids = {};           ///< i64 [B h w], names the places for dropout, or undefined
};

/// What the decoder starts from.
struct DetrQueries {
  Tensor states = {};     ///< [B, Q, width]; undefined: zeros
  Tensor positions = {};  ///< [B, Q, width]
  Tensor nearness = {};   ///< f32 [B or 1, heads, Q, h w], added to the scores of attention to the memory, or undefined
};

/// The transformer between features and answers.
class DetrTransformer {
 public:
  DetrTransformer(const Scope& scope, const DetrOptions& options);

  /// places.tokens are the features; gives the memory with the same positions.
  DetrMemory encode(const DetrMemory& places, const Run& run) const;
  /// The normalised states of the decoder's layers, one behind the other [L B, Q, width], or of the last alone.
  Tensor decode(const DetrMemory& memory, const DetrQueries& queries, bool all_layers, const Run& run) const;
  struct Observed {
    Tensor states;   ///< [B, Q, width], of the last layer
    Tensor weights;  ///< [B, Q, h w]: the last layer's attention to the memory, the mean over its heads
  };
  Observed observed(const DetrMemory& memory, const DetrQueries& queries, const Run& run) const;

 private:
  TransformerStack<EncoderLayer> encoder_;
  TransformerStack<DecoderLayer> decoder_;
};

class Detr {
 public:
  static constexpr std::int64_t kLearnedPlaces = 50;

  /// Throws ConfigError for options that do not fit. The backbone has no classifier.
  Detr(const Scope& scope, const DetrOptions& options, const ResNetOptions& backbone);

  struct Result {
    Tensor logits;  ///< [L, B, queries, classes + 1], the last layer of the decoder last; L = 1 unless all layers answer
    Tensor boxes;   ///< [L, B, queries, 4]
  };
  /// images [B, C, H, W], padded on the right and below; real u8 [B, H, W], 0 for padding, undefined: there is none. In training
  /// run.token_ids numbers the images, i64 [B], if dropout is not to depend on their places in the batch.
  Result operator()(const Tensor& images, const Tensor& real, const Run& run) const;

  struct Observed {
    Result result;     ///< of the last layer
    Tensor attention;  ///< f32 [B, queries, h, w]: where the last layer looked for each query, the mean over its heads
  };
  /// For pictures.
  Observed observed(const Tensor& images, const Tensor& real, const Run& run) const;

  /// All parameters with a row for each class, and a last one for "no object".
  std::vector<Parameter> class_parameters() const { return {class_head_.weight(), class_head_.bias()}; }

 private:
  struct Places {
    DetrMemory memory;
    std::int64_t height = 0, width = 0;
  };
  Places encode(const Tensor& images, const Tensor& real, const Run& run) const;
  Tensor positions(const Tensor& keys, std::int64_t height, std::int64_t width, const Tensor& like) const;
  DetrQueries queries_for(const Places& places) const;
  /// Of states [layers B, queries, width].
  Result answers(const Tensor& states, std::int64_t layers) const;

  std::int64_t width_, heads_, query_count_;
  bool auxiliary_;
  ResNet backbone_;
  Conv2d projection_;
  DetrTransformer transformer_;
  Parameter queries_;  // [queries, width]
  Linear class_head_;
  std::array<Linear, 3> box_head_;
  Parameter row_positions_, column_positions_;  // [50, width / 2], or undefined
  std::vector<std::array<double, 2>> anchors_;  // a point a query, or none
  Tensor anchor_sines_, anchor_logits_;         // f32 [queries, width] and [queries, 4], or undefined
};

/// How near places are to points: f32 [B, heads, points, h w], B = 1 where keys are undefined. For head i it is -d^2 / (2 s_i^2), d being
/// the distance in shares of the image and s_i the widths .05 .. .4, spaced evenly on a logarithmic scale.
Tensor nearness_of(const std::vector<std::array<double, 2>>& points, const Tensor& keys, std::int64_t height, std::int64_t width,
                   std::int64_t heads);

/// Points spread evenly over the unit square, (x, y) of each, any number of them: the sequence R2 of Roberts (2018), which is .5 + n a
/// modulo 1 with a = (1/g, 1/g^2), g^3 = g + 1.
std::vector<std::array<double, 2>> spread_points(std::int64_t count);

/// Sines and cosines of the rows, then of the columns, of the real places: keys u8 [B, h w] -> f32 [B, h w, width]. A row's number counts
/// real places above and including it, over their number in its column, times 2 pi; width is a multiple of 4.
Tensor sine_positions(const Tensor& keys, std::int64_t height, std::int64_t places_wide, std::int64_t width);
/// Which places of a grid are real, by the nearest pixel: real u8 [B, H, W] -> u8 [B, h w].
Tensor nearest_places(const Tensor& real, std::int64_t height, std::int64_t width);

}  // namespace capstan::nn
