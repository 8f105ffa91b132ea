#include "nn/models/detr_names.h"

#include <algorithm>
#include <array>
#include <utility>

#include "autograd/core/error.h"
#include "nn/models/resnet_names.h"
#include "nn/transformer_names.h"

namespace capstan::nn {
namespace {

constexpr std::string_view kOriginalBackbone = "backbone.0.body.", kHuggingFaceBackbone = "backbone.conv_encoder.model.";
constexpr std::string_view kQueries = "query_position_embeddings.weight";
const std::string kOwnStem = "embedder.embedder.convolution.weight";  // of the ResNet of transformers

bool holds(std::span<const std::string> names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

/// Adds a ResNet, which is part of a model of theirs that has no classifier of its own.
void add_backbone(ForeignNames& to, ForeignNames backbone, std::string_view theirs) {
  for (TensorPair& pair : backbone.pairs) {
    if (pair.ours.starts_with("head/")) continue;
    pair.theirs = join_text(theirs, pair.theirs);
    pair.ours = join_text("backbone/", pair.ours);
    to.pairs.push_back(std::move(pair));
  }
  for (const std::string& name : backbone.ignored) to.ignored.push_back(join_text(theirs, name));
  for (const std::string& head : backbone.heads)
    if (head != "head") to.heads.push_back(join_text("backbone/", head));
}

void add_answers(ForeignNames& to, const std::string& class_head, const std::string& box_head) {
  to.both(class_head, "class_head");
  for (int i = 0; i < 3; ++i) to.both(join_text(box_head, ".layers.", i), join_text("box_head/", i));
  to.heads.insert(to.heads.end(), {"class_head", "box_head"});
}

void add_learned_positions(ForeignNames& to, const DetrOptions& o, std::string_view theirs, std::string_view rows,
                           std::string_view columns) {
  if (o.positions != DetrPositions::learned) return;
  to.add(join_text(theirs, rows, ".weight"), "row_positions");
  to.add(join_text(theirs, columns, ".weight"), "column_positions");
}

/// An attention of Hugging Face, with a projection a matrix.
void add_attention(ForeignNames& to, const std::string& theirs, const std::string& ours) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kParts{
      {{"q_proj", "query"}, {"k_proj", "key"}, {"v_proj", "value"}, {"out_proj", "output"}}};
  for (const auto& [their_part, our_part] : kParts) to.both(join_text(theirs, ".", their_part), join_text(ours, "/", our_part));
}

void add_feed_forward(ForeignNames& to, const std::string& theirs, const std::string& ours) {
  to.both(theirs + "fc1", ours + "feed_forward/inner");
  to.both(theirs + "fc2", ours + "feed_forward/outer");
  to.both(theirs + "final_layer_norm", ours + "feed_forward_norm");
}

}  // namespace

bool is_original_detr(std::span<const std::string> names) {
  return holds(names, "class_embed.weight") && holds(names, "query_embed.weight") && holds(names, "input_proj.weight");
}

bool is_hugging_face_detr(std::span<const std::string> names) {
  return (holds(names, "model.query_position_embeddings.weight") && holds(names, "model.input_projection.weight")) ||
         (holds(names, kQueries) && holds(names, "input_projection.weight"));
}

ForeignNames original_detr_names(const DetrOptions& o, const ResNetOptions& backbone) {
  ForeignNames names;
  add_torch_encoder(names, "transformer.encoder.", "encoder/", detr_encoder_options(o));
  add_torch_decoder(names, "transformer.decoder.", "decoder/", detr_decoder_options(o));
  add_answers(names, "class_embed", "bbox_embed");
  names.add("query_embed.weight", "queries");
  names.both("input_proj", "projection");
  add_backbone(names, torchvision_names(backbone), kOriginalBackbone);
  add_learned_positions(names, o, "backbone.1.", "row_embed", "col_embed");
  return names;
}

ForeignNames hugging_face_detr_names(const DetrOptions& o, const ResNetOptions& backbone, std::span<const std::string> names) {
  ForeignNames out;
  const std::string model = holds(names, kQueries) ? "" : "model.", stem = join_text(model, kHuggingFaceBackbone);
  const bool of_timm = names.empty() ? backbone.dilate_last : holds(names, stem + "conv1.weight");
  add_backbone(out, of_timm ? torchvision_names(backbone) : hugging_face_names(backbone, std::array{kOwnStem}), stem);
  // Before release 5 they were part of the backbone.
  const bool early = holds(names, model + "backbone.position_embedding.row_embeddings.weight");
  add_learned_positions(out, o, join_text(model, early ? "backbone." : "", "position_embedding."), "row_embeddings", "column_embeddings");
  out.add(join_text(model, kQueries), "queries");
  out.both(model + "input_projection", "projection");
  for (std::int64_t i = 0; i < o.encoder_layers; ++i) {
    const std::string theirs = join_text(model, "encoder.layers.", i, "."), ours = join_text("encoder/", i, "/");
    add_attention(out, theirs + "self_attn", ours + "attention");
    out.both(theirs + "self_attn_layer_norm", ours + "attention_norm");
    add_feed_forward(out, theirs, ours);
  }
  for (std::int64_t i = 0; i < o.decoder_layers; ++i) {
    const std::string theirs = join_text(model, "decoder.layers.", i, "."), ours = join_text("decoder/", i, "/");
    add_attention(out, theirs + "self_attn", ours + "self_attention");
    out.both(theirs + "self_attn_layer_norm", ours + "self_attention_norm");
    add_attention(out, theirs + "encoder_attn", ours + "cross_attention");
    out.both(theirs + "encoder_attn_layer_norm", ours + "cross_attention_norm");
    add_feed_forward(out, theirs, ours);
  }
  out.both(model + "decoder.layernorm", "decoder/norm");
  add_answers(out, "class_labels_classifier", "bbox_predictor");
  return out;
}

ForeignNames detr_backbone_names(const ForeignNames& resnet) {
  ForeignNames out = resnet;
  for (TensorPair& pair : out.pairs) pair.ours = join_text("backbone/", pair.ours);
  for (std::string& head : out.heads) head = join_text("backbone/", head);
  for (const char* own : {"projection", "encoder", "decoder", "queries", "class_head", "box_head", "row_positions", "column_positions"})
    out.heads.emplace_back(own);
  return out;
}

}  // namespace capstan::nn
