#pragma once
// The configuration of the task: sections data, generation and bench, and keys of evaluate beside the engine's own. Every field, its range
// and its help stand here once; recipes/language_model/README.md explains the choices that matter. train.batch_size counts windows.

#include <cstdint>
#include <string>

#include "data/text/subword.h"
#include "recipes/tasks/text/generation.h"
#include "recipes/tasks/text/subwords.h"

namespace capstan::language_modelling {

/// What a token is.
enum class TokenKind {
  byte,
  character,
  subword,
  byte_bpe,      ///< of GPT-2's tokenizer, made elsewhere
  sentencepiece  ///< of a model of sentencepiece, made elsewhere
};

/// Where the text comes from.
enum class Origin { files, generated };

struct DataOptions {
  Origin origin = Origin::files;
  std::int64_t generated = 4000;
  std::string train = "train.txt", validation, test;
  double held_out = 0.1;
  TokenKind tokens = TokenKind::character;
  data::SubwordOptions subwords;
  std::int64_t length = 256;
  std::string prepared, tokenizer;

  template <class V>
  void visit(V& v) {
    v("origin", origin, "files: texts; generated: sentences of a small grammar, to try things out",
      {{"files", Origin::files}, {"generated", Origin::generated}})
        .of_data();
    v("generated", generated, "generated: training sentences; a tenth as many for validation and for test", V::between(100, 1e7)).of_data();
    v("train", train, "file of the training text, plain or .gz, relative to run.data; empty for `evaluate`: no baselines").of_use();
    v("validation", validation, "the same for validation; empty: data.held_out of the training text").of_use();
    v("test", test, "the same for test; empty: the validation part").of_use();
    v("held_out", held_out, "share of the training text, its end, that is the validation part where data.validation names none",
      V::fraction())
        .of_data();
    v("tokens", tokens,
      "byte; character: of UTF-8, those of the training text; subword: learned pieces of words, a line end being [EOS]; byte_bpe, "
      "sentencepiece: of a tokenizer made elsewhere",
      {{"byte", TokenKind::byte},
       {"character", TokenKind::character},
       {"subword", TokenKind::subword},
       {"byte_bpe", TokenKind::byte_bpe},
       {"sentencepiece", TokenKind::sentencepiece}})
        .input();
    v("tokenizer", tokenizer,
      "file of that tokenizer, relative to run.data: tokenizer.json, vocab.json beside merges.txt, or a model of sentencepiece; not needed "
      "with init.from")
        .of_use();
    text::visit_subwords(v, subwords);
    v("length", length, "tokens of a training window", V::between(2, 1e6)).of_data();
    v("prepared", prepared,
      "directory that keeps a learned vocabulary of subwords, relative to the working directory; made anew when texts or options change; "
      "empty: none")
        .of_use();
  }
};

struct GenerationOptions : text::GenerationOptions {
  bool echo = true;
  std::string stop;

  GenerationOptions() : text::GenerationOptions{.max_length = 200, .temperature = 0.8, .top_k = 40} {}

  template <class V>
  void visit(V& v) {
    text::GenerationOptions::visit(v);
    v("echo", echo, "`generate` writes the prompt before its continuation");
    v("stop", stop, "a text at which a line ends, and which is not written; empty: none");
  }
};

struct EvaluateOptions {
  std::int64_t length = 0, stride = 0, examples = 1;

  template <class V>
  void visit(V& v) {
    v("length", length, "tokens of a window; 0: data.length", V::between(0, 1e6));
    v("stride", stride, "tokens between the beginnings of two windows, each of which scores what none before it has; 0: half a window",
      V::between(0, 1e6));
    v("examples", examples, "texts that a validation writes into the log, each going on with a place of the part", V::between(0, 1000));
  }
};

struct BenchOptions {
  std::int64_t vocab_size = 8000, prompt = 32, written = 64;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "vocabulary of `capstan bench`", V::between(32, 1e7));
    v("prompt", prompt, "tokens of a prompt of `bench --what decode`", V::between(1, 1e6));
    v("written", written, "tokens that `bench --what decode` writes to each line", V::between(1, 1e6));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  GenerationOptions generation;
  EvaluateOptions evaluate;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("generation", generation, V::of_use());
    v.section("evaluate", evaluate, V::of_use());
    v.section("bench", bench, V::of_use());
  }
  /// `max_positions`: of the model. Throws ConfigError.
  void validate(std::int64_t max_positions) const;

  std::int64_t evaluation_length() const { return evaluate.length > 0 ? evaluate.length : data.length; }
  std::int64_t evaluation_stride() const { return evaluate.stride > 0 ? evaluate.stride : (evaluation_length() + 1) / 2; }
};

}  // namespace capstan::language_modelling
