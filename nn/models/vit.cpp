#include "nn/models/vit.h"

#include <cmath>
#include <optional>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/models/vit_stem.h"
#include "nn/patch_embedding.h"
#include "nn/transformer_stack.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

const VitOptions& checked(const VitOptions& o) {
  check(o, o.image_size);
  return o;
}

/// Patches along each axis of an image of options.image_size.
std::int64_t training_grid(const VitOptions& o) { return VitImageStem::feature_size(o, o.image_size, o.image_size).first / o.patch_size; }

/// What each part starts from.
struct Initials {
  Initializer patches, attention, mlp, mlp_bias, class_token, positions, representation, head;
};
Initials initials(const VitOptions& o) {
  const Initializer zero = zeros(), small = truncated_normal(.02), by_fan = fan_in_uniform();
  // Normal with standard deviation sqrt(1 / fan in) after being cut at two of its own.
  const auto lecun = [](std::int64_t fan_in) { return truncated_normal(std::sqrt(1.0 / static_cast<double>(fan_in)) / .87962566); };
  const std::int64_t patch = VitImageStem::channels(o) * o.patch_size * o.patch_size;
  switch (o.initial_values) {
    case VitInitialValues::flax:
      return {lecun(patch), glorot_uniform(), glorot_uniform(), normal(1e-6), zero, normal(.02), lecun(o.hidden_size), zero};
    case VitInitialValues::torch_port: return {by_fan, by_fan, glorot_uniform(), normal(1e-6), zero, zero, by_fan, by_fan};
    case VitInitialValues::timm: return {by_fan, small, small, zero, normal(1e-6), small, small, small};
    case VitInitialValues::transformers: return {small, small, small, zero, small, small, small, small};
  }
  throw InternalError("vit: unknown initial values");
}

}  // namespace

void check(const VitOptions& o, std::int64_t image_size, std::string_view key) {
  require<ConfigError>(o.hidden_size % o.heads == 0, "vit: model.heads must divide model.hidden_size: hidden_size ", o.hidden_size,
                       ", heads ", o.heads);
  require<ConfigError>(o.stem != VitStem::resnet || o.stem_width % 32 == 0,
                       "vit: model.stem_width must be a multiple of 32: ", o.stem_width);
  constexpr std::size_t kMaxStages = 8;  // width and stride double with each
  require<ConfigError>(o.stem != VitStem::resnet || o.stem_blocks.size() <= kMaxStages, "vit: model.stem_blocks names ",
                       o.stem_blocks.size(), " stages, at most ", kMaxStages, " are possible");
  ConvStem::check(conv_stem_options(o), "vit");
  const bool stem = o.stem != VitStem::patches;
  const std::int64_t source = VitImageStem::feature_size(o, image_size, image_size).first;
  require<ConfigError>(source > 0 && source % o.patch_size == 0, "vit: model.patch_size must divide ",
                       stem ? "the size of the stem's features of " : "", key, ": image_size ", image_size,
                       stem ? join_text(", features ", source) : "", ", patch_size ", o.patch_size);
}

struct Vit::Parts {
  Parts(const Scope& scope, const VitOptions& o);

  VitOptions options;
  std::int64_t trained_grid;
  VitImageStem stem;
  PatchEmbedding patches;
  Parameter class_token;  // [C], undefined without one
  Parameter positions;    // [T, C], the class token's first
  Dropout embedding_dropout;
  TransformerStack<EncoderLayer> encoder;
  std::optional<Linear> representation;
  Linear head;

  bool has_class_token() const { return class_token.defined(); }
  /// The run with a number for each of T tokens of each image, if its images have numbers.
  Run run_of_tokens(const Run& run, std::int64_t images, std::int64_t tokens) const;
  /// Positions for a grid of another size: [T, C].
  Tensor positions_for(const std::pair<std::int64_t, std::int64_t>& grid) const;
  /// What the encoder reads: [B, T, C].
  Tensor embed(const Tensor& images, const Run& run) const;
  /// What the classifier makes of the class token or of the mean of the patches [B, C].
  Tensor classify(const Tensor& pooled) const;

 private:
  Parts(const Scope& scope, const VitOptions& o, const Initials& init);
};

Vit::Parts::Parts(const Scope& scope, const VitOptions& o) : Parts(scope, o, initials(checked(o))) {}

Vit::Parts::Parts(const Scope& scope, const VitOptions& o, const Initials& init)
    : options(o),
      trained_grid(training_grid(o)),
      stem((scope / "stem").at_depth(0), o),
      patches((scope / "patches").at_depth(0),
              {.channels = VitImageStem::channels(o), .patch = o.patch_size, .width = o.hidden_size, .init = init.patches}),
      class_token(o.head == VitHeadInput::token
                      ? scope.at_depth(0).parameter("class_token", {o.hidden_size}, init.class_token, {.decay = false})
                      : Parameter()),
      positions(scope.at_depth(0).parameter("positions", {trained_grid * trained_grid + (has_class_token() ? 1 : 0), o.hidden_size},
                                            init.positions, {.decay = false})),
      embedding_dropout(scope / "embedding_dropout", o.dropout),
      encoder(scope / "encoder", {.layers = o.layers,
                                  .layer = {.width = o.hidden_size,
                                            .heads = o.heads,
                                            .inner = o.mlp_size,
                                            .activation = o.activation,
                                            .pre_norm = true,
                                            .dropout = o.dropout,
                                            .attention_dropout = o.attention_dropout,
                                            .activation_dropout = o.dropout,
                                            .stochastic_depth = o.stochastic_depth,
                                            .epsilon = o.norm_epsilon,
                                            .init = init.attention,
                                            .feed_forward_init = init.mlp,
                                            .feed_forward_bias_init = init.mlp_bias}}),
      representation(
          o.representation_size > 0
              ? std::optional<Linear>(std::in_place, scope / "representation",
                                      LinearOptions{.in = o.hidden_size, .out = o.representation_size, .init = init.representation})
              : std::nullopt),
      head(scope / "head", {.in = o.representation_size > 0 ? o.representation_size : o.hidden_size, .out = o.classes, .init = init.head}) {
}

Run Vit::Parts::run_of_tokens(const Run& run, std::int64_t images, std::int64_t tokens) const {
  if (!run.training || !run.token_ids.defined()) return run;
  require(run.token_ids.numel() == images, "vit: run.token_ids must name each image: images ", images, ", token_ids ", run.token_ids);
  const Tensor given = run.token_ids.contiguous(), ids(Shape{images * tokens}, DType::i64);
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ids.data<std::int64_t>()[i] = given.data<const std::int64_t>()[i / tokens] * tokens + i % tokens;
  Run of_tokens = run;
  of_tokens.token_ids = ids;
  return of_tokens;
}

Tensor Vit::Parts::positions_for(const std::pair<std::int64_t, std::int64_t>& grid) const {
  const std::pair trained{trained_grid, trained_grid};
  if (grid == trained) return positions.value();
  const std::int64_t first = has_class_token() ? 1 : 0, count = trained_grid * trained_grid;
  const Tensor resized = interpolate_grid(slice(positions.value(), 0, first, count), trained, grid, options.interpolation);  // [N, C]
  return has_class_token() ? concat({slice(positions.value(), 0, 0, 1), resized}, 0) : resized;
}

Tensor Vit::Parts::embed(const Tensor& images, const Run& run) const {
  const Tensor source = stem(images, run);
  const Tensor tokens = patches(source);  // [B, N, C]
  const Tensor placed = cast(positions_for(patches.grid(source.size(2), source.size(3))), tokens.dtype());
  if (!has_class_token()) return add(tokens, placed);
  const Tensor token = expand(weight_for(class_token, tokens), Shape{tokens.size(0), 1, tokens.size(2)});
  return add(concat({token, tokens}, 1), placed);  // [B, T, C]
}

Tensor Vit::Parts::classify(const Tensor& pooled) const {
  const Tensor logits = head(representation ? tanh((*representation)(pooled)) : pooled);  // [B, classes]
  return logits.dtype() == DType::bf16 ? cast(logits, DType::f32) : logits;
}

Vit::Vit(const Scope& scope, const VitOptions& options) : parts_(std::make_unique<const Parts>(scope, options)) {}
Vit::Vit(Vit&&) noexcept = default;
Vit& Vit::operator=(Vit&&) noexcept = default;
Vit::~Vit() = default;

Tensor Vit::logits(const Tensor& images, const Run& run) const {
  const Tensor x = parts_->embed(images, run);
  const Run tokens = parts_->run_of_tokens(run, x.size(0), x.size(1));
  const Tensor embedded = parts_->embedding_dropout(x, tokens);
  return parts_->classify(has_class_token() ? parts_->encoder.first_token(embedded, {}, tokens)
                                            : mean(parts_->encoder(embedded, {}, tokens), {1}));
}

Vit::WithAttention Vit::with_attention(const Tensor& images, const Run& run) const {
  const Tensor x = parts_->embed(images, run);
  const Run tokens = parts_->run_of_tokens(run, x.size(0), x.size(1));
  auto encoded = parts_->encoder.with_weights(parts_->embedding_dropout(x, tokens), {}, tokens);
  return {parts_->classify(has_class_token() ? select(encoded.output, 1, 0) : mean(encoded.output, {1})), std::move(encoded.weights)};
}

std::pair<std::int64_t, std::int64_t> Vit::grid(std::int64_t image_height, std::int64_t image_width) const {
  const auto [height, width] = VitImageStem::feature_size(parts_->options, image_height, image_width);
  return parts_->patches.grid(height, width);
}

bool Vit::has_class_token() const { return parts_->has_class_token(); }
std::vector<Parameter> Vit::class_parameters() const { return {parts_->head.weight(), parts_->head.bias()}; }
const VitOptions& Vit::options() const { return parts_->options; }

std::int64_t smallest_training_batch(const VitOptions& o, std::int64_t image_height, std::int64_t image_width) {
  if (o.stem != VitStem::convolutions) return 1;
  const auto [height, width] = ConvStem::feature_size(conv_stem_options(o), image_height, image_width);
  return height * width > 1 ? 1 : 2;
}

}  // namespace capstan::nn
