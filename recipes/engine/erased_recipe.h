#pragma once
// From a class that follows recipe.h to an AnyRecipe: entry<Mine>(), for the list of recipes. Include it in one .cpp file a recipe.

#include <algorithm>
#include <array>
#include <concepts>
#include <type_traits>

#include "recipes/engine/any_recipe.h"

namespace capstan::engine {

namespace detail {

/// Says in a sentence what a recipe lacks.
template <class R>
constexpr bool explain() {
  static_assert(
      requires {
        { R::name } -> std::convertible_to<std::string_view>;
      },
      "a recipe has a name: static constexpr std::string_view name = \"mine\"");
  static_assert(
      requires { typename R::Config; }, "a recipe has a type Config: an aggregate with `template <class V> void visit(V& v)`");
  static_assert(
      requires { typename R::Batch; }, "a recipe has a type Batch: what loss and evaluate read");
  static_assert(std::constructible_from<R, const typename R::Config&, const Setup&, const nn::Scope&>,
                "a recipe is constructed as Mine(const Config&, const Setup&, const nn::Scope&)");
  static_assert(SampledBatches<R> || SequentialBatches<R>,
                "a recipe gives batches: `std::int64_t size(Split) const` and `Batch batch(const Samples&) const`; or, where they follow "
                "from each other, all that engine::SequentialBatches lists");
  static_assert(
      requires(R r, const typename R::Batch& batch, const nn::Run& run) { r.loss(batch, run); },
      "a recipe has a loss: `Tensor loss(const Batch&, const nn::Run&)`, the sum over the batch");
  static_assert(
      requires { typename R::Evaluation; }, "a recipe has a type Evaluation: its metric accumulators");
  static_assert(
      requires(typename R::Evaluation e) {
        { e.accumulators() } -> std::same_as<std::vector<Accumulator*>>;
      },
      "Evaluation lists its metrics: `std::vector<Accumulator*> accumulators()`");
  static_assert(
      requires(R r, const typename R::Batch& batch, typename R::Evaluation& e, const nn::Run& run) { r.evaluate(batch, e, run); },
      "a recipe evaluates a batch: `void evaluate(const Batch&, Evaluation&, const nn::Run&)`");
  static_assert(
      requires(R r, std::string line, std::int64_t n) {
        { r.query(std::move(line), n) } -> std::same_as<typename R::Query>;
      },
      "a recipe reads a line of predict: `Query query(std::string line, std::int64_t number)`");
  static_assert(
      requires(R r, std::span<const typename R::Query> queries, const nn::Run& run) {
        { r.answer(queries, run) } -> std::same_as<std::vector<std::string>>;
      },
      "a recipe answers lines of predict: `std::vector<std::string> answer(std::span<const Query>, const nn::Run&)`");
  return true;
}

template <class R>
consteval std::size_t loss_terms() {
  if constexpr (requires { R::loss_terms; }) return R::loss_terms.size();
  return 1;
}

template <class R>
class ErasedEvaluation final : public AnyEvaluation {
 public:
  ErasedEvaluation(R& recipe, Split split) : recipe_(recipe), split_(split), value_(make(recipe, split)) {}
  void add(const AnyBatch& batch) override { recipe_.evaluate(batch.as<typename R::Batch>(), value_, nn::Run{}); }
  void finish() override {
    if constexpr (requires { recipe_.evaluated(split_, value_); }) recipe_.evaluated(split_, value_);
  }
  std::vector<Accumulator*> accumulators() override { return value_.accumulators(); }
  std::vector<std::string> examples() const override {
    if constexpr (requires { value_.examples(); }) return value_.examples();
    return {};
  }
  std::vector<Finding> findings() const override {
    if constexpr (requires { value_.findings(); }) return value_.findings();
    return {};
  }
  bool divides() const override {
    return !requires { R::Evaluation::in_one_piece; };
  }
  std::vector<std::byte> rest() const override {
    if constexpr (requires { value_.rest(); }) return value_.rest();
    return {};
  }
  void set_rest([[maybe_unused]] std::span<const std::vector<std::byte>> of_all) override {
    if constexpr (requires { value_.add_rest(of_all[0]); }) {
      auto all = make(recipe_, split_);
      std::vector<Accumulator*> sums = all.accumulators();
      for (std::size_t i = 0; i < sums.size(); ++i) std::ranges::copy(value_.accumulators()[i]->sums(), sums[i]->sums().begin());
      for (const auto& of : of_all) all.add_rest(of);
      value_ = std::move(all);
    }
  }

 private:
  static typename R::Evaluation make([[maybe_unused]] R& recipe, [[maybe_unused]] Split split) {
    if constexpr (requires { recipe.evaluation(split); }) {
      return recipe.evaluation(split);
    } else {
      return {};
    }
  }
  R& recipe_;
  Split split_;
  typename R::Evaluation value_;
};

}  // namespace detail

template <class R>
class ErasedRecipe : public AnyRecipe {
  static_assert(detail::explain<R>());
  static constexpr bool kSequential = SequentialBatches<R>;
  using Batch = typename R::Batch;

 public:
  ErasedRecipe(const typename R::Config& config, const Setup& for_setup)
      : AnyRecipe(R::name, for_setup), recipe_(config, setup(), parameters().root()) {}

  R& recipe() { return recipe_; }

  bool sequential() const override { return kSequential; }
  std::int64_t size([[maybe_unused]] Split split) const override {
    if constexpr (SampledBatches<R>) return recipe_.size(split);
    return 0;
  }
  std::int64_t samples_per_epoch() const override {
    if constexpr (requires { recipe_.samples_per_epoch(); }) return recipe_.samples_per_epoch();
    return size(Split::train);
  }
  AnyBatch batch([[maybe_unused]] const Samples& samples) const override {
    if constexpr (SampledBatches<R>) {
      return erased(recipe_.batch(samples), static_cast<double>(samples.size()));
    } else {
      throw InternalError("recipe: batches follow from each other");
    }
  }
  std::optional<std::vector<std::int64_t>> order([[maybe_unused]] std::int64_t epoch, [[maybe_unused]] std::int64_t first,
                                                 [[maybe_unused]] std::int64_t count) const override {
    if constexpr (requires { recipe_.order(epoch, first, count); }) return recipe_.order(epoch, first, count);
    return std::nullopt;
  }
  std::int64_t repeats() const override {
    if constexpr (requires { recipe_.repeats(); }) return recipe_.repeats();
    return 1;
  }
  void begin_epoch([[maybe_unused]] std::int64_t epoch) override {
    if constexpr (kSequential) recipe_.begin_epoch(epoch);
  }
  std::optional<AnyBatch> next_batch() override {
    if constexpr (kSequential) {
      if (auto next = recipe_.next_batch()) return erased(std::move(*next), static_cast<double>(setup().batch_size));
    }
    return std::nullopt;
  }
  bool divides() const override {
    return !kSequential || requires(const R r, const Batch& batch, const Part& p) { r.part(batch, p); };
  }
  std::optional<AnyBatch> part([[maybe_unused]] const AnyBatch& batch, [[maybe_unused]] const Part& which) const override {
    if constexpr (requires { recipe_.part(batch.as<Batch>(), which); }) {
      std::optional<Batch> some = recipe_.part(batch.as<Batch>(), which);
      if (!some) return std::nullopt;
      return erased(std::move(*some), static_cast<double>(setup().batch_size));
    } else {
      throw InternalError("recipe: its batches have no parts");
    }
  }
  void share_rows([[maybe_unused]] const std::function<Tensor(const Tensor& mine)>& all) override {
    if constexpr (requires { recipe_.share_rows(all); }) recipe_.share_rows(all);
  }
  std::int64_t batches_per_epoch() const override {
    if constexpr (kSequential) {
      return recipe_.batches_per_epoch();
    } else {
      return (samples_per_epoch() + setup().batch_size - 1) / setup().batch_size;
    }
  }

  std::vector<std::string> loss_terms() const override {
    if constexpr (requires { R::loss_terms; }) return {R::loss_terms.begin(), R::loss_terms.end()};
    return {"loss"};
  }
  std::vector<double> loss_counts(const AnyBatch& batch) const override {
    if constexpr (requires { recipe_.loss_counts(batch.as<Batch>()); }) {
      const std::array<double, detail::loss_terms<R>()> counts = recipe_.loss_counts(batch.as<Batch>());
      return {counts.begin(), counts.end()};
    } else {
      return std::vector<double>(detail::loss_terms<R>(), batch.items());
    }
  }
  std::vector<Tensor> loss(const AnyBatch& batch, const nn::Run& run) override {
    if constexpr (std::is_same_v<decltype(recipe_.loss(batch.as<Batch>(), run)), Tensor>) {
      return {recipe_.loss(batch.as<Batch>(), run)};
    } else {
      const std::array<Tensor, detail::loss_terms<R>()> sums = recipe_.loss(batch.as<Batch>(), run);
      return {sums.begin(), sums.end()};
    }
  }
  bool initializes() const override {
    return requires(R recipe, nn::ParameterStore store, optim::Optimizer & optimizer) { recipe.initialize(store, optimizer); };
  }
  void initialize([[maybe_unused]] optim::Optimizer& optimizer) override {
    if constexpr (requires { recipe_.initialize(parameters(), optimizer); }) recipe_.initialize(parameters(), optimizer);
  }
  NamedTensors state() const override {
    if constexpr (requires { recipe_.state(); }) return recipe_.state();
    return {};
  }
  void set_state([[maybe_unused]] const NamedTensors& state) override {
    if constexpr (requires { recipe_.set_state(state); }) recipe_.set_state(state);
  }
  std::string data_digest() const override {
    if constexpr (requires { recipe_.data_digest(); }) {
      return recipe_.data_digest();
    } else {
      return data_digest_of(artifacts(), std::array{size(Split::train), size(Split::validation), size(Split::test)});
    }
  }
  data::DataReport data_report() const override {
    if constexpr (requires { recipe_.data_report(); }) return recipe_.data_report();
    return {};
  }
  NamedTensors artifacts() const override {
    if constexpr (requires { recipe_.artifacts(); }) return recipe_.artifacts();
    return {};
  }
  std::vector<NamedRows> named_rows() const override {
    if constexpr (requires { recipe_.named_rows(); }) return recipe_.named_rows();
    return {};
  }
  nn::ForeignNames own_names() const override {
    if constexpr (requires { recipe_.own_names(); }) return recipe_.own_names();
    return {};
  }

  std::string_view metric() const override {
    if constexpr (requires { R::metric; }) return R::metric;
    return {};
  }
  std::unique_ptr<AnyEvaluation> evaluation(Split split) override { return std::make_unique<detail::ErasedEvaluation<R>>(recipe_, split); }
  BatchSource evaluation_batches([[maybe_unused]] Split split) override {
    if constexpr (kSequential) {
      const std::function<std::optional<Batch>()> source = recipe_.evaluation_batches(split);
      if (!source) return {};
      return [this, source]() -> std::optional<AnyBatch> {
        if (auto next = source()) return erased(std::move(*next), static_cast<double>(setup().batch_size));
        return std::nullopt;
      };
    } else {
      return {};
    }
  }
  Metrics baselines([[maybe_unused]] Split split) override {
    if constexpr (requires { recipe_.baselines(split); }) return recipe_.baselines(split);
    return {};
  }
  std::string protocol([[maybe_unused]] Split split) override {
    if constexpr (requires { recipe_.protocol(split); }) return recipe_.protocol(split);
    return "";
  }

  void take(std::string line, std::int64_t number) override { queries_.push_back(recipe_.query(std::move(line), number)); }
  std::vector<std::string> answer() override {
    const std::vector<typename R::Query> queries = std::exchange(queries_, {});
    return recipe_.answer(std::span<const typename R::Query>(queries), nn::Run{});
  }
  std::int64_t row_width() const override {
    if constexpr (requires { recipe_.row_width(); }) return recipe_.row_width();
    return 0;
  }
  Tensor answer_rows() override {
    const std::vector<typename R::Query> queries = std::exchange(queries_, {});
    if constexpr (requires { recipe_.row_width(); }) {
      return recipe_.answer_rows(std::span<const typename R::Query>(queries), nn::Run{});
    } else {
      throw InternalError("recipe: answers are text");
    }
  }

  bool generates() const override {
    return requires(R r, const std::string& prompt, const std::function<bool(std::string_view)>& write) { r.generate(prompt, write); };
  }
  void generate([[maybe_unused]] const std::string& prompt,
                [[maybe_unused]] const std::function<bool(std::string_view text)>& write) override {
    if constexpr (requires { recipe_.generate(prompt, write); }) {
      recipe_.generate(prompt, write);
    } else {
      throw InternalError("recipe: does not go on with a text");
    }
  }
  std::vector<std::string> unread_by_answers() const override {
    if constexpr (requires { recipe_.unread_by_answers(); }) return recipe_.unread_by_answers();
    return {};
  }

  std::optional<AnyBatch> bench_batch([[maybe_unused]] std::int64_t index) override {
    if constexpr (requires { recipe_.bench_batch(index); })
      return erased(recipe_.bench_batch(index), static_cast<double>(setup().batch_size));
    return std::nullopt;
  }
  std::string bench_of([[maybe_unused]] std::string_view what) override {
    if constexpr (requires { recipe_.bench_of(what); }) return recipe_.bench_of(what);
    return "";
  }

 private:
  AnyBatch erased(Batch batch, double samples) const {
    if constexpr (requires { recipe_.items(batch); }) samples = static_cast<double>(recipe_.items(batch));
    return {std::in_place_type<Batch>, std::move(batch), samples};
  }

  R recipe_;
  std::vector<typename R::Query> queries_;
};

template <class R>
class ErasedConfig final : public AnyConfig {
 public:
  ErasedConfig() {
    fields_.engine.recipe = std::string(R::name);
    if constexpr (requires { R::defaults(fields_.engine); }) R::defaults(fields_.engine);
    own_ = fields_.engine.optimizer.kind;
    table_.emplace(fields_);
  }
  const EngineOptions& engine() const override { return fields_.engine; }
  OptionTable& table() override { return *table_; }
  void finish() override {
    follow_kind(*table_, fields_.engine.optimizer, own_);
    fields_.engine.optimizer.validate();
    fields_.engine.init.validate();
    if constexpr (requires { fields_.recipe.validate(); }) fields_.recipe.validate();
  }
  std::unique_ptr<AnyRecipe> make(const Setup& setup) const override { return std::make_unique<ErasedRecipe<R>>(fields_.recipe, setup); }
  bool prepare([[maybe_unused]] const Setup& setup, [[maybe_unused]] std::ostream& report) const override {
    if constexpr (requires { R::prepare(fields_.recipe, setup, report); }) {
      R::prepare(fields_.recipe, setup, report);
      return true;
    } else {
      return false;
    }
  }
  std::optional<Preview> preview([[maybe_unused]] const Setup& setup) const override {
    if constexpr (requires { R::preview(fields_.recipe, setup); }) {
      return R::preview(fields_.recipe, setup);
    } else {
      return std::nullopt;
    }
  }
  std::vector<ForeignForm> foreign_forms() const override {
    if constexpr (requires { R::foreign_forms(fields_.recipe); }) {
      return R::foreign_forms(fields_.recipe);
    } else {
      return {};
    }
  }
  bool benches_without_data() const override {
    return requires(R r, std::int64_t n) { r.bench_batch(n); };
  }

 private:
  struct Fields {
    EngineOptions engine;
    typename R::Config recipe;
    template <class V>
    void visit(V& v) {
      engine.visit(v);
      recipe.visit(v);
    }
  };
  Fields fields_;
  OptimizerKind own_ = {};
  std::optional<OptionTable> table_;
};

/// For the list of recipes.
template <class R>
RecipeEntry entry() {
  return {R::name, []() -> std::unique_ptr<AnyConfig> { return std::make_unique<ErasedConfig<R>>(); }};
}

}  // namespace capstan::engine
