#include "nn/models/bert_names.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::nn {
namespace {

bool has(std::span<const std::string> names, std::string_view name) { return std::ranges::find(names, name) != names.end(); }

bool has_ending(std::span<const std::string> names, std::string_view end) {
  return std::ranges::any_of(names, [&](const std::string& n) { return n.ends_with(end); });
}

/// Paths of our heads, and of the pooler, which span extraction and masked tokens do without.
const std::vector<std::string>& heads() {
  static const std::vector<std::string> all{"cls", "classifier", "qa_outputs", "bert/pooler"};
  return all;
}

/// A model as one of the two programs writes it: the names of the parts of a layer, and how a name is put together.
struct Spelling {
  std::string separator, layer;           // "bert/encoder/layer_" and "bert.encoder.layer."
  std::string kernel, bias, gain, shift;  // of a matrix and of a normalisation
  bool turned = false;                    // matrices are [in, out]
};

class Pairs {
 public:
  explicit Pairs(Spelling spelling) : s_(std::move(spelling)) {}

  void table(const std::string& theirs, const std::string& ours) { out_.pairs.push_back({.theirs = theirs, .ours = ours}); }
  void linear(const std::string& theirs, const std::string& ours) {
    out_.pairs.push_back({.theirs = theirs + s_.separator + s_.kernel, .ours = ours + "/weight"});
    if (s_.turned) out_.pairs.back().axes = {1, 0};
    out_.pairs.push_back({.theirs = theirs + s_.separator + s_.bias, .ours = ours + "/bias"});
  }
  void norm(const std::string& theirs, const std::string& ours) {
    out_.pairs.push_back({.theirs = theirs + s_.separator + s_.gain, .ours = ours + "/weight"});
    out_.pairs.push_back({.theirs = theirs + s_.separator + s_.shift, .ours = ours + "/bias"});
  }
  ForeignNames take() { return std::move(out_); }

  void embeddings_and_layers(const std::string& prefix, const BertOptions& o) {
    const std::string& dot = s_.separator;
    const std::string table_end = s_.turned ? "" : ".weight", embeddings = prefix + "embeddings" + dot;
    table(embeddings + "word_embeddings" + table_end, "bert/embeddings/word_embeddings");
    if (o.positions == RelativePositions::none)
      table(embeddings + "position_embeddings" + table_end, "bert/embeddings/position_embeddings");
    table(embeddings + "token_type_embeddings" + table_end, "bert/embeddings/token_type_embeddings");
    norm(embeddings + "LayerNorm", "bert/embeddings/LayerNorm");
    for (std::int64_t i = 0; i < o.layers; ++i) {
      const std::string theirs = join_text(prefix, "encoder", dot, s_.layer, i, dot), ours = join_text("bert/encoder/layer_", i, "/");
      for (const std::string part : {"query", "key", "value"})
        linear(theirs + "attention" + dot + "self" + dot + part, ours + "attention/" + part);
      if (o.positions != RelativePositions::none)
        table(theirs + "attention" + dot + "self" + dot + "distance_embedding" + table_end, ours + "attention/distance_embedding");
      linear(theirs + "attention" + dot + "output" + dot + "dense", ours + "attention/output");
      norm(theirs + "attention" + dot + "output" + dot + "LayerNorm", ours + "attention_norm");
      linear(theirs + "intermediate" + dot + "dense", ours + "feed_forward/inner");
      linear(theirs + "output" + dot + "dense", ours + "feed_forward/outer");
      norm(theirs + "output" + dot + "LayerNorm", ours + "feed_forward_norm");
    }
    linear(prefix + "pooler" + dot + "dense", "bert/pooler/dense");
  }

 private:
  Spelling s_;
  ForeignNames out_;
};

constexpr std::string_view kWords = "embeddings.word_embeddings.weight", kGoogleWords = "bert/embeddings/word_embeddings";

}  // namespace

bool is_hugging_face_bert(std::span<const std::string> names) { return has(names, kWords) || has(names, join_text("bert.", kWords)); }

bool is_google_bert(std::span<const std::string> names) { return has(names, kGoogleWords) && has_ending(names, "/self/query/kernel"); }

ForeignNames hugging_face_names(const BertOptions& o, std::span<const std::string> names) {
  const std::string prefix = has(names, kWords) ? "" : "bert.";
  const bool old = has_ending(names, "LayerNorm.gamma");
  Pairs pairs({.separator = ".",
               .layer = "layer.",
               .kernel = "weight",
               .bias = "bias",
               .gain = old ? "gamma" : "weight",
               .shift = old ? "beta" : "bias"});
  pairs.embeddings_and_layers(prefix, o);
  pairs.table("cls.predictions.bias", "cls/predictions/output_bias");
  pairs.linear("cls.predictions.transform.dense", "cls/predictions/transform/dense");
  pairs.norm("cls.predictions.transform.LayerNorm", "cls/predictions/transform/LayerNorm");
  pairs.linear("cls.seq_relationship", "cls/seq_relationship");
  pairs.linear("classifier", "classifier");
  pairs.linear("qa_outputs", "qa_outputs");
  ForeignNames out = pairs.take();
  out.ignored = {prefix + "embeddings.position_ids", prefix + "embeddings.token_type_ids"};
  out.copies = {{"cls.predictions.decoder.weight", join_text(prefix, kWords)}, {"cls.predictions.decoder.bias", "cls.predictions.bias"}};
  if (o.positions != RelativePositions::none) out.ignored.push_back(prefix + "embeddings.position_embeddings.weight");  // there, not used
  out.heads = heads();
  return out;
}

ForeignNames google_names(const BertOptions& o, std::span<const std::string> names) {
  Pairs pairs({.separator = "/", .layer = "layer_", .kernel = "kernel", .bias = "bias", .gain = "gamma", .shift = "beta", .turned = true});
  pairs.embeddings_and_layers("bert/", o);
  pairs.table("cls/predictions/output_bias", "cls/predictions/output_bias");
  pairs.linear("cls/predictions/transform/dense", "cls/predictions/transform/dense");
  pairs.norm("cls/predictions/transform/LayerNorm", "cls/predictions/transform/LayerNorm");
  pairs.table("cls/seq_relationship/output_weights", "cls/seq_relationship/weight");
  pairs.table("cls/seq_relationship/output_bias", "cls/seq_relationship/bias");
  pairs.table("output_weights", "classifier/weight");  // of a program that fine-tuned
  pairs.table("output_bias", "classifier/bias");
  ForeignNames out = pairs.take();
  for (const std::string& name : names)
    if (name == "global_step" || name.ends_with("/adam_m") || name.ends_with("/adam_v")) out.ignored.push_back(name);
  out.heads = heads();
  return out;
}

}  // namespace capstan::nn
