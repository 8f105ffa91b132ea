#pragma once
// The contract between a recipe (a model with its data and its metrics) and the engine (train loop, checkpoints, command line).
//
// A recipe is one class that satisfies the concept Recipe below; there is no base class. It is *not* concerned with files of the
// run, the loop, clipping, accumulation, logging, signals or resume: the engine does all of that from what is asked here.
//
//     struct Linear {
//       static constexpr std::string_view name = "linear";                        // "linear/default" finds recipes/linear/default.cfg
//       static constexpr std::array<std::string_view, 1> loss_terms{"loss"};
//       static constexpr Selection selection{"mse", Goal::minimize};              // on the validation split
//       struct Config { double lr = .1; template <class V> void visit(V& v) { v("optimizer.lr", ...) } };   // see config.h
//       struct Batch { Tensor x, y; };
//       Linear(const Config&, const Setup&);
//       ...
//     };
//
// Invariants the engine relies on, and tests check for every recipe:
//   - make_batch is a pure function of (epoch, index): any thread, any order, any number of times, the same batch;
//   - loss is a function of parameters, batch and nn::Run alone (sequential recipes: and of state()); Run::seed differs from batch to
//     batch of the run, and everything random comes from it; a recipe whose batches number their tokens adds Run::token_ids;
//   - evaluate, predict and the bench functions leave everything that state() names, parameters and optimiser as they were.

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/engine/metrics.h"

namespace capstan::engine {

/// Small named tensors that belong to a recipe: state of a sequential reader, an id map, a vocabulary.
using NamedTensors = std::map<std::string, Tensor, std::less<>>;
/// Text as a tensor u8[bytes], and back.
Tensor text_tensor(std::string_view text);
std::string tensor_text(const Tensor& t);

/// Why a recipe is built. It may open data files for train, evaluate and prepare, never for bench; for predict it should do with
/// Setup::artifacts.
enum class Purpose { train, evaluate, predict, prepare, bench };
enum class Split { validation, test };

/// What the engine tells a recipe at construction, from the sections run, train and loader.
struct Setup {
  Purpose purpose = Purpose::train;
  std::uint64_t seed = 0;             ///< run.seed: of parameters, data order, dropout
  int threads = 1;                    ///< run.threads: OpenMP threads
  DType precision = DType::f32;       ///< train.precision of the matrix work, f32 or bf16; master weights are f32
  std::int64_t batch_size = 0;        ///< items in one Batch: train.micro_batch_size, or train.batch_size where that is 0
  std::int64_t batches_per_step = 1;  ///< batches accumulated into one optimiser step
  std::int64_t max_steps = 0;         ///< train.max_steps, 0 = no limit; schedules that end need it
  std::int64_t epochs = 0;            ///< train.epochs
  std::string data_dir = {};          ///< run.data: relative data paths start here; see data_path
  NamedTensors artifacts = {};        ///< of the checkpoint, for evaluate and predict; otherwise empty

  /// `path` if it is absolute, otherwise below data_dir.
  std::string data_path(std::string_view path) const;
};

/// Which validation metric picks the best checkpoint and stops early (train.metric replaces the name).
enum class Goal { minimize, maximize };
struct Selection {
  std::string_view metric;
  Goal goal = Goal::maximize;
};

// ---- the loss ----
// A recipe's loss is a sum of terms, each a mean: sum_k (sums[k] / counts[k]). loss() returns the sums as recorded scalars, and
// loss_counts() what each is divided by, known from the batch before anything is computed (real positions, masked tokens, or
// simply a constant). The engine adds the counts over the batches of a step and starts backward with 1 / total, so accumulating
// micro batches equals one large batch whatever their sizes are. The log shows "loss" (the sum of the means) and, if there
// are several, every term under its name.
template <class R>
inline constexpr std::size_t kLossTerms = R::loss_terms.size();
template <class R>
using LossSums = std::array<Tensor, kLossTerms<R>>;
template <class R>
using LossCounts = std::array<double, kLossTerms<R>>;

template <class R>
concept RecipeBasics = requires(R r, const R c, const typename R::Batch& batch, std::span<const Gradient> gradients, double rate,
                                std::int64_t n, Split split, std::istream& in, std::ostream& out) {
  { R::name } -> std::convertible_to<std::string_view>;
  { R::loss_terms[0] } -> std::convertible_to<std::string_view>;
  { R::selection } -> std::convertible_to<Selection>;
  requires std::constructible_from<R, const typename R::Config&, const Setup&>;
  requires std::movable<typename R::Batch>;

  /// All parameters, and the optimiser over them (optim/optimizer.h).
  { r.parameters() } -> std::same_as<nn::ParameterStore&>;
  r.optimizer().step(gradients, rate);
  /// A pure function of the number of optimiser steps done.
  { c.learning_rate(n) } -> std::convertible_to<double>;

  /// Batches of one epoch. Exact for IndexedBatches; for SequentialBatches it serves ETA and schedules only.
  { c.batches_per_epoch() } -> std::convertible_to<std::int64_t>;
  { c.loss_counts(batch) } -> std::same_as<LossCounts<R>>;
  /// One forward pass; the engine holds the tape (training) or NoGrad.
  { r.loss(batch, nn::Run{}) } -> std::same_as<LossSums<R>>;

  /// Metrics by name: "ndcg@10", "sampled100/hit@10". The engine holds NoGrad.
  { r.evaluate(split) } -> std::same_as<Metrics>;
  /// Reads inputs line by line and answers each with one line. Throws DataError naming the line.
  r.predict(in, out);

  /// Identity of the data trained on (data/file.h: to_text(Digest)); a resume with other data is refused. "" = none.
  { c.data_digest() } -> std::convertible_to<std::string>;

  /// For `capstan bench`: random data of the configured shape, no files; training work of one optimiser step of batches_per_step
  /// batches, forward and backward, counted as 2 FLOP per multiply-add of the matrix products.
  { r.bench_batch(n) } -> std::same_as<typename R::Batch>;
  { c.flops_per_step() } -> std::convertible_to<double>;
  /// Items (sequences, events, images) of one optimiser step.
  { c.items_per_step() } -> std::convertible_to<double>;
};

/// Batches that depend on (epoch, index) alone. They are made on loader threads; resume needs nothing but the position.
template <class R>
concept IndexedBatches = requires(const R c, std::int64_t n) {
  { c.make_batch(n, n) } -> std::same_as<typename R::Batch>;  ///< epoch, index in [0, batches_per_epoch())
};

/// State beyond parameters and optimiser that the next step depends on (hidden states, cursors). Saved at step boundaries under
/// /train/recipe; set_state gets exactly what state() gave. Optional for IndexedBatches.
template <class R>
concept HasState = requires(R r, const R c, const NamedTensors& state) {
  { c.state() } -> std::same_as<NamedTensors>;
  r.set_state(state);
};

/// Batches that follow from each other. Called on the training thread alone. An epoch starts with begin_epoch; a resume inside one calls
/// begin_epoch(epoch), then set_state; a resume between two epochs the other way round, as the uninterrupted run would. Calling
/// begin_epoch twice is the same as once.
template <class R>
concept SequentialBatches = HasState<R> && requires(R r, std::int64_t n) {
  r.begin_epoch(n);
  { r.next_batch() } -> std::same_as<std::optional<typename R::Batch>>;  ///< nothing at the end of the epoch, however often asked
};

template <class R>
inline constexpr bool kOneKindOfBatches = IndexedBatches<R> != SequentialBatches<R>;

template <class R>
concept Recipe = RecipeBasics<R> && kOneKindOfBatches<R>;

/// Optional: builds what training reads (vocabulary, instances, splits) and says on `report` what it wrote.
template <class R>
concept Prepares = requires(const typename R::Config& config, const Setup& setup, std::ostream& report) {
  R::prepare(config, setup, report);
};

/// Optional: what evaluate and predict need besides the parameters (id map, vocabulary). Written into every checkpoint under
/// /artifacts and handed back as Setup::artifacts, so that a checkpoint alone can predict.
template <class R>
concept HasArtifacts = requires(const R c) {
  { c.artifacts() } -> std::same_as<NamedTensors>;
};

/// Optional: how the metrics of a split are taken, in words, a line each; printed above them.
template <class R>
concept StatesProtocol = requires(R r, Split split) {
  { r.protocol(split) } -> std::same_as<std::string>;
};

/// Optional: the number of loss items in a batch, for items/s (default: Setup::batch_size).
template <class R>
concept CountsItems = requires(const R c, const typename R::Batch& batch) {
  { c.items(batch) } -> std::convertible_to<std::int64_t>;
};

}  // namespace capstan::engine
