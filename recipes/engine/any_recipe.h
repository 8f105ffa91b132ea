#pragma once
// AnyRecipe: a recipe whose types are erased, which is what the loops and commands of the engine work on. recipe.h says what each function
// means; erased_recipe.h makes one of a class that follows the contract.

#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/config/options.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/engine/recipe.h"
#include "recipes/engine/report/finding.h"

namespace capstan::engine {

/// A batch of any type. Copies share it.
class AnyBatch {
 public:
  template <class Batch>
  AnyBatch(std::in_place_type_t<Batch>, Batch batch, double items)
      : value_(std::make_shared<const Batch>(std::move(batch))), items_(items) {}
  template <class Batch>
  const Batch& as() const {
    return *static_cast<const Batch*>(value_.get());
  }
  double items() const { return items_; }

 private:
  std::shared_ptr<const void> value_;
  double items_;
};

/// The accumulators of one pass over a split.
class AnyEvaluation {
 public:
  virtual ~AnyEvaluation() = default;
  virtual void add(const AnyBatch& batch) = 0;
  virtual void finish() = 0;
  virtual std::vector<Accumulator*> accumulators() = 0;
  virtual std::vector<std::string> examples() const = 0;
  virtual std::vector<Finding> findings() const = 0;
  /// Whether processes share out the cases; what the accumulators do not hold of this process's share, and that of all instead of it.
  virtual bool divides() const = 0;
  virtual std::vector<std::byte> rest() const = 0;
  virtual void set_rest(std::span<const std::vector<std::byte>> of_all) = 0;
};

/// Gives one batch after the other, then nothing.
using BatchSource = std::function<std::optional<AnyBatch>()>;

class AnyRecipe {
 public:
  AnyRecipe(std::string_view name, const Setup& setup) : name_(name), setup_(setup), store_(setup.seed) {
    if (setup.values_wait) store_.let_values_wait();
  }
  virtual ~AnyRecipe() = default;
  AnyRecipe(const AnyRecipe&) = delete;
  AnyRecipe& operator=(const AnyRecipe&) = delete;

  std::string_view name() const { return name_; }
  const Setup& setup() const { return setup_; }
  nn::ParameterStore& parameters() { return store_; }

  // ---- training
  virtual bool sequential() const = 0;
  /// Sampled batches: samples of a split, and of an epoch; a batch of some of them.
  virtual std::int64_t size(Split split) const = 0;
  virtual std::int64_t samples_per_epoch() const = 0;
  virtual AnyBatch batch(const Samples& samples) const = 0;
  /// Sampled batches: the recipe's own order, or nothing.
  virtual std::optional<std::vector<std::int64_t>> order(std::int64_t epoch, std::int64_t first, std::int64_t count) const = 0;
  /// Sampled batches, without an order of the recipe's own: places in a row that each sample takes.
  virtual std::int64_t repeats() const = 0;
  /// Sequential batches.
  virtual void begin_epoch(std::int64_t epoch) = 0;
  virtual std::optional<AnyBatch> next_batch() = 0;
  /// Whether batches can be computed in parts; a part of what next_batch gave, nothing if it has no row; and what follows a step of parts.
  virtual bool divides() const = 0;
  virtual std::optional<AnyBatch> part(const AnyBatch& batch, const Part& part) const = 0;
  virtual void share_rows(const std::function<Tensor(const Tensor& mine)>& all) = 0;
  /// Of both kinds.
  virtual std::int64_t batches_per_epoch() const = 0;
  virtual std::vector<std::string> loss_terms() const = 0;
  virtual std::vector<double> loss_counts(const AnyBatch& batch) const = 0;
  virtual std::vector<Tensor> loss(const AnyBatch& batch, const nn::Run& run) = 0;
  virtual bool initializes() const = 0;  ///< whether it has something to do there
  virtual void initialize(optim::Optimizer& optimizer) = 0;
  virtual NamedTensors state() const = 0;
  virtual void set_state(const NamedTensors& state) = 0;
  virtual std::string data_digest() const = 0;
  virtual data::DataReport data_report() const = 0;
  virtual NamedTensors artifacts() const = 0;
  virtual std::vector<NamedRows> named_rows() const = 0;
  virtual nn::ForeignNames own_names() const = 0;

  // ---- evaluation
  virtual std::string_view metric() const = 0;  ///< the recipe's choice; empty: the first declared one
  virtual std::unique_ptr<AnyEvaluation> evaluation(Split split) = 0;
  /// The batches of a split; undefined for sampled ones, which the engine makes.
  virtual BatchSource evaluation_batches(Split split) = 0;
  virtual Metrics baselines(Split split) = 0;
  virtual std::string protocol(Split split) = 0;

  // ---- prediction: lines are taken, then answered together
  virtual void take(std::string line, std::int64_t number) = 0;
  virtual std::vector<std::string> answer() = 0;
  virtual std::int64_t row_width() const = 0;  ///< numbers of an answer; 0: answers are text alone
  virtual Tensor answer_rows() = 0;            ///< instead of answer(): f32 [lines, row_width()]
  virtual std::vector<std::string> unread_by_answers() const = 0;

  // ---- going on with a text
  virtual bool generates() const = 0;
  virtual void generate(const std::string& prompt, const std::function<bool(std::string_view text)>& write) = 0;

  // ---- bench
  virtual std::optional<AnyBatch> bench_batch(std::int64_t index) = 0;  ///< nothing: of the data
  virtual std::string bench_of(std::string_view what) = 0;              ///< a JSON object; empty: there is no such thing

 private:
  std::string_view name_;
  Setup setup_;
  nn::ParameterStore store_;
};

/// A configuration of a recipe: the engine's sections and its own, bound to one table.
class AnyConfig {
 public:
  virtual ~AnyConfig() = default;
  AnyConfig() = default;
  AnyConfig(const AnyConfig&) = delete;
  AnyConfig& operator=(const AnyConfig&) = delete;

  virtual const EngineOptions& engine() const = 0;
  virtual OptionTable& table() = 0;
  /// Fills what follows from other settings and checks rules across fields, after the last assignment. Throws ConfigError.
  virtual void finish() = 0;
  virtual std::unique_ptr<AnyRecipe> make(const Setup& setup) const = 0;
  /// False if the recipe has nothing to prepare.
  virtual bool prepare(const Setup& setup, std::ostream& report) const = 0;
  /// Nothing if the recipe has no pictures of its training data.
  virtual std::optional<Preview> preview(const Setup& setup) const = 0;
  /// Whether `capstan bench` needs no data.
  virtual bool benches_without_data() const = 0;
  /// The forms of other programs' models, for the model as it is configured now; they must not outlive this.
  virtual std::vector<ForeignForm> foreign_forms() const = 0;
};

/// A recipe as the program lists it.
struct RecipeEntry {
  std::string_view name;
  std::unique_ptr<AnyConfig> (*configuration)();
};

}  // namespace capstan::engine
