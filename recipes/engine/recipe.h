#pragma once
// The contract between a recipe (a model with its data and its metrics) and the engine (loops, checkpoints, command line).
//
// A recipe is one class; there is no base class. It is *not* concerned with files of the run, loops, the order of an epoch, optimiser and
// schedule, clipping, accumulation, logging, signals or resume: the engine does all of that from what is asked here. A whole one stands
// in recipes/README.md. What must be there:
//
//     struct Mine {
//       static constexpr std::string_view name = "mine";       // "mine/default" finds recipes/mine/default.cfg
//       struct Config { ...; template <class V> void visit(V& v); };                     // engine/config/option_table.h
//       Mine(const Config&, const Setup&, const nn::Scope&);   // opens the data, builds the model below the scope
//
//       struct Batch { Tensor x, y; };
//       std::int64_t size(Split) const;                        // samples of a split; 0: there is none
//       Batch batch(const Samples&) const;                     // any thread, any order, any number of times, the same batch
//
//       Tensor loss(const Batch&, const nn::Run&);             // the sum over the batch, a scalar
//
//       struct Evaluation { ...; std::vector<Accumulator*> accumulators(); };            // engine/metrics/metric.h
//       void evaluate(const Batch&, Evaluation&, const nn::Run&);
//
//       struct Query { ... };                                  // a line of `predict`
//       Query query(std::string line, std::int64_t number);    // DataError if it makes no sense
//       std::vector<std::string> answer(std::span<const Query>, const nn::Run&);         // a line for each
//     };
//
// What may be there beside, each with its default:
//
//     static void defaults(EngineOptions&)                    other defaults of the engine's own sections
//     void Config::validate() const                           rules across fields; throws ConfigError
//     static constexpr std::string_view metric                which metric selects the best checkpoint: the first declared one
//     static constexpr std::array<...> loss_terms             names of several terms; loss then returns as many sums, in an array
//     counts loss_counts(const Batch&) const                  what each sum is divided by: the samples of the batch
//     std::int64_t items(const Batch&) const                  items of a batch, for the throughput: its samples
//     std::int64_t samples_per_epoch() const                  size(Split::train)
//     std::vector<std::int64_t> order(epoch, first, count) const    the samples at these places of an epoch: each has a new permutation
//     std::int64_t repeats() const                            how many places in a row each sample of the engine's order takes, while the
//                                                             epoch keeps its length: 1
//     Evaluation evaluation(Split)                            an empty one for a pass over the split: Evaluation{}
//     void evaluated(Split, const Evaluation&)                called when a split is done: files to write
//     Metrics baselines(Split)                                what simple methods reach; taken once
//     std::string protocol(Split)                             how the metrics of a split are taken, in words, a line each
//     NamedTensors artifacts() const                          what evaluate and predict need besides the parameters (id map, vocabulary)
//     std::vector<NamedRows> named_rows() const               parameters whose rows stand for names: init.from takes rows by name
//     nn::ForeignNames own_names() const                      parameters that init.from makes of tensors of other sizes, where these have
//                                                             our own names (nn/foreign_names.h)
//     static std::vector<ForeignForm> foreign_forms(const Config&)   other programs' models of this kind (pretrained/foreign_form.h), as
//                                                             configured; they may refer to the Config
//     data::DataReport data_report() const                    what was read, in words; printed before anything is done with it
//     std::string data_digest() const                         identity of the data; a resume with other data is refused. Without it: of
//                                                             artifacts and numbers of samples, which do not see every change
//     static void prepare(const Config&, const Setup&, std::ostream&)     builds what training reads, and says what it wrote
//     static Preview preview(const Config&, const Setup&)     samples of the training data as pictures, for `prepare --preview`
//     std::int64_t row_width() const, Tensor answer_rows(std::span<const Query>, const nn::Run&)      answers in numbers, f32 [queries,
//                                                             row_width], for predict.format = npy and hdf5; 0: not as configured
//     void generate(const std::string& prompt, const std::function<bool(std::string_view text)>& write)   `capstan generate`: goes on with
//                                                             a prompt. Text is written as it comes, sometimes none of it; false: no more
//                                                             is wanted. DataError if the prompt makes no sense
//     std::vector<std::string> unread_by_answers() const      paths of parameters that no answer of predict, as configured, depends on: a
//                                                             model directory may lack what lies below them
//     Batch bench_batch(std::int64_t index)                   random data of the configured shape; without it bench reads the data
//     std::string bench_of(std::string_view what)             what `bench --what` measures instead of training steps, a JSON object;
//                                                             empty: there is no such thing
//     std::vector<std::string> Evaluation::examples() const   after a validation: answers to a few samples for the log, a line each
//     std::vector<Finding> Evaluation::findings() const       the same for the report: tables, pictures and curves (report/finding.h)
//     void initialize(nn::ParameterStore&, optim::Optimizer&) before the first step of a new run
//     NamedTensors state() const, void set_state(const NamedTensors&)     what the next step depends on besides parameters and optimiser
//
// Batches that follow from each other, instead of size(Split::train) and batch(Samples) (SequentialBatches below). For several processes:
//
//     std::optional<Batch> part(const Batch&, const Part&) const      a part of what next_batch gave; nothing: it would hold no row.
//                                                             loss gets parts alone, those of this process in order. A recipe without it
//                                                             trains on one process only
//     void share_rows(const std::function<Tensor(const Tensor& mine)>& all)   after the parts of each batch, on every process: `all` puts
//                                                             the rows that each has, f32 [its rows, columns], one below the other
//
// evaluation_batches then gives each process (Setup::rank) its share of the split, and what needs no case is counted by rank 0 alone. An
// Evaluation of cases that processes share out has, where its accumulators do not hold all of it,
//
//     std::vector<std::byte> rest() const, void add_rest(std::span<const std::byte>)     what else the share of this process has left, for
//                                                             the others; called with that of each, by rank, on a new Evaluation that has
//                                                             the sums of all and may add to them. Sampled shares keep the split's order
//     static constexpr bool in_one_piece = true               instead: each process goes through all cases

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/error.h"
#include "autograd/core/tensor.h"
#include "data/data_report.h"
#include "data/id_map.h"
#include "data/image/image.h"
#include "nn/parameter_store.h"
#include "nn/run.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::engine {

struct EngineOptions;

/// Small named tensors that belong to a recipe: state of a sequential reader, an id map, a vocabulary.
using NamedTensors = std::map<std::string, Tensor, std::less<>>;
/// Text as a tensor u8[bytes], and back.
Tensor text_tensor(std::string_view text);
std::string tensor_text(const Tensor& t);
/// Texts without line breaks as one artifact, a line each, and back; empty if there is no artifact of this name.
void store_lines(NamedTensors& artifacts, std::string_view name, std::span<const std::string> lines);
std::vector<std::string> stored_lines(const NamedTensors& artifacts, std::string_view name);

/// The line, for a recipe that can answer any text. Throws DataError naming its number if there is nothing but blanks.
std::string not_blank(std::string line, std::int64_t number);

/// The number of one of `count` things, such as test images, in a line of predict. Throws DataError that says what `what` is expected.
std::int64_t number_below(std::string_view text, std::int64_t count, std::string_view what);

/// Calls `read` and returns what it does; the text of an error of it that a user can do something about stands between `before` and
/// `after`.
template <class F>
auto told_with(std::string_view before, std::string_view after, const F& read) {
  try {
    return read();
  } catch (const IoError& e) {
    throw IoError(join_text(before, e.what(), after));
  } catch (const DataError& e) {
    throw DataError(join_text(before, e.what(), after));
  } catch (const ConfigError& e) {
    throw ConfigError(join_text(before, e.what(), after));
  } catch (const CheckpointError& e) {
    throw CheckpointError(join_text(before, e.what(), after));
  }
}

/// The same with the key of the configuration that led there: "data.train: ...".
template <class F>
auto named_by(std::string_view key, const F& read) {
  return told_with(join_text(key, ": "), "", read);
}

/// Names and their numbers as an artifact, and back; empty if there is none. Throws CheckpointError.
void store_ids(NamedTensors& artifacts, const std::string& name, const data::IdMap& ids);
data::IdMap stored_ids(const NamedTensors& artifacts, const std::string& name);
/// The names in the order of their numbers.
std::vector<std::string> names_of(const data::IdMap& ids);

/// Parameters whose rows, from `first` on, stand for names that a checkpoint keeps as an artifact: words, items, classes.
struct NamedRows {
  std::string_view what;  ///< "items", for messages
  std::vector<std::string> (*names)(const NamedTensors& artifacts) = nullptr;
  std::vector<Parameter> parameters = {};  ///< [rows, ...]; undefined ones do not count
  std::int64_t first = 0;                  ///< rows before it have no name (padding)
};

/// Samples of training data as the model is shown them.
struct Preview {
  data::Image page;
  std::vector<std::string> captions;  ///< what its rows and columns are, a line each
};

/// Why a recipe is built. It may open data files for train, evaluate and prepare, for bench only without a bench_batch; for predict it
/// should do with Setup::artifacts.
enum class Purpose { train, evaluate, predict, prepare, bench };
enum class Split { train, validation, test };
std::string_view name_of(Split split);

/// The identity of data where a recipe states none.
std::string data_digest_of(const NamedTensors& artifacts, std::span<const std::int64_t> sizes);

/// What the engine tells a recipe at construction, from its own sections of the configuration.
struct Setup {
  Purpose purpose = Purpose::train;
  std::uint64_t seed = 0;             ///< run.seed: of parameters, data order, dropout; in use that of the checkpoint
  int threads = 1;                    ///< run.threads: OpenMP threads
  DType precision = DType::f32;       ///< train.precision of the matrix work, f32 or bf16; master weights are f32
  std::int64_t batch_size = 0;        ///< samples in one training batch: train.micro_batch_size, or train.batch_size where that is 0
  std::int64_t batches_per_step = 1;  ///< batches accumulated into one optimiser step
  std::int64_t epochs = 0;            ///< train.epochs
  std::int64_t evaluation_size = 32;  ///< evaluate.batch_size: samples of one forward pass, for evaluation_batches
  std::string data_dir = {};          ///< run.data: relative data paths start here; see data_path
  bool json_answers = false;          ///< predict.format: answers are JSON objects, else columns with tabs between them
  NamedTensors artifacts = {};        ///< of the checkpoint, for evaluate and predict; otherwise empty
  std::int64_t checkpoint_step = 0;   ///< the same: after how many optimiser steps it was saved
  NamedTensors initial = {};          ///< for train and prepare: artifacts of the model in init.from, or of the run that goes on
  bool resumed = false;               ///< it is the latter
  int rank = 0, ranks = 1;            ///< this process among those that train together (distributed/comm.h)
  std::int64_t parts = 1;             ///< that a training batch is computed in, on all of them
  bool values_wait = false;           ///< of parameters: a file is read before ParameterStore::draw_waiting draws the rest

  /// `path` if it is absolute, otherwise below data_dir. Throws ConfigError if it is empty.
  std::string data_path(std::string_view path) const;
};

/// Which samples make up a batch.
struct Samples {
  Split split = Split::train;
  std::int64_t epoch = 0;                 ///< of training, from 0
  std::int64_t first = 0;                 ///< the place of the first one in the epoch, or in the split
  std::span<const std::int64_t> indices;  ///< their numbers, each below size(split)
  /// Training computes a batch in parts where several processes share it, or where its blocks are summed in a fixed order: the samples of
  /// the whole batch, and the place of this part's first one among them. Empty: the batch has one part.
  std::span<const std::int64_t> whole = {};
  std::int64_t offset = 0;

  std::int64_t size() const { return static_cast<std::int64_t>(indices.size()); }
  std::span<const std::int64_t> batch() const { return whole.empty() ? indices : whole; }
  std::int64_t batch_first() const { return first - offset; }  ///< the place in the epoch where the whole batch begins
};

/// The part `index` of `count` of a batch of n rows: those from n index / count on to the next part's first. What is computed for a row
/// must not depend on the part that it is in, but for rounding.
struct Part {
  std::int64_t index = 0, count = 1;
  std::int64_t begin(std::int64_t n) const { return n * index / count; }
  std::int64_t end(std::int64_t n) const { return n * (index + 1) / count; }
};

/// Instead of size(Split::train) and batch(Samples): batches that follow from each other. Called on the training thread alone. An epoch
/// starts with begin_epoch; a resume inside one calls begin_epoch(epoch), then set_state; a resume between two epochs the other way round,
/// as the uninterrupted run would. Calling begin_epoch twice is the same as once. state and set_state are needed, and saved at step
/// boundaries.
template <class R>
concept SequentialBatches = requires(R r, const R c, std::int64_t n, Split split, const NamedTensors& state) {
  { c.batches_per_epoch() } -> std::convertible_to<std::int64_t>;  ///< serves schedules and the time left
  r.begin_epoch(n);
  { r.next_batch() } -> std::same_as<std::optional<typename R::Batch>>;  ///< nothing at the end of the epoch, however often asked
  { c.state() } -> std::same_as<NamedTensors>;
  r.set_state(state);
  /// A function that gives the batches of a split one by one, then nothing; undefined: there is no such split.
  { r.evaluation_batches(split) } -> std::convertible_to<std::function<std::optional<typename R::Batch>()>>;
};

/// Batches of samples that the engine chooses.
template <class R>
concept SampledBatches = requires(const R c, Split split, const Samples& samples) {
  { c.size(split) } -> std::convertible_to<std::int64_t>;
  { c.batch(samples) } -> std::same_as<typename R::Batch>;
};

}  // namespace capstan::engine
