#pragma once
// The configuration of the task: sections data, synthetic, loss and bench, and keys of evaluate and predict beside the engine's own.
// Every field, its range and its help stand here once; recipes/sasrec/README.md explains the choices that matter.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/interactions.h"
#include "data/splits.h"
#include "recipes/tasks/recommendation/item_titles.h"
#include "recipes/tasks/recommendation/synthetic.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::next_item {

enum class Source { file, synthetic };
/// What is kept for validation and test where data.validation and data.test name no files.
enum class SplitRule {
  leave_one_out,  ///< the second last and the last item of each user
  time,           ///< what comes at or after a time: validation_days, test_days, split_time
};
/// How the users of an epoch are chosen.
enum class Sampling {
  uniform,   ///< each batch draws users with replacement; an epoch is floor(users / batch) steps (the original)
  shuffled,  ///< each epoch is one pass over all users in a new order; the last batch may be smaller
};

/// What trains of a user with more items than a sequence takes.
enum class Windows {
  last,  ///< the newest, as the original
  all,   ///< those before them too, in sequences of their own: counted back from the newest, each takes as many as it can
};

struct DataOptions {
  Source source = Source::file;
  std::string path, validation, test;
  std::string prepared;
  SplitRule split = SplitRule::leave_one_out;
  std::int64_t validation_users = 0;
  recommendation::TimeSplitOptions time_split;
  std::string user_column;
  recommendation::TableOptions table;
  recommendation::TitleOptions titles;
  bool drop_repeats = false;
  std::int64_t min_length = 0, min_support = 0;
  data::FilterMode filter = data::FilterMode::until_stable;
  Sampling sampling = Sampling::uniform;
  Windows windows = Windows::last;

  template <class V>
  void visit(V& v) {
    v("source", source, "where interactions come from", {{"file", Source::file}, {"synthetic", Source::synthetic}}).of_use();
    v("path", path, "file of lines 'user item [time]': text, TSV, CSV or .inter, plain or gzip; relative to run.data").of_use();
    v("validation", validation, "a file of later events of these users, each to be predicted; data.path then trains whole").of_use();
    v("test", test, "the same for test, after the events of data.validation; evaluate does with it alone").of_use();
    v("split", split,
      "of data.path: leave_one_out: the second last item of a user validates, the last tests; time: the events of the last days do, each "
      "from all before it",
      {{"leave_one_out", SplitRule::leave_one_out}, {"time", SplitRule::time}})
        .of_data();
    v("validation_users", validation_users,
      "leave_one_out: so many users, drawn once by run.seed, validate; all others train on their second last item too; 0: all validate",
      V::non_negative())
        .of_data();
    time_split.visit(v);
    v("prepared", prepared, "HDF5 file that keeps the result of reading and filtering, relative to run.data; empty: none").of_use();
    v("user_column", user_column, "name, or number from 1, of the user column; empty: found by the usual names").of_use();
    table.visit(v);
    titles.visit(v);
    v("drop_repeats", drop_repeats, "leave out interactions that repeat the item just before them").of_data();
    v("min_length", min_length, "users with fewer interactions are left out", V::non_negative()).of_data();
    v("min_support", min_support, "items with fewer interactions are left out", V::non_negative()).of_data();
    v("filter", filter, "how the two minima are applied: both counts taken once (original preprocessing), or a k-core",
      {{"once", data::FilterMode::once}, {"until_stable", data::FilterMode::until_stable}})
        .of_data();
    v("sampling", sampling, "uniform: users with replacement, as the original; shuffled: every user once an epoch",
      {{"uniform", Sampling::uniform}, {"shuffled", Sampling::shuffled}})
        .of_training();
    v("windows", windows,
      "of users with more than model.max_length items: last: the newest train, as the original; all: older ones too, in sequences of "
      "their own, each of which counts as a user to data.sampling",
      {{"last", Windows::last}, {"all", Windows::all}})
        .of_training();
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

/// How the negatives of the sampled protocol are drawn, once per (seed, user).
enum class NegativeRule {
  original,    ///< with replacement from all items outside the training part, as the paper: may hit the target
  distinct,    ///< without replacement from items the user never touched
  popularity,  ///< the same, each item with a probability proportional to its training events
};

struct EvaluateOptions {
  std::vector<std::int64_t> k{10};
  std::vector<std::string> metrics{"hit", "ndcg"};
  std::int64_t sampled_negatives = 100;
  NegativeRule negatives = NegativeRule::original;
  bool filtered = true, unfiltered = true;
  std::int64_t users = 0;
  std::string user_list = {}, output = {};

  template <class V>
  void visit(V& v) {
    v("k", k, "cut-offs", V::between(1, 1e6));
    v("metrics", metrics, "any of hit, recall (the same number under another name), ndcg, mrr");
    v("sampled_negatives", sampled_negatives, "the target is ranked among this many drawn items (sampled<N>/...); 0: leave this out",
      V::between(0, 1e6));
    v("negatives", negatives,
      "original: with replacement, not among the training items; distinct: without, none the user ever touched; popularity: as distinct, "
      "drawn in proportion to training events",
      {{"original", NegativeRule::original}, {"distinct", NegativeRule::distinct}, {"popularity", NegativeRule::popularity}});
    v("filtered", filtered, "rank among all items but those of the user's history (full_filtered/...)");
    v("unfiltered", unfiltered, "rank among all items (full_unfiltered/...)");
    v("users", users, "evaluate this many users, drawn once by run.seed; 0: all", V::non_negative());
    v("user_list", user_list, "a file of users, one a line, who alone are evaluated; relative to run.data; empty: all");
    v("output", output, "a file for `evaluate` to write, a line a prediction: user, item, rank under each protocol; empty: none").output();
  }
};

enum class PredictInput { sequences, users, items };

struct PredictOptions {
  PredictInput input = PredictInput::sequences;
  std::int64_t top = 10;
  bool filter_seen = true;
  std::string candidates = {};

  template <class V>
  void visit(V& v) {
    v("input", input,
      "what a line holds: item ids, oldest first; or the id of a user of the data; or an item (* is every item), answered by its vector",
      {{"sequences", PredictInput::sequences}, {"users", PredictInput::users}, {"items", PredictInput::items}});
    v("top", top, "items recommended", V::between(1, 1e6));
    v("filter_seen", filter_seen, "never recommend an item of the sequence");
    v("candidates", candidates, "a file of items, one a line, which alone are recommended; relative to run.data; empty: all");
  }
};

struct BenchOptions {
  std::int64_t items = 10000;

  template <class V>
  void visit(V& v) {
    v("items", items, "catalogue size of capstan bench, which reads no data", V::between(2, 1e8));
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  recommendation::SyntheticOptions synthetic;
  LossOptions loss;
  EvaluateOptions evaluate;
  PredictOptions predict;
  BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("synthetic", synthetic, V::of_data());
    v.section("loss", loss, V::of_training());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("bench", bench, V::of_use());
  }

  /// Throws ConfigError for values that do not go together.
  void validate() const {
    data.table.validate();
    const bool files = !data.validation.empty() || !data.test.empty();
    require<ConfigError>(data.source == Source::file || (!files && data.split == SplitRule::leave_one_out),
                         "data.source = synthetic: its sequences have no times and are split by data.split = leave_one_out alone");
    require<ConfigError>(!files || data.split == SplitRule::leave_one_out,
                         "data.split = time: data.validation and data.test name the parts already");
    require<ConfigError>(data.validation_users == 0 || (!files && data.split == SplitRule::leave_one_out),
                         "data.validation_users = ", data.validation_users, " is of data.split = leave_one_out alone",
                         files ? ", and data.validation and data.test name the parts already" : "");
  }
};

}  // namespace capstan::next_item
