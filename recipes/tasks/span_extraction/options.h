#pragma once
// The configuration of the task: sections data, spans, answers and bench, and keys of evaluate and predict beside the engine's own. Every
// field, its range and its help stand here once; recipes/bert_spans/README.md explains the choices that matter.

#include <cstdint>
#include <string>

#include "autograd/core/error.h"
#include "recipes/tasks/span_extraction/decode.h"
#include "recipes/tasks/span_extraction/questions.h"
#include "recipes/tasks/text/bench_options.h"
#include "recipes/tasks/text/tokenizer_keys.h"

namespace capstan::span_extraction {

struct DataOptions : text::VocabularyKeys {
  std::string train, validation, test;
  double held_out = 0.1;
  std::int64_t split_seed = 20;

  template <class V>
  void visit(V& v) {
    v("train", train,
      "SQuAD JSON file, relative to run.data; empty: train-v1.1.json or train-v2.0.json there, or else the only .json file there")
        .of_use();
    v("validation", validation,
      "the same for validation; empty: dev-v1.1.json or dev-v2.0.json beside the training file of that name, or else see held_out")
        .of_use();
    v("test", test, "the same for test; empty: the questions that validate").of_use();
    v("held_out", held_out,
      "articles of data.train set aside for validation where no file is, whatever run.seed is: below 1 their share, from 1 on their number",
      V::non_negative())
        .of_data();
    v("split_seed", split_seed, "which ones data.held_out sets aside", V::non_negative()).of_data();
    VocabularyKeys::visit(v);
  }
};

enum class Unanswerable { automatic, yes, no };
inline bool may_be_unanswerable(Unanswerable option, bool automatically) {
  return option == Unanswerable::automatic ? automatically : option == Unanswerable::yes;
}

struct SpanOptions {
  WindowOptions windows;
  Unanswerable unanswerable = Unanswerable::automatic;

  template <class V>
  void visit(V& v) {
    v("max_length", windows.length, "tokens of a window with [CLS], question and [SEP]; shorter ones are padded", V::between(5, 65536));
    v("question_length", windows.question_length, "tokens of a question; the rest is cut off", V::between(1, 65536));
    v("stride", windows.stride, "tokens of the context from the beginning of a window to that of the next", V::between(1, 65536));
    v("unanswerable", unanswerable,
      "whether a question may have no answer (SQuAD 2.0); auto: if there is one such in data.train, or, where a model comes without that, "
      "in "
      "what is evaluated",
      {{"auto", Unanswerable::automatic}, {"yes", Unanswerable::yes}, {"no", Unanswerable::no}});
  }
};

struct AnswerOptions {
  std::int64_t n_best = 20, max_length = 30;
  double null_threshold = 0;

  template <class V>
  void visit(V& v) {
    v("n_best", n_best, "answers of a question, and beginnings and ends looked at in a window", V::between(1, 65536));
    v("max_length", max_length, "tokens of an answer", V::between(1, 65536));
    v("null_threshold", null_threshold,
      "spans.unanswerable: no answer is given where its score (logits of [CLS]) exceeds that of the best answer by more", V::any());
  }
};

struct EvaluateOptions {
  std::string output;

  template <class V>
  void visit(V& v) {
    v("output", output,
      "directory that `capstan evaluate` writes predictions.json, nbest_predictions.json and null_odds.json to; empty: none");
  }
};

struct PredictOptions {
  std::int64_t top = 5;

  template <class V>
  void visit(V& v) {
    v("top", top, "answers listed for a question with predict.format = jsonl, at most answers.n_best", V::between(1, 65536));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  SpanOptions spans;
  AnswerOptions answers;
  EvaluateOptions evaluate;
  PredictOptions predict;
  text::BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("spans", spans, V::of_use());
    v.section("answers", answers, V::of_use());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("bench", bench, V::of_use());
  }

  DecodeOptions decoding(bool unanswerable) const {
    return {
        .n_best = answers.n_best, .max_length = answers.max_length, .null_threshold = answers.null_threshold, .unanswerable = unanswerable};
  }

  /// Rules between these and a model of so many positions. Throws ConfigError.
  void validate(std::int64_t max_positions) const {
    require<ConfigError>(spans.windows.length <= max_positions,
                         "span_extraction: spans.max_length must not exceed model.max_positions, got ", spans.windows.length, " and ",
                         max_positions);
    require<ConfigError>(spans.windows.capacity(spans.windows.question_length) >= 1,
                         "span_extraction: spans.max_length must have room for a question and one token of the context, "
                         "spans.question_length + 4, got ",
                         spans.windows.length, " and ", spans.windows.question_length);
  }
};

}  // namespace capstan::span_extraction
