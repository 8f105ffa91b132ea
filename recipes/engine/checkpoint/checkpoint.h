#pragma once
// Checkpoint: everything that a run needs to go on as if it had not stopped, in one HDF5 file (data/hdf5/hdf5.h).
//
//     /meta       format, program, recipe, configuration, data digest, threads, precision   (attributes; config as text)
//     /model      one tensor a parameter, under its name: what evaluate and predict use, so averages where the run keeps them
//     /optimizer  <slot>/<parameter>; name and step count as attributes
//     /train      step, epoch, position, best metric, early-stop counter, kept files; guard; recipe/<name>: the recipe's own state
//     /weights    only where /model holds averages: the weights that training goes on from
//     /artifacts  what evaluate and predict need besides the parameters
//
// Contract: save, load, then the next steps are bit-identical if binary, machine and thread count are the same. The file stores these
// for comparison. Random numbers need no state (they are functions of seed and step), nor does the order of the data (of seed and epoch).
// Loading is strict by name and shape, and reports everything that is missing, unexpected or of another shape at once.
// This file is the content; how it gets onto the disk is checkpoint_directory.h.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "data/hdf5/hdf5.h"
#include "nn/import.h"
#include "nn/parameter_store.h"
#include "optim/optimizer.h"
#include "optim/weight_average.h"
#include "recipes/engine/distributed/sharded_optimizer.h"
#include "recipes/engine/recipe.h"

namespace capstan::engine {

inline constexpr std::int64_t kCheckpointFormat = 1;

struct CheckpointMeta {
  std::string recipe;
  std::string config;  ///< the resolved configuration, valid as a file
  std::string data_digest;
  std::int64_t threads = 0;
  std::string precision;
};

struct KeptCheckpoint {
  std::int64_t step = 0;
  double metric = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not validated at this step
};

/// Batches that were not learnt from: from one place of the data's order up to another, which is not part of it.
struct LeftOut {
  std::int64_t epoch = 0, position = 0;          ///< epochs completed, batches of the next one done
  std::int64_t end_epoch = 0, end_position = 0;  ///< likewise

  bool operator==(const LeftOut&) const = default;
};

/// What the guards know of the steps before (train/guard.h).
struct GuardState {
  std::vector<double> losses, norms;  ///< that the next step's are compared with, oldest first
  std::int64_t rewind_step = -1;      ///< of the checkpoint that a spike goes back to; -1: there is none
  std::int64_t rewind_best = -1;      ///< of the best checkpoint then
  std::int64_t rewinds = 0;           ///< how often that was done with this one
  std::vector<LeftOut> left_out;      ///< in order
};

struct TrainState {
  std::int64_t step = 0;             ///< optimiser steps done
  std::int64_t epoch = 0;            ///< epochs completed
  std::int64_t position = 0;         ///< batches of the present epoch that are done
  std::int64_t bad_validations = 0;  ///< since the best one
  std::int64_t best_step = -1;       ///< -1: not validated yet
  double best_metric = std::numeric_limits<double>::quiet_NaN();
  std::string metric;                ///< what best_metric and those of `kept` are of; empty: not stored
  double items = 0;                  ///< trained on in all
  std::vector<double> window;        ///< what the next row of the log averages so far (train_session.h)
  std::vector<KeptCheckpoint> kept;  ///< the files of the directory, with this one
  GuardState guard;
  NamedTensors recipe;
};

/// The content of a file as bytes: a copy taken at one moment, which may be written while training goes on. `optimizer` may be null (a
/// dump of weights), which makes a file that evaluates and predicts but does not resume. `average` may be null.
std::vector<std::byte> checkpoint_image(const CheckpointMeta& meta, const nn::ParameterStore& parameters, optim::Optimizer* optimizer,
                                        const TrainState& train, const NamedTensors& artifacts,
                                        const optim::WeightAverage* average = nullptr);

/// What a save takes: the bytes of a file, or the writing of one while the state stands still.
struct CheckpointContent {
  std::vector<std::byte> image = {};
  std::function<void(data::Hdf5Writer*)> write = {};  ///< null: nothing is written, but what takes part with other processes is done
  std::size_t bytes = 0;                              ///< about the size of what is written
};

/// The content where processes share out the optimiser's state, of which memory should hold one tensor at a time: they bring it together
/// while the first one writes (ShardedOptimizer::gather_for_first). What is referred to must live until then. An error of the writer goes
/// on when all of it has come together.
CheckpointContent gathered_checkpoint(const CheckpointMeta& meta, const nn::ParameterStore& parameters, ShardedOptimizer& optimizer,
                                      const TrainState& train, const NamedTensors& artifacts, const optim::WeightAverage* average);

/// A dataset of a checkpoint, and the tensor it is written from or read into.
struct CheckpointTensor {
  std::string name;
  Tensor value;
};

class Checkpoint {
 public:
  /// How the file is kept: whole in memory, or on the disk, of which only what is asked for is read. It must not change meanwhile, which
  /// the files of a run never do.
  enum class Reading { whole, in_parts };
  /// Reads a file. Throws CheckpointError if it is damaged (naming the tensor, where that can be told), cut short, of a newer format or no
  /// checkpoint; IoError if it cannot be read.
  explicit Checkpoint(const std::string& path, Reading reading = Reading::whole);

  const std::string& path() const { return reader_.path(); }
  const CheckpointMeta& meta() const { return meta_; }
  std::int64_t step() const { return step_; }

  /// Throws CheckpointError unless the file belongs to this recipe.
  void require_recipe(std::string_view recipe) const;
  /// Sets the values of all parameters, reading /model alone and straight into them. Throws CheckpointError, before anything is changed.
  void load(const nn::ParameterStore& parameters) const;
  /// Sets what training goes on from: parameters, state of the optimiser and, if `average` is not null, the averages; these start from the
  /// parameters if the file has none. State of a parameter that is frozen now is kept for when it is trained again.
  void load(const nn::ParameterStore& parameters, optim::Optimizer& optimizer, optim::WeightAverage* average = nullptr) const {
    load(parameters, &optimizer, average);
  }
  /// The same; a null `optimizer` keeps its own state. `sharded`: `optimizer` is its own, and takes this process's shares.
  void load(const nn::ParameterStore& parameters, optim::Optimizer* optimizer, optim::WeightAverage* average,
            const ShardedOptimizer* sharded = nullptr) const;
  /// The parameters for who starts another model from them (nn/import.h), under their names: those that are used, averages where the file
  /// has them, or those that training went on from. Reads this object when asked for one.
  nn::TensorSource weights() const { return source("/model/"); }
  nn::TensorSource trained_weights() const { return source(has_group("/weights") ? "/weights/" : "/model/"); }
  /// The optimiser's state by "<slot>/<parameter>", for the same.
  nn::TensorSource optimizer_state() const { return source("/optimizer/"); }
  /// Which optimiser's state the file holds (optim::Optimizer::name); empty: none.
  std::string optimizer_name() const;
  /// Its step count, for who takes over its state.
  std::int64_t optimizer_steps() const;
  TrainState train_state() const;
  NamedTensors artifacts() const { return tensors_below("/artifacts/"); }
  /// Reads every dataset against its checksum.
  void verify() const;

 private:
  bool has_group(std::string_view name) const;
  void load(const std::vector<CheckpointTensor>& targets, optim::Optimizer* optimizer, const ShardedOptimizer* sharded) const;
  NamedTensors tensors_below(std::string_view group) const;
  GuardState guard_state() const;
  nn::TensorSource source(std::string_view group) const;

  data::Hdf5Reader reader_;
  CheckpointMeta meta_;
  std::int64_t step_ = 0;
};

}  // namespace capstan::engine
