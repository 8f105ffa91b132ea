#pragma once
// The configuration of BERT pretraining: sections data, instances, model, optimizer, evaluate, predict and bench, beside the engine's own.
// Every field, its range and its help stand here once; README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/activation.h"
#include "data/text/corpus_builder.h"
#include "data/text/tokenizer.h"
#include "nn/relative_position.h"

namespace capstan::bert {

struct DataOptions {
  std::vector<std::string> train, validation, test;
  data::TextForm form = data::TextForm::prose;
  double held_out = 0.1;
  std::string vocabulary;
  std::int64_t vocab_size = 30000;
  bool lower_case = true;
  data::TokenizerVariant tokenizer = data::TokenizerVariant::google;
  std::string prepared;

  template <class V>
  void visit(V& v) {
    v("train", train, "text files or directories of them, plain or gzip, relative to run.data; empty: use what data.prepared holds");
    v("validation", validation, "held-out text for validation; empty: see held_out");
    v("test", test, "held-out text for test; empty: see held_out");
    v("form", form,
      "sentences: one a line, blank lines between documents; paragraphs: one a line, likewise; prose: a file is a document, blank lines "
      "between paragraphs; wikitext: paragraphs and '= headings ='",
      {{"sentences", data::TextForm::sentences},
       {"paragraphs", data::TextForm::paragraphs},
       {"prose", data::TextForm::prose},
       {"wikitext", data::TextForm::wikitext}});
    v("held_out", held_out, "share of the lines at the end of every training file that is held out where validation or test is empty",
      V::fraction());
    v("vocabulary", vocabulary, "vocab.txt, a token a line, relative to run.data; empty: learned from the training text");
    v("vocab_size", vocab_size, "tokens of a learned vocabulary", V::between(32, 1e6));
    v("lower_case", lower_case, "lower-case the text and strip accents (uncased models); with data.train empty as data.prepared says");
    v("tokenizer", tokenizer,
      "whose pieces, where they differ. google: the original; hf_slow, hf_fast: BertTokenizer and BertTokenizerFast of HF transformers; "
      "with "
      "data.train empty as data.prepared says",
      {{"google", data::TokenizerVariant::google},
       {"hf_slow", data::TokenizerVariant::hf_slow},
       {"hf_fast", data::TokenizerVariant::hf_fast}});
    v("prepared", prepared,
      "directory that keeps vocabulary, corpora and instances, relative to the working directory; made anew when texts or options change");
  }
};

enum class InstanceKind {
  dynamic,   ///< pair and mask are drawn anew in every epoch
  original,  ///< create_pretraining_data: made once, dupe_factor times over the text, kept in HDF5
};

struct InstanceOptions {
  InstanceKind kind = InstanceKind::dynamic;
  std::int64_t max_length = 128, max_predictions = 20, dupe_factor = 10, seed = 12345;
  double masked_share = 0.15, short_share = 0.1;
  bool whole_words = false;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "dynamic: pair and mask are drawn anew in every epoch; original: made once, as by create_pretraining_data",
      {{"dynamic", InstanceKind::dynamic}, {"original", InstanceKind::original}});
    v("max_length", max_length, "tokens of an instance with [CLS] and both [SEP]", V::between(5, 65536));
    v("max_predictions", max_predictions, "masked tokens of an instance at most", V::between(1, 65536));
    v("masked_share", masked_share, "share of the tokens that are masked", V::between(0, 1));
    v("short_share", short_share, "share of documents (dynamic: of instances) that aim at a random shorter length", V::between(0, 1));
    v("whole_words", whole_words, "mask the pieces of a word together");
    v("dupe_factor", dupe_factor, "original: passes over the text, each with other masks", V::between(1, 1000));
    v("seed", seed, "seed of pairs and masks; original: that of create_pretraining_data", V::non_negative());
  }
};

struct ModelOptions {
  std::int64_t layers = 12, hidden_size = 768, heads = 12, intermediate_size = 3072, max_positions = 512, token_types = 2;
  Activation activation = Activation::gelu;
  double hidden_dropout = 0.1, attention_dropout = 0.1, initializer_range = 0.02;
  nn::RelativePositions positions = nn::RelativePositions::none;
  bool packed = true;

  template <class V>
  void visit(V& v) {
    v("layers", layers, "encoder layers", V::between(0, 1024));
    v("hidden_size", hidden_size, "width of a token", V::between(1, 65536));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("intermediate_size", intermediate_size, "inner width of the feed-forward part", V::between(1, 1e6));
    v("max_positions", max_positions, "longest sequence that the model can read", V::between(5, 65536));
    v("token_types", token_types, "rows of the segment table", V::between(2, 1024));
    v("activation", activation, "gelu: by erf, as the first releases; gelu_tanh: its approximation, as the last released code",
      {{"gelu", Activation::gelu}, {"gelu_tanh", Activation::gelu_tanh}, {"relu", Activation::relu}, {"tanh", Activation::tanh}});
    v("hidden_dropout", hidden_dropout, "share of activations set to zero in training", V::fraction());
    v("attention_dropout", attention_dropout, "share of attention probabilities set to zero in training", V::fraction());
    v("initializer_range", initializer_range, "standard deviation of the initial matrices, cut off at two", V::positive());
    v("positions", positions, "absolute: a learned vector a position; relative_key, relative_key_query: a vector a distance in every layer",
      {{"absolute", nn::RelativePositions::none},
       {"relative_key", nn::RelativePositions::key},
       {"relative_key_query", nn::RelativePositions::key_query}});
    v("packed", packed, "compute without padding; the losses are the same either way. Relative positions always pad");
  }
};

enum class ScheduleKind { google, linear, constant };

struct OptimizerOptions {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, weight_decay = 0.01;
  ScheduleKind schedule = ScheduleKind::linear;
  std::int64_t warmup_steps = 0, steps = 0;
  double warmup_share = 0.1;

  template <class V>
  void visit(V& v) {
    v("learning_rate", learning_rate, "peak learning rate", V::positive());
    v("beta1", beta1, "decay of the first moment", V::fraction());
    v("beta2", beta2, "decay of the second moment", V::fraction());
    v("epsilon", epsilon, "added to the root; there is no bias correction", V::positive());
    v("weight_decay", weight_decay, "of matrices and embeddings; biases and layer norms do not decay", V::non_negative());
    v("schedule", schedule, "after the warm-up. google: peak (1 - s / steps); linear: continuous, to 0 at the end; constant",
      {{"google", ScheduleKind::google}, {"linear", ScheduleKind::linear}, {"constant", ScheduleKind::constant}});
    v("warmup_steps", warmup_steps, "steps of linear warm-up from 0; 0: see warmup_share", V::non_negative());
    v("warmup_share", warmup_share, "the warm-up as a share of all steps", V::fraction());
    v("steps", steps, "optimiser steps that the schedule spans; 0: those of train.epochs", V::non_negative());
  }
};

struct EvaluateOptions {
  std::int64_t instances = 2000, batch_size = 32;
  bool baselines = true;

  template <class V>
  void visit(V& v) {
    v("instances", instances, "instances of the held-out text to evaluate, spread evenly over it; 0: all", V::non_negative());
    v("batch_size", batch_size, "instances computed at a time", V::between(1, 65536));
    v("baselines", baselines, "report what the frequencies of the training tokens alone would give");
  }
};

enum class PredictTask { automatic, fill, next_sentence, features };
enum class PredictFormat { tsv, jsonl };

struct PredictOptions {
  PredictTask task = PredictTask::automatic;
  PredictFormat format = PredictFormat::tsv;
  std::int64_t top = 5, max_length = 0, batch_size = 32;
  std::vector<std::int64_t> layers{-1, -2, -3, -4};

  template <class V>
  void visit(V& v) {
    v("task", task,
      "fill: the [MASK] of a line; next_sentence: whether the second of 'a ||| b' (or a tab between) follows the first; features: hidden "
      "states (of 'a ||| b' or one text); "
      "auto: fill if the line holds [MASK], else next_sentence",
      {{"auto", PredictTask::automatic},
       {"fill", PredictTask::fill},
       {"next_sentence", PredictTask::next_sentence},
       {"features", PredictTask::features}});
    v("format", format, "form of an answer; features are JSON in any case", {{"tsv", PredictFormat::tsv}, {"jsonl", PredictFormat::jsonl}});
    v("top", top, "tokens listed for a mask", V::between(1, 1e6));
    v("max_length", max_length, "tokens read of a line with [CLS] and [SEP]; 0: model.max_positions", V::non_negative());
    v("batch_size", batch_size, "lines computed at a time", V::between(1, 65536));
    v("layers", layers, "features: layers to write, -1 being the last", V::between(-1024, -1));
  }
};

struct BenchOptions {
  std::int64_t vocab_size = 30522;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "vocabulary of `capstan bench`", V::between(32, 1e7));
  }
};

struct Config {
  DataOptions data;
  InstanceOptions instances;
  ModelOptions model;
  OptimizerOptions optimizer;
  EvaluateOptions evaluate;
  PredictOptions predict;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("instances", instances);
    v.section("model", model);
    v.section("optimizer", optimizer);
    v.section("evaluate", evaluate);
    v.section("predict", predict);
    v.section("bench", bench);
  }

  /// Rules across fields. Throws ConfigError.
  void validate() const {
    require<ConfigError>(instances.max_length <= model.max_positions,
                         "bert: instances.max_length must not exceed model.max_positions, got ", instances.max_length, " and ",
                         model.max_positions);
    require<ConfigError>(predict.max_length <= model.max_positions, "bert: predict.max_length must not exceed model.max_positions, got ",
                         predict.max_length, " and ", model.max_positions);
    require<ConfigError>(predict.max_length == 0 || predict.max_length >= 5, "bert: predict.max_length must be 0 or at least 5, got ",
                         predict.max_length);
    require<ConfigError>(model.hidden_size % model.heads == 0, "bert: model.hidden_size must be a multiple of model.heads, got ",
                         model.hidden_size, " and ", model.heads);
    for (const std::int64_t layer : predict.layers)
      require<ConfigError>(predict.task != PredictTask::features || -layer <= model.layers + 1,
                           "bert: predict.layers must name layers of the model or its embeddings, -1 to ", -model.layers - 1, ", got ",
                           layer);
    if (optimizer.steps > 0)
      require<ConfigError>(optimizer.warmup_steps < optimizer.steps, "bert: optimizer.warmup_steps must be below optimizer.steps, got ",
                           optimizer.warmup_steps, " and ", optimizer.steps);
  }
};

}  // namespace capstan::bert
