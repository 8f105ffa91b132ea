#pragma once
// The engine's own options: sections run, init, train, optimizer, schedule, guard, loader, evaluate, predict and checkpoint of every
// configuration. The same key means the same for every recipe. A recipe's Config adds its sections beside these (model, data, ...), and
// keys of its own to evaluate and predict.

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/core/dtype.h"
#include "recipes/engine/distributed/reduce.h"
#include "recipes/engine/train/guard_options.h"
#include "recipes/engine/train/optimizer.h"
#include "recipes/engine/train/schedule.h"

namespace capstan::engine {

struct RunOptions {
  std::string dir;
  std::string data = ".";
  std::int64_t seed = 1;
  std::int64_t threads = 0;
  double silence_seconds = 60, stall_seconds = 600;

  template <class V>
  void visit(V& v) {
    v("dir", dir, "directory of this run; empty: runs/<recipe>-<config>").of_machine();
    v("data", data, "directory that relative data paths start from");
    v("seed", seed, "seed of parameters, data order and dropout", V::between(0, 0x1p63)).of_training();
    v("threads", threads, "OpenMP threads; 0: one per core this process may use", V::between(0, 1024)).of_machine();
    v("silence_seconds", silence_seconds, "of several processes: one that gives no sign of life for so long ends the run", V::at_least(1))
        .of_machine();
    v("stall_seconds", stall_seconds, "of several processes: one that makes no progress for so long while others wait for it ends the run",
      V::at_least(1))
        .of_machine();
  }
};

struct InitOptions {
  std::string from;
  std::vector<std::string> rename, drop, fresh;
  bool strict = true;

  template <class V>
  void visit(V& v) {
    v("from", from,
      "checkpoint, .safetensors file (or index of a set), .npz file or model directory of Hugging Face or timm that a new run starts from; "
      "empty: random "
      "parameters. What the model's file says about model and tokenizer is taken over");
    v("rename", rename, "prefixes of its names, old=new: encoder=bert/encoder; one side may be empty");
    v("drop", drop, "prefixes of its names whose tensors are not taken, such as a head; parameters of these names start at random");
    v("fresh", fresh, "prefixes of this model's names that start at random though the file may have them");
    v("strict", strict, "refuse a file that lacks parameters or has others; no: these start at random, or are not taken, and are listed");
  }
  /// Throws ConfigError.
  void validate() const;  // checkpoint/initial_weights.cpp
};

struct TrainOptions {
  std::int64_t epochs = 1;
  std::int64_t max_steps = 0;
  std::int64_t batch_size = 32;
  std::int64_t micro_batch_size = 0;
  DType precision = DType::f32;
  double clip_norm = 0;
  bool checkpoint_activations = false;
  Reduce reduce = Reduce::fast;
  std::int64_t parts = 8;
  DType wire = DType::f32;
  bool shard_optimizer = false;
  double ema_decay = 0;
  std::int64_t log_every = 50;
  std::int64_t evaluate_every = 0;
  std::string metric;
  std::int64_t patience = 0;
  std::int64_t overfit_batches = 0;
  bool report = false;
  bool tensorboard = false;

  template <class V>
  void visit(V& v) {
    v("epochs", epochs, "passes over the data", V::between(1, 1e9));
    v("max_steps", max_steps, "stop after this many optimiser steps; 0: no limit", V::non_negative());
    v("batch_size", batch_size, "items of one optimiser step", V::between(1, 1e9));
    v("micro_batch_size", micro_batch_size, "items of one forward pass, a divisor of batch_size; 0: batch_size", V::between(0, 1e9));
    v("precision", precision,
      "element type of the matrix work, with f32 master weights; bf16 pays where processors multiply it (AVX-512 BF16)",
      {{"f32", DType::f32}, {"bf16", DType::bf16}})
        .of_use();
    v("checkpoint_activations", checkpoint_activations,
      "transformers, Swin and DETR: compute layers again in backward instead of keeping their activations: less memory, a third more "
      "work, the same numbers (of DETR up to rounding)")
        .of_machine();
    v("reduce", reduce,
      "how the gradients of several processes are summed. fast: each takes its share of a batch; equal to one process up to rounding. "
      "ordered: a batch is computed in train.parts parts, summed in an order of their own: the same bits for any number of processes",
      {{"fast", Reduce::fast}, {"ordered", Reduce::ordered}});
    v("parts", parts, "with train.reduce = ordered: parts that a batch is computed in; more processes than these have nothing to do",
      V::between(1, 4096));
    v("wire", wire,
      "with train.reduce = fast: element type of dense gradients while they travel between processes, which sum them in f32; bf16 halves "
      "the "
      "bytes and rounds twice",
      {{"f32", DType::f32}, {"bf16", DType::bf16}});
    v("shard_optimizer", shard_optimizer,
      "of several processes each keeps and updates the optimiser's state of its share of the parameters alone: less memory, the same "
      "numbers "
      "(with train.reduce = fast up to rounding), the same checkpoints")
        .of_machine();
    v("clip_norm", clip_norm, "largest global norm of the gradient; 0: no clipping", V::non_negative());
    v("ema_decay", ema_decay, "validate, test and predict with this moving average of the weights, such as 0.999; 0: with the weights",
      V::fraction());
    v("log_every", log_every, "optimiser steps between two rows of metrics.jsonl", V::positive());
    v("evaluate_every", evaluate_every, "optimiser steps between two validations; 0: at the end of each epoch", V::non_negative());
    v("metric", metric, "validation metric that picks the best checkpoint; empty: the recipe's");
    v("patience", patience, "validations without improvement before stopping early; 0: never", V::non_negative());
    v("overfit_batches", overfit_batches,
      "train on the first so many batches alone, over and over, with what was drawn for them, to see that the model can learn them by "
      "heart; 0: on all. An epoch has as many steps as ever, and validation goes on as it is set",
      V::between(0, 1e6));
    v("report", report, "write run.dir/report.html, a page to look at, at each save").of_machine();
    v("tensorboard", tensorboard, "write what metrics.jsonl says as events for TensorBoard too, in run.dir/tensorboard").of_machine();
  }
};

struct LoaderOptions {
  std::int64_t workers = 1;
  std::int64_t depth = 4;

  template <class V>
  void visit(V& v) {
    v("workers", workers, "threads that prepare batches; 0: the training thread", V::between(0, 64));
    v("depth", depth, "batches prepared ahead", V::between(1, 1024));
  }
};

struct EvaluateOptions {
  std::int64_t batch_size = 32;
  bool baselines = true;

  template <class V>
  void visit(V& v) {
    v("batch_size", batch_size, "samples of one forward pass in validation and evaluation", V::between(1, 65536));
    v("baselines", baselines, "report beside the model what simple methods reach under the same protocol");
  }
};

enum class AnswerFormat {
  tsv,
  jsonl,
  npy,   ///< rows of numbers, of answers that are such
  hdf5,  ///< likewise
};

struct PredictOptions {
  AnswerFormat format = AnswerFormat::tsv;
  std::int64_t batch_size = 32;

  template <class V>
  void visit(V& v) {
    v("format", format,
      "form of the answers; npy, hdf5: one array with a row for each line, of answers that are numbers. --output FILE.npy or FILE.h5 says "
      "so, "
      "too",
      {{"tsv", AnswerFormat::tsv}, {"jsonl", AnswerFormat::jsonl}, {"npy", AnswerFormat::npy}, {"hdf5", AnswerFormat::hdf5}});
    v("batch_size", batch_size, "lines answered at a time", V::between(1, 65536));
  }
};

struct CheckpointOptions {
  std::int64_t every = 0;
  double every_minutes = 30;
  std::int64_t keep_last = 2;
  std::int64_t keep_best = 1;

  template <class V>
  void visit(V& v) {
    v("every", every, "optimiser steps between two checkpoints; 0: after each validation", V::non_negative());
    v("every_minutes", every_minutes, "minutes after which a checkpoint is due anyway; 0: never", V::non_negative());
    v("keep_last", keep_last, "newest checkpoints kept", V::between(1, 1000));
    v("keep_best", keep_best, "best checkpoints kept besides", V::between(0, 1000));
  }
};

struct EngineOptions {
  std::string recipe;  ///< names the recipe that the rest is for
  RunOptions run;
  InitOptions init;
  TrainOptions train;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  GuardOptions guard;
  LoaderOptions loader;
  EvaluateOptions evaluate;
  PredictOptions predict;
  CheckpointOptions checkpoint;

  template <class V>
  void visit(V& v) {
    v("recipe", recipe, "the recipe that this configuration is for").of_use();
    v.section("run", run, V::of_use());
    v.section("init", init, V::of_training());
    v.section("train", train, V::of_training());
    v.section("optimizer", optimizer, V::of_training());
    v.section("schedule", schedule, V::of_training());
    v.section("guard", guard, V::of_training());
    v.section("loader", loader, V::of_machine());
    v.section("evaluate", evaluate, V::of_use());
    v.section("predict", predict, V::of_use());
    v.section("checkpoint", checkpoint, V::of_use());
  }
};

}  // namespace capstan::engine
