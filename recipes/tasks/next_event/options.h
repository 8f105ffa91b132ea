#pragma once
// The configuration of the task: sections data, synthetic, loss, negatives, update and bench, and keys of evaluate and predict beside the
// engine's own. Every field, its range and its help stand here once; recipes/gru4rec/README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "autograd/ops/session_loss.h"
#include "data/splits.h"
#include "recipes/engine/metrics/ranking.h"
#include "recipes/tasks/recommendation/item_titles.h"
#include "recipes/tasks/recommendation/synthetic.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_event {

enum class Source {
  split,      ///< files of training and test sessions
  log,        ///< one file of all events, filtered and split here
  synthetic,  ///< the generator of data/synthetic/markov.h
};

struct DataOptions {
  Source source = Source::split;
  std::string train, validation, test, log;
  std::string session_column, user_column;
  recommendation::TableOptions table;
  recommendation::TitleOptions titles;
  double session_gap = 0;
  bool drop_repeats = false;
  std::int64_t min_length = 2, min_support = 5;
  data::FilterMode filter = data::FilterMode::until_stable;
  data::SplitBy split_by = data::SplitBy::session_start;
  recommendation::TimeSplitOptions time_split;
  std::string prepared;

  template <class V>
  void visit(V& v) {
    v("source", source,
      "split: files of training and test sessions; log: one file of all events, filtered and split here; synthetic: generated",
      {{"split", Source::split}, {"log", Source::log}, {"synthetic", Source::synthetic}})
        .of_use();
    v("train", train, "training sessions, for source = split; relative to run.data; evaluate needs them for baselines alone").of_use();
    v("validation", validation, "validation sessions; empty: see validation_days").of_use();
    v("test", test, "test sessions; may be empty for training alone").of_use();
    v("log", log, "all events, for source = log").of_use();
    v("session_column", session_column, "name, or number from 1, of the session column of a table; empty: found by the usual names")
        .of_use();
    v("user_column", user_column, "a column of users: one session id of two users is two sessions; empty: session ids are unique").of_use();
    table.visit(v);
    titles.visit(v);
    v("session_gap", session_gap, "log: seconds without an event after which a new session begins; 0: sessions are as in the file",
      V::non_negative())
        .of_data();
    v("drop_repeats", drop_repeats, "log: leave out events that repeat the item just before them").of_data();
    v("min_length", min_length, "log: sessions with fewer events are left out", V::between(2, 1e6)).of_data();
    v("min_support", min_support, "log: items with fewer events are left out", V::between(1, 1e6)).of_data();
    v("filter", filter,
      "log: how the two minima are applied: short sessions, rare items, short sessions (RSC15), or repeated until both hold",
      {{"in_turn", data::FilterMode::in_turn}, {"until_stable", data::FilterMode::until_stable}})
        .of_data();
    v("split_by", split_by,
      "which time puts a session into the test part: of its last event (RSC15), or of its first, cutting sessions at the split",
      {{"session_end", data::SplitBy::session_end}, {"session_start", data::SplitBy::session_start}})
        .of_data();
    time_split.visit(v);
    v("prepared", prepared, "log: HDF5 file that keeps the result of reading and filtering, relative to run.data; empty: none").of_use();
  }
};

struct LossOptions {
  SessionLossKind kind = SessionLossKind::cross_entropy;
  double elu = 0, bpreg = 1, logq = 0;
  bool mask_collisions = false;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "cross_entropy and bpr_max are advised; the others lose gradient with many negatives",
      {{"cross_entropy", SessionLossKind::cross_entropy},
       {"bpr_max", SessionLossKind::bpr_max},
       {"top1_max", SessionLossKind::top1_max},
       {"bpr", SessionLossKind::bpr},
       {"top1", SessionLossKind::top1}});
    v("elu", elu, "a of the ELU that scores pass in ranking losses; 0: none", V::non_negative());
    v("bpreg", bpreg, "weight of the score regulariser of bpr_max", V::non_negative());
    v("logq", logq, "strength of the logQ correction of cross_entropy; 0: none", V::non_negative());
    v("mask_collisions", mask_collisions, "do not count negatives that are the target item (the originals count them)");
  }
};

struct NegativeOptions {
  std::int64_t count = 2048;
  double alpha = 0.5;

  template <class V>
  void visit(V& v) {
    v("count", count, "items drawn for each step, beside the targets of the batch, which are negatives of each other", V::between(0, 1e6));
    v("alpha", alpha, "they are drawn with probability proportional to support ^ alpha: 0 uniform, 1 popularity", V::between(0, 10));
  }
};

struct EvaluateOptions {
  std::vector<std::int64_t> k{1, 5, 10, 20};
  engine::Ties ties = engine::Ties::median;
  std::string user_list = {}, output = {};

  template <class V>
  void visit(V& v) {
    v("k", k, "cut-offs of recall and MRR", V::between(1, 1e6));
    v("ties", ties, "rank of a target whose score others share: best, worst or middle place (the originals: standard)",
      {{"standard", engine::Ties::standard}, {"conservative", engine::Ties::conservative}, {"median", engine::Ties::median}});
    v("user_list", user_list, "a file of sessions, one a line, which alone are evaluated; relative to run.data; empty: all");
    v("output", output, "a file for `evaluate` to write, a line a prediction: session, item, rank; empty: none").output();
  }
};

enum class PredictInput { events, items };

struct PredictOptions {
  PredictInput input = PredictInput::events;
  std::int64_t top = 20, sessions = 1000000;
  bool filter_seen = false;
  std::string candidates = {};

  template <class V>
  void visit(V& v) {
    v("input", input, "what a line holds: an event; or an item (* is every item), answered by its vector",
      {{"events", PredictInput::events}, {"items", PredictInput::items}});
    v("top", top, "items recommended after each event", V::between(1, 1e6));
    v("sessions", sessions, "sessions whose state is kept; beyond that the one idle for longest is forgotten", V::between(1, 1e9));
    v("filter_seen", filter_seen, "do not recommend the item just seen");
    v("candidates", candidates, "a file of items, one a line, which alone are recommended; relative to run.data; empty: all");
  }
};

struct UpdateOptions {
  std::string from;

  template <class V>
  void visit(V& v) {
    v("from", from,
      "checkpoint to go on from with the training sessions given here: its items keep their rows and their optimiser state, items it "
      "does not know are appended; relative to the working directory, and needed there until the run has ended; empty: a new model");
  }
};

struct BenchOptions {
  std::int64_t items = 37483;

  template <class V>
  void visit(V& v) {
    v("items", items, "catalogue of `capstan bench`", V::between(1, 1e9));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  recommendation::SyntheticOptions synthetic{.sequences = 20000, .items = 500, .min_length = 2, .max_length = 12};
  LossOptions loss;
  NegativeOptions negatives;
  EvaluateOptions evaluate;
  PredictOptions predict;
  UpdateOptions update;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("synthetic", synthetic, V::of_data());
    v.section("loss", loss, V::of_training());
    v.section("negatives", negatives, V::of_training());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("update", update, V::of_training());
    v.section("bench", bench, V::of_use());
  }

  /// Throws ConfigError for values that do not go together.
  void validate() const {
    require<ConfigError>(synthetic.min_length >= 2, "synthetic.min_length = ", synthetic.min_length,
                         ": a session needs two events to hold anything to predict");
    require<ConfigError>(synthetic.sequences >= 10, "synthetic.sequences = ", synthetic.sequences,
                         ": must be at least 10, since a tenth of them is generated on top for validation and for test");
    require<ConfigError>(loss.elu == 0 || loss.kind != SessionLossKind::cross_entropy, "loss.elu = ", loss.elu,
                         ": scores pass no ELU in loss.kind = cross_entropy; set loss.elu = 0 or a ranking loss");
    data.table.validate();
  }
};

}  // namespace capstan::next_event
