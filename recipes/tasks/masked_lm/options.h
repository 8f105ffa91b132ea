#pragma once
// The configuration of the task: sections data, instances and bench, and keys of evaluate and predict beside the engine's own. Every
// field, its range and its help stand here once; recipes/bert/README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/text/corpus_builder.h"
#include "recipes/tasks/text/bench_options.h"
#include "recipes/tasks/text/tokenizer_keys.h"

namespace capstan::masked_lm {

struct DataOptions : text::TokenizerKeys {
  std::vector<std::string> train, validation, test;
  data::TextForm form = data::TextForm::prose;
  double held_out = 0.1;
  std::string vocabulary;
  std::int64_t vocab_size = 30000, alphabet = 0, longest_sentence = 0;
  std::string prepared;

  template <class V>
  void visit(V& v) {
    v("train", train, "text files or directories of them, plain or gzip, relative to run.data; empty: use what data.prepared holds")
        .of_use();
    v("validation", validation, "held-out text for validation; empty: see held_out").of_use();
    v("test", test, "held-out text for test; empty: see held_out").of_use();
    v("form", form,
      "sentences: one a line, blank lines between documents; paragraphs: one a line, likewise; prose: a file is a document, blank lines "
      "between paragraphs; wikitext: paragraphs and '= headings ='",
      {{"sentences", data::TextForm::sentences},
       {"paragraphs", data::TextForm::paragraphs},
       {"prose", data::TextForm::prose},
       {"wikitext", data::TextForm::wikitext}})
        .of_use();
    v("held_out", held_out, "share of the lines at the end of every training file that is held out where validation or test is empty",
      V::fraction())
        .of_data();
    v("vocabulary", vocabulary, "vocab.txt, a token a line, relative to run.data; empty: learned from the training text").of_use();
    v("vocab_size", vocab_size, "tokens of a learned vocabulary", V::between(32, 1e6)).of_training();
    v("alphabet", alphabet,
      "characters of a learned vocabulary, the most frequent ones; 0: as many as vocab_size has room for. Words with others are [UNK]",
      V::between(0, 1e6))
        .of_training();
    v("longest_sentence", longest_sentence,
      "tokens; longer sentences are cut, behind punctuation where there is some (not with form = sentences); 0: never. Long ones lose what "
      "an instance has no room for, so about half of instances.max_length",
      V::between(0, 65536))
        .of_data();
    TokenizerKeys::visit(v);  // with data.train empty they are as data.prepared says
    v("prepared", prepared,
      "directory that keeps vocabulary, corpora and instances, relative to the working directory; made anew when texts or options change")
        .of_use();
  }
};

enum class InstanceKind {
  dynamic,   ///< pair and mask are drawn anew in every epoch
  original,  ///< create_pretraining_data: made once, dupe_factor times over the text, kept in HDF5
};

struct InstanceOptions {
  InstanceKind kind = InstanceKind::dynamic;
  std::int64_t max_length = 128, max_predictions = 0, dupe_factor = 10, seed = 12345;
  double masked_share = 0.15, short_share = 0.1;
  bool whole_words = false, next_sentence = true;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "dynamic: pair and mask are drawn anew in every epoch; original: made once, as by create_pretraining_data",
      {{"dynamic", InstanceKind::dynamic}, {"original", InstanceKind::original}});
    v("max_length", max_length, "tokens of an instance with [CLS] and [SEP]", V::between(5, 65536));
    v("max_predictions", max_predictions, "masked tokens of an instance at most; 0: as many as masked_share asks for",
      V::between(0, 65536));
    v("masked_share", masked_share, "share of the tokens that are masked", V::between(0, 1));
    v("short_share", short_share, "share of documents (dynamic: of instances) that aim at a random shorter length", V::between(0, 1));
    v("whole_words", whole_words,
      "mask the pieces of a word together; ideographs between blanks are a word where blanks part the words of a sentence");
    v("next_sentence", next_sentence, "pairs of texts, and whether the second follows the first; no: one text, masked tokens alone");
    v("dupe_factor", dupe_factor, "original: passes over the text, each with other masks", V::between(1, 1000));
    v("seed", seed, "seed of pairs and masks; original: that of create_pretraining_data", V::non_negative());
  }
};

struct EvaluateOptions {
  std::int64_t instances = 2000;

  template <class V>
  void visit(V& v) {
    v("instances", instances, "instances of the held-out text to evaluate, spread evenly over it; 0: all", V::non_negative());
  }
};

enum class PredictTask { automatic, fill, next_sentence, features, vectors };

/// What stands for a whole text.
enum class SentenceVector {
  mean,    ///< of the last layer over all tokens, [CLS] and [SEP] among them
  max,     ///< likewise its greatest values
  cls,     ///< the last layer at [CLS]
  pooled,  ///< what the pooler makes of that: tanh(W x + b)
};

struct PredictOptions {
  PredictTask task = PredictTask::automatic;
  SentenceVector vector = SentenceVector::mean;
  bool normalize = false;
  std::int64_t top = 5, max_length = 0;
  std::vector<std::int64_t> layers{-1, -2, -3, -4};

  template <class V>
  void visit(V& v) {
    v("task", task,
      "fill: the [MASK] of a line; next_sentence: whether the second of 'a ||| b' (or a tab between) follows the first; features: hidden "
      "states (of 'a ||| b' or one text), JSON in any format; "
      "vectors: one vector for a line (likewise of 'a ||| b' or one text); "
      "auto: fill if the line holds [MASK], else next_sentence",
      {{"auto", PredictTask::automatic},
       {"fill", PredictTask::fill},
       {"next_sentence", PredictTask::next_sentence},
       {"features", PredictTask::features},
       {"vectors", PredictTask::vectors}});
    v("vector", vector,
      "vectors: mean or max of the last layer over the tokens of the line, [CLS] and [SEP] among them; cls: its value at [CLS]; pooled: "
      "what "
      "the pooler makes of that",
      {{"mean", SentenceVector::mean}, {"max", SentenceVector::max}, {"cls", SentenceVector::cls}, {"pooled", SentenceVector::pooled}});
    v("normalize", normalize, "vectors: divide each by its Euclidean norm, so that products are cosines");
    v("top", top, "tokens listed for a mask", V::between(1, 1e6));
    v("max_length", max_length, "tokens read of a line with [CLS] and [SEP]; 0: model.max_positions", V::non_negative());
    v("layers", layers, "features: layers to write, -1 being the last", V::between(-1024, -1));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  InstanceOptions instances;
  EvaluateOptions evaluate;
  PredictOptions predict;
  text::BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("instances", instances, V::of_data());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("bench", bench, V::of_use());
  }

  /// Rules between these and a model of so many positions and layers. Throws ConfigError.
  void validate(std::int64_t max_positions, std::int64_t layers) const {
    require<ConfigError>(instances.max_length <= max_positions, "masked_lm: instances.max_length must not exceed model.max_positions, got ",
                         instances.max_length, " and ", max_positions);
    require<ConfigError>(predict.max_length <= max_positions, "masked_lm: predict.max_length must not exceed model.max_positions, got ",
                         predict.max_length, " and ", max_positions);
    require<ConfigError>(predict.max_length == 0 || predict.max_length >= 5, "masked_lm: predict.max_length must be 0 or at least 5, got ",
                         predict.max_length);
    for (const std::int64_t layer : predict.layers)
      require<ConfigError>(predict.task != PredictTask::features || -layer <= layers + 1,
                           "masked_lm: predict.layers must name layers of the model or its embeddings, -1 to ", -layers - 1, ", got ",
                           layer);
  }
};

}  // namespace capstan::masked_lm
