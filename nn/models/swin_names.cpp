#include "nn/models/swin_names.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/grid_interpolation.h"
#include "nn/models/swin.h"

namespace capstan::nn {
namespace {

bool has(std::span<const std::string> names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

/// Rows [.., N, width] of a square grid as those of another square grid, ours [N', width].
Tensor resized_rows(const Tensor& theirs, const Shape& ours) {
  const std::int64_t width = ours[1];
  if (theirs.rank() < 2 || theirs.size(theirs.rank() - 1) != width) return {};
  const Tensor rows = reshape(cast(theirs.contiguous(), DType::f32), {theirs.numel() / width, width});
  const std::int64_t from = square_side(rows.size(0)), to = square_side(ours[0]);
  return from == 0 || to == 0 ? Tensor{} : interpolate_grid(rows, {from, from}, {to, to}, Interpolation::bicubic);
}

/// What the parts of a block and of a stage are called.
struct Words {
  std::string prefix, first_norm, output, second_norm, inner, outer;
};

class Pairs : public ForeignNames {
 public:
  explicit Pairs(const SwinOptions& o) : o_(o) { heads = {"head"}; }

  void positions(const std::string& theirs) {
    if (!o_.absolute_positions) return;
    TensorPair& p = add(theirs, "positions");
    const auto [rows, columns] = swin_grid(o_, 0, o_.image_size, o_.image_size);
    p.shape = Shape{1, rows * columns, o_.hidden_size};
    p.resized = resized_rows;
    p.written = [](const Tensor& ours, const Shape& shape) {
      return ours.size(0) == shape[1] ? ours : resized_rows(ours, {shape[1], shape[2]});
    };
  }
  /// The blocks of all stages. `attention`(theirs, ours, width) adds query, key and value.
  template <class Attention>
  void blocks(const Words& w, const Attention& attention) {
    for (std::size_t i = 0; i < o_.depths.size(); ++i)
      for (std::int64_t j = 0; j < o_.depths[i]; ++j) {
        const std::string theirs = join_text(w.prefix, "layers.", i, ".blocks.", j, "."),
                          ours = join_text("stages/", i, "/blocks/", j, "/");
        both(theirs + w.first_norm, ours + "attention_norm");
        attention(theirs, ours + "attention/", o_.hidden_size << i);
        both(theirs + w.output, ours + "attention/output");
        both(theirs + w.second_norm, ours + "feed_forward_norm");
        both(theirs + w.inner, ours + "feed_forward/inner");
        both(theirs + w.outer, ours + "feed_forward/outer");
      }
  }
  void table(const std::string& theirs, const std::string& ours) {
    TensorPair& p = add(theirs + ".relative_position_bias_table", ours + "relative_position_bias_table");
    p.resized = resized_rows;
    p.resizing = [](const Shape& from, const Shape& to) {
      return join_text("relative_position_bias_table of ", to, " is interpolated from ", from);
    };
  }
  /// `first`: the number of the stage that the first merging is counted with.
  void mergings(const std::string& prefix, std::size_t first) {
    for (std::size_t i = 0; i + 1 < o_.depths.size(); ++i) {
      const std::string theirs = join_text(prefix, "layers.", i + first, ".downsample."), ours = join_text("stages/", i, "/merging/");
      add(theirs + "reduction.weight", ours + "reduction/weight");
      both(theirs + "norm", ours + "norm");
    }
  }
  void patches(const std::string& projection, const std::string& norm) {
    both(projection, "patches");
    if (o_.patch_norm) both(norm, "patch_norm");
  }
  /// The three of `names`, one a part of ours.
  void apart(const std::string& theirs, const std::string& ours) {
    for (const std::string part : {"query", "key", "value"}) {
      add(join_text(theirs, ".", part, ".weight"), join_text(ours, part, "/weight"));
      if (o_.qkv_bias) add(join_text(theirs, ".", part, ".bias"), join_text(ours, part, "/bias"));
    }
  }
  void fused(const std::string& theirs, const std::string& ours, std::int64_t width) {
    std::int64_t part = 0;
    for (const std::string name : {"query", "key", "value"}) {
      for (const std::string of : {"weight", "bias"}) {
        if (of == "bias" && !o_.qkv_bias) continue;
        TensorPair& p = add(join_text(theirs, ".", of), join_text(ours, name, "/", of));
        p.first = part * width;
        p.rows = 3 * width;
      }
      ++part;
    }
  }
  /// Indices and masks, as the original code stores them.
  void ignore_computed() {
    for (std::size_t i = 0; i < o_.depths.size(); ++i)
      for (std::int64_t j = 0; j < o_.depths[i]; ++j) {
        const std::string block = join_text("layers.", i, ".blocks.", j, ".");
        for (const std::string name : {"attn.relative_position_index", "attn_mask"}) ignored.push_back(block + name);
      }
  }

  ForeignNames take() { return std::move(*this); }

 private:
  const SwinOptions& o_;
};

/// timm's and the original's, which differ in where mergings are counted and in the classifier.
ForeignNames with_fused_matrices(const SwinOptions& o, std::size_t first_merging, const std::string& classifier) {
  Pairs pairs(o);
  pairs.patches("patch_embed.proj", "patch_embed.norm");
  pairs.positions("absolute_pos_embed");
  pairs.blocks({.prefix = "", .first_norm = "norm1", .output = "attn.proj", .second_norm = "norm2", .inner = "mlp.fc1", .outer = "mlp.fc2"},
               [&](const std::string& theirs, const std::string& ours, std::int64_t width) {
                 pairs.table(theirs + "attn", ours);
                 pairs.fused(theirs + "attn.qkv", ours, width);
               });
  pairs.mergings("", first_merging);
  pairs.both("norm", "norm");
  pairs.both(classifier, "head");
  pairs.ignore_computed();
  return pairs.take();
}

}  // namespace

bool is_hugging_face_swin(std::span<const std::string> names) {
  constexpr std::string_view kTable = "encoder.layers.0.blocks.0.attention.self.relative_position_bias_table";
  return has(names, join_text("swin.", kTable)) || has(names, kTable);
}
bool is_timm_swin(std::span<const std::string> names) {
  // Of one stage there is no merging to tell them apart by, only the classifier.
  const bool behind = has(names, "layers.1.downsample.reduction.weight") && !has(names, "layers.0.downsample.reduction.weight");
  return has(names, "layers.0.blocks.0.attn.relative_position_bias_table") && (behind || has(names, "head.fc.weight"));
}
bool is_original_swin(std::span<const std::string> names) {
  return has(names, "layers.0.blocks.0.attn.relative_position_bias_table") && !is_timm_swin(names);
}

ForeignNames hugging_face_names(const SwinOptions& o, std::span<const std::string> names) {
  const std::string prefix = has(names, "embeddings.patch_embeddings.projection.weight") ? "" : "swin.";
  Pairs pairs(o);
  pairs.patches(prefix + "embeddings.patch_embeddings.projection", prefix + "embeddings.norm");
  pairs.positions(prefix + "embeddings.position_embeddings");
  pairs.blocks({.prefix = prefix + "encoder.",
                .first_norm = "layernorm_before",
                .output = "attention.output.dense",
                .second_norm = "layernorm_after",
                .inner = "intermediate.dense",
                .outer = "output.dense"},
               [&](const std::string& theirs, const std::string& ours, std::int64_t) {
                 pairs.table(theirs + "attention.self", ours);
                 pairs.apart(theirs + "attention.self", ours);
               });
  pairs.mergings(prefix + "encoder.", 0);
  pairs.both(prefix + "layernorm", "norm");
  pairs.both("classifier", "head");
  ForeignNames out = pairs.take();
  for (std::size_t i = 0; i < o.depths.size(); ++i)  // of old files
    for (std::int64_t j = 0; j < o.depths[i]; ++j)
      out.ignored.push_back(join_text(prefix, "encoder.layers.", i, ".blocks.", j, ".attention.self.relative_position_index"));
  out.ignored.push_back(prefix + "embeddings.mask_token");  // of pre-training by masked images, as is decoder
  for (const std::string head : {"swin/pooler", "pooler", "decoder"}) out.heads.push_back(head);
  return out;
}

ForeignNames timm_names(const SwinOptions& o) { return with_fused_matrices(o, 1, "head.fc"); }

ForeignNames original_names(const SwinOptions& o) { return with_fused_matrices(o, 0, "head"); }

}  // namespace capstan::nn
