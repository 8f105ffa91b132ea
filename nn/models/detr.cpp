#include "nn/models/detr.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

/// Rounding beside a count of places, as the original has it.
constexpr double kSineEpsilon = 1e-6;
/// Logit of the height and width that boxes around a point begin with.
constexpr double kSmallBox = -2;

TransformerStackOptions stack_options(const DetrOptions& o, std::int64_t layers, bool final_norm) {
  return {.layers = layers,
          .layer = {.width = o.width,
                    .heads = o.heads,
                    .inner = o.inner,
                    .activation = Activation::relu,
                    .pre_norm = o.pre_norm,
                    .dropout = o.dropout,
                    .attention_dropout = o.attention_dropout,
                    .activation_dropout = o.activation_dropout,
                    .init = glorot_uniform(),
                    .projection_init = glorot_uniform({.in = o.width, .out = 3 * o.width})},
          .final_norm = final_norm};
}

const DetrOptions& checked(const DetrOptions& o, const ResNetOptions& backbone) {
  require<ConfigError>(o.width % 4 == 0, "detr: the width must be a multiple of 4, got ", o.width);
  require<ConfigError>(o.classes > 0, "detr: there must be a class to find, got classes ", o.classes);
  require<ConfigError>(backbone.classes == 0, "detr: the backbone has no classifier, got classes ", backbone.classes);
  return o;
}

DecoderInputs inputs_of(const DetrMemory& memory, const DetrQueries& queries) {
  const Tensor& at = queries.positions;
  return {
      .memory = memory.tokens,
      .mask = {.query_positions = at, .key_positions = at},
      .memory_mask = {
          .bias = queries.nearness, .keys = memory.keys, .key_ids = memory.ids, .query_positions = at, .key_positions = memory.positions}};
}
Tensor start_of(const DetrQueries& queries) {
  return queries.states.defined() ? queries.states : Tensor::zeros(queries.positions.shape(), queries.positions.dtype());
}

/// i64 [images * rows * columns]: an image's number, then row and column, whatever the padding beside it; undefined where images have no
/// numbers. Queries are a row.
Tensor ids_of(const Run& run, std::int64_t images, std::int64_t rows, std::int64_t columns) {
  if (!run.training || !run.token_ids.defined()) return {};
  require(run.token_ids.numel() == images, "detr: run.token_ids must name each image: images ", images, ", token_ids ", run.token_ids);
  constexpr int kOfImage = 32, kOfRow = 16;  // bits to the left
  const Tensor given = run.token_ids.contiguous(), ids(Shape{images * rows * columns}, DType::i64);
  std::int64_t* to = ids.data<std::int64_t>();
  for (std::int64_t b = 0; b < images; ++b)
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t x = 0; x < columns; ++x) *to++ = given.data<const std::int64_t>()[b] << kOfImage | y << kOfRow | x;
  return ids;
}
Run named(Run run, const Tensor& ids) {
  run.token_ids = ids;
  return run;
}

/// Sines and cosines of how far `at`, 0 .. 2 pi, is along one axis: half of a position.
class AxisSines {
 public:
  explicit AxisSines(std::int64_t half) : frequency_(static_cast<std::size_t>(half)) {
    for (std::int64_t k = 0; k < half; ++k) {
      const std::int64_t even = k - k % 2;  // a sine and a cosine of one frequency
      frequency_[static_cast<std::size_t>(k)] = std::pow(10000.0, static_cast<double>(even) / static_cast<double>(half));
    }
  }
  void write(double at, float* to) const {
    for (std::size_t k = 0; k < frequency_.size(); ++k) {
      const double angle = at / frequency_[k];
      to[k] = static_cast<float>(k % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }

 private:
  std::vector<double> frequency_;
};

/// [points, width]: a row's sines, then a column's, as sine_positions has them of places.
Tensor sines_of(const std::vector<std::array<double, 2>>& points, std::int64_t width) {
  const AxisSines sines(width / 2);
  Tensor out({static_cast<std::int64_t>(points.size()), width});
  float* to = out.data<float>();
  for (const auto& [x, y] : points) {
    sines.write(y * 2 * std::numbers::pi, to);
    sines.write(x * 2 * std::numbers::pi, to + width / 2);
    to += width;
  }
  return out;
}
/// [points, 4]: what the logits of a box count from: its point, and an eighth of the image.
Tensor logits_of(const std::vector<std::array<double, 2>>& points) {
  Tensor out = Tensor::full({static_cast<std::int64_t>(points.size()), 4}, kSmallBox);
  float* to = out.data<float>();
  for (const auto& point : points) {
    for (std::size_t k = 0; k < 2; ++k) to[k] = static_cast<float>(std::log(point[k] / (1 - point[k])));
    to += 4;
  }
  return out;
}

Linear head(const Scope& scope, std::int64_t in, std::int64_t out) {
  return {scope, {.in = in, .out = out, .init = fan_in_uniform(), .bias_init = fan_in_uniform({.in = in, .out = out})}};
}

}  // namespace

TransformerStackOptions detr_encoder_options(const DetrOptions& o) { return stack_options(o, o.encoder_layers, o.pre_norm); }
TransformerStackOptions detr_decoder_options(const DetrOptions& o) { return stack_options(o, o.decoder_layers, /*final_norm=*/true); }

DetrTransformer::DetrTransformer(const Scope& scope, const DetrOptions& o)
    : encoder_(scope / "encoder", detr_encoder_options(o)), decoder_(scope / "decoder", detr_decoder_options(o)) {}

DetrMemory DetrTransformer::encode(const DetrMemory& places, const Run& run) const {
  const Tensor tokens = encoder_(
      places.tokens, {.keys = places.keys, .query_positions = places.positions, .key_positions = places.positions}, named(run, places.ids));
  return {.tokens = tokens, .positions = places.positions, .keys = places.keys, .ids = places.ids};
}

Tensor DetrTransformer::decode(const DetrMemory& memory, const DetrQueries& queries, bool all_layers, const Run& run) const {
  const Tensor start = start_of(queries);
  const DecoderInputs inputs = inputs_of(memory, queries);
  if (!all_layers) return decoder_(start, inputs, run);
  const std::vector<Tensor> layers = decoder_.all_layers(start, inputs, run);
  return (*decoder_.norm())(concat(std::span<const Tensor>(layers), 0));
}

DetrTransformer::Observed DetrTransformer::observed(const DetrMemory& memory, const DetrQueries& queries, const Run& run) const {
  const auto [states, weights] = decoder_.with_weights(start_of(queries), inputs_of(memory, queries), run);
  return {.states = states, .weights = mean(weights.back(), {1})};
}

Detr::Detr(const Scope& scope, const DetrOptions& o, const ResNetOptions& backbone)
    : width_(checked(o, backbone).width),
      heads_(o.heads),
      query_count_(o.queries),
      auxiliary_(o.auxiliary),
      backbone_(scope / "backbone", backbone),
      projection_(scope / "projection", {.in = backbone.widths.back(),
                                         .out = o.width,
                                         .init = fan_in_uniform(),
                                         .bias_init = fan_in_uniform({.in = backbone.widths.back(), .out = o.width})}),
      transformer_(scope, o),
      queries_(scope.parameter("queries", {o.queries, o.width}, normal(1))),
      class_head_(head(scope / "class_head", o.width, o.classes + 1)),
      box_head_{head(scope / "box_head" / 0, o.width, o.width), head(scope / "box_head" / 1, o.width, o.width),
                head(scope / "box_head" / 2, o.width, 4)} {
  if (o.anchors) {
    anchors_ = spread_points(o.queries);
    anchor_sines_ = sines_of(anchors_, o.width);
    anchor_logits_ = logits_of(anchors_);
  }
  if (o.positions == DetrPositions::learned) {
    row_positions_ = scope.parameter("row_positions", {kLearnedPlaces, o.width / 2}, uniform(0, 1));
    column_positions_ = scope.parameter("column_positions", {kLearnedPlaces, o.width / 2}, uniform(0, 1));
  }
}

Tensor sine_positions(const Tensor& keys, std::int64_t height, std::int64_t places_wide, std::int64_t width) {
  require(keys.rank() == 2 && keys.size(1) == height * places_wide, "sine_positions: keys must be [B, ", height, " * ", places_wide,
          "]: keys ", keys);
  const std::int64_t batch = keys.size(0), half = width / 2;
  Tensor out({batch, height * places_wide, width});
  const AxisSines sines(half);
  std::vector<double> column(static_cast<std::size_t>(places_wide));
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::uint8_t* const real = keys.data<const std::uint8_t>() + b * height * places_wide;
    const auto scale = [](double count) { return 2 * std::numbers::pi / (count + kSineEpsilon); };
    std::ranges::fill(column, 0);
    std::vector<double> of_column(column);
    for (std::int64_t i = 0; i < height * places_wide; ++i) of_column[static_cast<std::size_t>(i % places_wide)] += real[i];
    for (std::int64_t y = 0; y < height; ++y) {
      double row = 0, of_row = 0;
      for (std::int64_t x = 0; x < places_wide; ++x) of_row += real[y * places_wide + x];
      for (std::int64_t x = 0; x < places_wide; ++x) {
        const auto c = static_cast<std::size_t>(x);
        row += real[y * places_wide + x];
        column[c] += real[y * places_wide + x];
        float* const to = out.data<float>() + ((b * height + y) * places_wide + x) * width;
        sines.write(column[c] * scale(of_column[c]), to);
        sines.write(row * scale(of_row), to + half);
      }
    }
  }
  return out;
}

Tensor nearness_of(const std::vector<std::array<double, 2>>& points, const Tensor& keys, std::int64_t height, std::int64_t width,
                   std::int64_t heads) {
  constexpr double kNarrow = 0.05, kWide = 0.4;
  const std::int64_t batch = keys.defined() ? keys.size(0) : 1, count = static_cast<std::int64_t>(points.size());
  Tensor out({batch, heads, count, height * width});
  float* to = out.data<float>();
  for (std::int64_t b = 0; b < batch; ++b) {
    // Real places are those above and to the left.
    std::int64_t rows = height, columns = width;
    if (keys.defined()) {
      const std::uint8_t* const real = keys.data<const std::uint8_t>() + b * height * width;
      const auto count_of = [&](std::int64_t size, std::int64_t step) {
        std::int64_t n = 0;
        while (n < size && real[n * step] != 0) ++n;
        return std::max<std::int64_t>(1, n);
      };
      rows = count_of(height, width);
      columns = count_of(width, 1);
    }
    for (std::int64_t h = 0; h < heads; ++h) {
      const double share = heads > 1 ? static_cast<double>(h) / static_cast<double>(heads - 1) : 1;
      const double spread = kNarrow * std::pow(kWide / kNarrow, share);
      for (const auto& [px, py] : points)
        for (std::int64_t y = 0; y < height; ++y)
          for (std::int64_t x = 0; x < width; ++x) {
            const double dx = (static_cast<double>(x) + 0.5) / static_cast<double>(columns) - px,
                         dy = (static_cast<double>(y) + 0.5) / static_cast<double>(rows) - py;
            *to++ = static_cast<float>(-(dx * dx + dy * dy) / (2 * spread * spread));
          }
    }
  }
  return out;
}

std::vector<std::array<double, 2>> spread_points(std::int64_t count) {
  constexpr double kPlastic = 1.32471795724474602596;  // the real root of g^3 = g + 1
  std::vector<std::array<double, 2>> points;
  for (std::int64_t n = 1; n <= count; ++n) {
    const auto along = [&](double step) {
      const double at = 0.5 + static_cast<double>(n) * step;
      return at - std::floor(at);
    };
    points.push_back({along(1 / kPlastic), along(1 / (kPlastic * kPlastic))});
  }
  return points;
}

Tensor nearest_places(const Tensor& real, std::int64_t height, std::int64_t width) {
  const std::int64_t batch = real.size(0), from_height = real.size(1), from_width = real.size(2);
  Tensor out({batch, height * width}, DType::u8);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        out.data<std::uint8_t>()[(b * height + y) * width + x] =
            real.data<const std::uint8_t>()[(b * from_height + y * from_height / height) * from_width + x * from_width / width];
  return out;
}

Tensor Detr::positions(const Tensor& keys, std::int64_t height, std::int64_t width, const Tensor& like) const {
  const std::int64_t batch = like.size(0);
  if (!row_positions_.defined()) {
    const Tensor all = keys.defined() ? keys : Tensor::full({batch, height * width}, 1, DType::u8);
    return cast(sine_positions(all, height, width, width_), like.dtype());
  }
  require(height <= kLearnedPlaces && width <= kLearnedPlaces, "detr: learned positions are of grids up to ", kLearnedPlaces, " x ",
          kLearnedPlaces, ": ", height, " x ", width);
  const Shape grid{batch, height, width, width_ / 2};
  const Tensor columns = expand(reshape(slice(weight_for(column_positions_, like), 0, 0, width), {1, 1, width, width_ / 2}), grid);
  const Tensor rows = expand(reshape(slice(weight_for(row_positions_, like), 0, 0, height), {1, height, 1, width_ / 2}), grid);
  return reshape(concat({columns, rows}, -1), {batch, height * width, width_});
}

Detr::Places Detr::encode(const Tensor& images, const Tensor& real, const Run& run) const {
  require(!real.defined() || (real.dtype() == DType::u8 && real.shape() == Shape{images.size(0), images.size(2), images.size(3)}),
          "detr: what is real must be u8 [B, H, W] of the images: images ", images, ", real ", real);
  const Tensor features = projection_(backbone_.features(images, run));  // [B, width, h, w]
  const std::int64_t height = features.size(2), width = features.size(3);
  const Tensor tokens = flatten(permute(features, {0, 2, 3, 1}), 1, 2);  // [B, h w, width]
  const Tensor keys = real.defined() ? nearest_places(real, height, width) : Tensor{};
  const DetrMemory places{.tokens = tokens,
                          .positions = positions(keys, height, width, tokens),
                          .keys = keys,
                          .ids = ids_of(run, images.size(0), height, width)};
  return {.memory = transformer_.encode(places, run), .height = height, .width = width};
}

DetrQueries Detr::queries_for(const Places& places) const {
  const Tensor& memory = places.memory.tokens;
  const auto for_each_image = [&](const Tensor& t) {
    return expand(reshape(t, {1, query_count_, width_}), {memory.size(0), query_count_, width_});
  };
  const Tensor embeddings = for_each_image(weight_for(queries_, memory));
  if (!anchor_sines_.defined()) return {.states = {}, .positions = embeddings, .nearness = {}};
  const Tensor nearness = nearness_of(anchors_, places.memory.keys, places.height, places.width, heads_);
  return {.states = embeddings,
          .positions = for_each_image(cast(anchor_sines_, memory.dtype())),
          .nearness = memory.dtype() == DType::f64 ? cast(nearness, DType::f64) : nearness};
}

Detr::Result Detr::answers(const Tensor& states, std::int64_t layers) const {
  const std::int64_t batch = states.size(0) / layers;
  Tensor box = states;
  for (std::size_t i = 0; i < box_head_.size(); ++i) box = i + 1 < box_head_.size() ? relu(box_head_[i](box)) : box_head_[i](box);
  const auto whole = [](const Tensor& t) { return t.dtype() == DType::bf16 ? cast(t, DType::f32) : t; };
  box = whole(box);
  if (anchor_logits_.defined()) box = add(box, cast(anchor_logits_, box.dtype()));
  const Tensor logits = whole(class_head_(states)), boxes = sigmoid(box);
  return {reshape(logits, {layers, batch, query_count_, logits.size(-1)}), reshape(boxes, {layers, batch, query_count_, 4})};
}

Detr::Result Detr::operator()(const Tensor& images, const Tensor& real, const Run& run) const {
  const Places places = encode(images, real, run);
  const Run of_queries = named(run, ids_of(run, images.size(0), 1, query_count_));
  const Tensor states = transformer_.decode(places.memory, queries_for(places), auxiliary_ && run.training, of_queries);
  return answers(states, states.size(0) / images.size(0));
}

Detr::Observed Detr::observed(const Tensor& images, const Tensor& real, const Run& run) const {
  const Places places = encode(images, real, run);
  const auto [states, weights] = transformer_.observed(places.memory, queries_for(places), run);
  return {.result = answers(states, 1),
          .attention = reshape(cast(weights, DType::f32), {images.size(0), query_count_, places.height, places.width})};
}

}  // namespace capstan::nn
