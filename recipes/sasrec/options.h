#pragma once
// The configuration of SASRec: sections data, synthetic, model, loss, optimizer, evaluate and predict, beside the engine's own.
// Every field, its range and its help stand here once; README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/interactions.h"
#include "data/splits.h"

namespace capstan::sasrec {

enum class Source { file, synthetic };
/// How the users of an epoch are chosen.
enum class Sampling {
  uniform,   ///< each batch draws users with replacement; an epoch is floor(users / batch) steps (the original)
  shuffled,  ///< each epoch is one pass over all users in a new order; the last batch may be smaller
};

struct DataOptions {
  Source source = Source::file;
  std::string path;
  std::string prepared;
  std::string user_column, item_column, time_column;
  data::Header header = data::Header::automatic;
  std::int64_t min_length = 0, min_support = 0;
  data::FilterMode filter = data::FilterMode::until_stable;
  Sampling sampling = Sampling::uniform;

  template <class V>
  void visit(V& v) {
    v("source", source, "where interactions come from", {{"file", Source::file}, {"synthetic", Source::synthetic}});
    v("path", path, "file of lines 'user item [time]': text, TSV, CSV or .inter, plain or gzip; relative to run.data");
    v("prepared", prepared, "HDF5 file that keeps the result of reading and filtering, relative to run.data; empty: none");
    v("user_column", user_column, "name, or number from 1, of the user column; empty: found by the usual names");
    v("item_column", item_column, "the same for the item column");
    v("time_column", time_column, "the same for the time column; without one the order of the file counts");
    v("header", header, "whether the first line names the columns",
      {{"auto", data::Header::automatic}, {"present", data::Header::present}, {"absent", data::Header::absent}});
    v("min_length", min_length, "users with fewer interactions are left out", V::non_negative());
    v("min_support", min_support, "items with fewer interactions are left out", V::non_negative());
    v("filter", filter, "how the two minima are applied: both counts taken once (original preprocessing), or a k-core",
      {{"once", data::FilterMode::once}, {"until_stable", data::FilterMode::until_stable}});
    v("sampling", sampling, "uniform: users with replacement, as the original; shuffled: every user once an epoch",
      {{"uniform", Sampling::uniform}, {"shuffled", Sampling::shuffled}});
  }
};

/// The generator of data/synthetic/markov.h, for data.source = synthetic.
struct SyntheticOptions {
  std::int64_t users = 2000, items = 200, min_length = 8, max_length = 20, branches = 4, seed = 1;
  double noise = 0.1, decay = 0.6;

  template <class V>
  void visit(V& v) {
    v("users", users, "sequences to generate", V::between(1, 1e8));
    v("items", items, "states of the Markov chain", V::between(2, 1e7));
    v("min_length", min_length, "shortest sequence", V::between(1, 1e6));
    v("max_length", max_length, "longest sequence", V::between(1, 1e6));
    v("branches", branches, "probable successors of an item", V::between(1, 1e6));
    v("noise", noise, "probability of any item instead of a successor", V::fraction());
    v("decay", decay, "weight of each successor relative to the one before", V::between(1e-6, 1));
    v("seed", seed, "seed of the generator", V::non_negative());
  }
};

struct ModelOptions {
  std::int64_t max_length = 50;
  std::int64_t hidden_size = 50;
  std::int64_t blocks = 2;
  std::int64_t heads = 1;
  double dropout = 0.5;
  bool packed = true;

  template <class V>
  void visit(V& v) {
    v("max_length", max_length, "newest items of a user that are looked at", V::between(1, 65536));
    v("hidden_size", hidden_size, "width of item embeddings and hidden states", V::between(1, 65536));
    v("blocks", blocks, "self-attention blocks", V::between(0, 1024));
    v("heads", heads, "attention heads, a divisor of hidden_size", V::between(1, 1024));
    v("dropout", dropout, "share of activations and attention weights set to zero in training", V::fraction());
    v("packed", packed, "compute without padding; the results are the same either way");
  }
};

enum class LossKind { bce, ce, sampled_softmax, gbce };

struct LossOptions {
  LossKind kind = LossKind::bce;
  std::int64_t negatives = 1;
  double calibration = 0.75;
  double l2_embedding = 0;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "bce: original; ce: softmax over all items; sampled_softmax; gbce: gSASRec",
      {{"bce", LossKind::bce}, {"ce", LossKind::ce}, {"sampled_softmax", LossKind::sampled_softmax}, {"gbce", LossKind::gbce}});
    v("negatives", negatives,
      "items drawn from outside the user's training items: per position for bce, per sequence for sampled_softmax and gbce",
      V::between(1, 1e6));
    v("calibration", calibration, "t of gbce: 0 is bce, 1 makes scores calibrated probabilities", V::between(0, 1));
    v("l2_embedding", l2_embedding, "adds half of this times the sum of squares of both embedding tables", V::non_negative());
  }
};

enum class ScheduleKind { constant, linear, cosine };

struct OptimizerOptions {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
  ScheduleKind schedule = ScheduleKind::constant;
  std::int64_t warmup_steps = 0;
  double final_rate = 0;

  template <class V>
  void visit(V& v) {
    v("learning_rate", learning_rate, "peak learning rate of Adam", V::positive());
    v("beta1", beta1, "decay of the first moment", V::fraction());
    v("beta2", beta2, "decay of the second moment", V::fraction());
    v("epsilon", epsilon, "added to the root before bias correction, as TensorFlow does", V::positive());
    v("schedule", schedule, "course of the learning rate after the warm-up",
      {{"constant", ScheduleKind::constant}, {"linear", ScheduleKind::linear}, {"cosine", ScheduleKind::cosine}});
    v("warmup_steps", warmup_steps, "steps of linear warm-up", V::non_negative());
    v("final_rate", final_rate, "learning rate at the end, as a share of the peak", V::between(0, 1));
  }
};

/// How the negatives of the sampled protocol are drawn, once per (seed, user).
enum class NegativeRule {
  original,  ///< with replacement from all items outside the training part, as the paper: may hit the target
  distinct,  ///< without replacement from items the user never touched
};

struct EvaluateOptions {
  std::vector<std::int64_t> k{10};
  std::vector<std::string> metrics{"hit", "ndcg"};
  std::int64_t sampled_negatives = 100;
  NegativeRule negatives = NegativeRule::original;
  bool filtered = true, unfiltered = true, baselines = true;
  std::int64_t users = 0;
  std::int64_t batch_size = 256;

  template <class V>
  void visit(V& v) {
    v("k", k, "cut-offs", V::between(1, 1e6));
    v("metrics", metrics, "any of hit, recall (the same number under another name), ndcg, mrr");
    v("sampled_negatives", sampled_negatives, "the target is ranked among this many drawn items (sampled<N>/...); 0: leave this out",
      V::between(0, 1e6));
    v("negatives", negatives, "original: with replacement, not among the training items; distinct: without, none the user ever touched",
      {{"original", NegativeRule::original}, {"distinct", NegativeRule::distinct}});
    v("filtered", filtered, "rank among all items but those of the user's history (full_filtered/...)");
    v("unfiltered", unfiltered, "rank among all items (full_unfiltered/...)");
    v("baselines", baselines, "report popularity and a first-order Markov chain under the same protocols");
    v("users", users, "evaluate this many users, drawn once by run.seed; 0: all", V::non_negative());
    v("batch_size", batch_size, "users scored at a time", V::between(1, 65536));
  }
};

enum class PredictInput { sequences, users };
enum class PredictFormat { tsv, jsonl };

struct PredictOptions {
  PredictInput input = PredictInput::sequences;
  PredictFormat format = PredictFormat::tsv;
  std::int64_t top = 10;
  bool filter_seen = true;

  template <class V>
  void visit(V& v) {
    v("input", input, "what a line holds: item ids, oldest first; or the id of a user of data.path",
      {{"sequences", PredictInput::sequences}, {"users", PredictInput::users}});
    v("format", format, "form of an answer", {{"tsv", PredictFormat::tsv}, {"jsonl", PredictFormat::jsonl}});
    v("top", top, "items recommended", V::between(1, 1e6));
    v("filter_seen", filter_seen, "never recommend an item of the sequence");
  }
};

struct BenchOptions {
  std::int64_t items = 10000;

  template <class V>
  void visit(V& v) {
    v("items", items, "catalogue size of capstan bench, which reads no data", V::between(2, 1e8));
  }
};

struct Config {
  DataOptions data;
  SyntheticOptions synthetic;
  ModelOptions model;
  LossOptions loss;
  OptimizerOptions optimizer;
  EvaluateOptions evaluate;
  PredictOptions predict;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("synthetic", synthetic);
    v.section("model", model);
    v.section("loss", loss);
    v.section("optimizer", optimizer);
    v.section("evaluate", evaluate);
    v.section("predict", predict);
    v.section("bench", bench);
  }
};

}  // namespace capstan::sasrec
