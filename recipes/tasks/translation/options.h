#pragma once
// The configuration of the task: sections data, loss, generation and bench, and keys of evaluate beside the engine's own. Every field, its
// range and its help stand here once; recipes/translate/README.md explains the choices that matter. train.batch_size counts target tokens.

#include <cstdint>
#include <string>

#include "data/text/subword.h"
#include "recipes/tasks/text/generation.h"
#include "recipes/tasks/text/subwords.h"

namespace capstan::translation {

enum class VocabularyKind {
  joint,     ///< one for both languages
  separate,  ///< one for each
};

/// Where pairs come from.
enum class Origin {
  files,
  copy,     ///< generated letters, written as they are read
  reverse,  ///< the same from the last one on
};

struct DataOptions {
  Origin origin = Origin::files;
  std::int64_t generated = 4000;
  std::string source = "en", target = "de";
  std::string train = "train", validation = "val", test = "test";
  VocabularyKind vocabulary = VocabularyKind::joint;
  std::string source_model, target_model;
  data::SubwordOptions subwords;
  std::int64_t max_length = 128;
  double max_ratio = 0, bpe_dropout = 0;
  std::string prepared;

  template <class V>
  void visit(V& v) {
    v("origin", origin,
      "files: line-aligned texts; copy, reverse: generated letters, written as they are read or from the last one on, to try things out",
      {{"files", Origin::files}, {"copy", Origin::copy}, {"reverse", Origin::reverse}})
        .of_data();
    v("generated", generated, "copy, reverse: training pairs; a twentieth as many for validation and for test", V::between(100, 1e7))
        .of_data();
    v("source", source, "language that is translated from: the end of the names of its files");
    v("target", target, "language that is translated to");
    v("train", train, "what stands before the languages in the names of the training files, plain or with .gz behind, relative to run.data")
        .of_use();
    v("validation", validation, "the same of the files for validation").of_use();
    v("test", test, "the same of the files for test; empty: there are none").of_use();
    v("vocabulary", vocabulary, "joint: one for both languages; separate: one for each",
      {{"joint", VocabularyKind::joint}, {"separate", VocabularyKind::separate}});
    v("source_model", source_model,
      "a model file of sentencepiece, relative to run.data, for the source, or of a joint vocabulary; empty: learned from the training "
      "texts")
        .of_use();
    v("target_model", target_model, "the same for the target of separate vocabularies").of_use();
    text::visit_subwords(v, subwords);
    v("max_length", max_length, "tokens of a side with [BOS] and [EOS]; longer training pairs are left out, longer texts of evaluation cut",
      V::between(4, 65536));
    v("bpe_dropout", bpe_dropout,
      "probability that a merge of byte pair encoding is left out, drawn anew for every pair and epoch, so that a text is seen cut in many "
      "ways; 0: always the same way",
      V::fraction())
        .of_training();
    v("max_ratio", max_ratio, "training pairs with a side longer than so many times the other are left out; 0: none is", V::non_negative())
        .of_data();
    v("prepared", prepared,
      "directory that keeps learned vocabularies, relative to the working directory; made anew when texts or options change; empty: none")
        .of_use();
  }
};

struct LossOptions {
  double label_smoothing = 0.1;

  template <class V>
  void visit(V& v) {
    v("label_smoothing", label_smoothing, "share of the target distribution that is spread over all tokens", V::fraction());
  }
};

struct GenerationOptions : text::GenerationOptions {
  GenerationOptions() : text::GenerationOptions{.beams = 5} {}
};

struct EvaluateOptions {
  bool translate = false;
  std::int64_t examples = 3;
  std::string output;

  template <class V>
  void visit(V& v) {
    v("translate", translate,
      "validation in training translates every text and takes bleu and chrf; no: only a few examples. `evaluate` always does");
    v("examples", examples, "translations that a validation writes into the log", V::between(0, 1000));
    v("output", output, "a file for `evaluate` to write, a translation a line; empty: none").output();
  }
};

struct PredictOptions {
  std::string pictures;

  template <class V>
  void visit(V& v) {
    v("pictures", pictures, "directory that a picture of attention (SVG) of every line is written to; empty: none");
  }
};

struct BenchOptions {
  std::int64_t vocab_size = 8000, source_length = 20, target_length = 20, written = 64;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "vocabulary of `capstan bench`", V::between(32, 1e7));
    v("source_length", source_length, "tokens of a source of `capstan bench`", V::between(1, 65536));
    v("target_length", target_length, "tokens of a target of `capstan bench`", V::between(2, 65536));
    v("written", written, "tokens that `bench --what decode` writes to each line", V::between(1, 65536));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  LossOptions loss;
  GenerationOptions generation;
  EvaluateOptions evaluate;
  PredictOptions predict;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("loss", loss, V::of_training());
    v.section("generation", generation, V::of_use());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("bench", bench, V::of_use());
  }
  /// `max_positions`: of the model, for either side. Throws ConfigError.
  void validate(std::int64_t max_positions) const;
};

}  // namespace capstan::translation
