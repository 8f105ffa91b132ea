#pragma once
// The section `optimizer` of every configuration: which update rule, and its numbers.
//
// A recipe says what its own rule is (recipe.h: defaults). Where a configuration chooses another one, every number that nobody has set
// takes the value published for that rule, so that `optimizer.kind=lion` alone is a sensible setting.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "optim/optimizer.h"

namespace capstan::nn {
class ParameterStore;
}

namespace capstan::engine {

class OptionTable;

enum class OptimizerKind { adam, adam_tensorflow, adamw, bert_adam, adagrad, sgd, lion };
enum class SparseRows { dense, lazy };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01, momentum = 0;
  bool nesterov = false;
  double layer_decay = 1;
  SparseRows sparse_rows = SparseRows::dense;
  std::vector<std::string> freeze = {}, learning_rate_scale = {};

  template <class V>
  void visit(V& v) {
    v("kind", kind,
      "the update rule (optim/README.md): adam as PyTorch; adam_tensorflow adds epsilon before the bias correction; bert_adam corrects no "
      "bias; adagrad, sgd, lion. Numbers below that nobody sets follow it",
      {{"adam", OptimizerKind::adam},
       {"adam_tensorflow", OptimizerKind::adam_tensorflow},
       {"adamw", OptimizerKind::adamw},
       {"bert_adam", OptimizerKind::bert_adam},
       {"adagrad", OptimizerKind::adagrad},
       {"sgd", OptimizerKind::sgd},
       {"lion", OptimizerKind::lion}});
    v("learning_rate", learning_rate, "peak learning rate; its course is [schedule]", V::positive());
    v("beta1", beta1, "adam, lion: decay of the first moment", V::fraction());
    v("beta2", beta2, "adam: decay of the second moment; lion: of the momentum", V::fraction());
    v("epsilon", epsilon, "adam, adagrad: added to the root (adagrad: inside it)", V::positive());
    v("weight_decay", weight_decay,
      "decay of matrices and embeddings; biases and normalisations do not decay. adamw, bert_adam, lion: times the learning rate a step; "
      "adam, adagrad, sgd: part of the gradient",
      V::non_negative());
    v("momentum", momentum, "adagrad, sgd: classical momentum", V::fraction());
    v("nesterov", nesterov, "sgd: Nesterov's form of momentum");
    v("sparse_rows", sparse_rows,
      "what adam, sgd and lion do to rows of embedding tables that a step does not name. dense: what a gradient of zero does; lazy: "
      "nothing",
      {{"dense", SparseRows::dense}, {"lazy", SparseRows::lazy}});
    v("freeze", freeze, "prefixes of parameters that are not trained, such as encoder/0; --check --parameters lists the names");
    v("layer_decay", layer_decay,
      "layer-wise decay: each layer learns at this share of the rate of the one behind it, embeddings at the least; the last normalisation "
      "and the head at the whole rate. Multiplies with learning_rate_scale",
      V::between(0, 1));
    v("learning_rate_scale", learning_rate_scale,
      "prefix=factor: a factor on the learning rate of the parameters below; factors of several prefixes multiply");
  }

  /// Throws ConfigError for a number that the rule does not know.
  void validate() const;
};

/// The published numbers of a rule.
OptimizerOptions published(OptimizerKind kind);

/// If `options`, bound to `table` below "optimizer.", choose another rule than `own`: what nobody has set becomes the published number.
void follow_kind(OptionTable& table, const OptimizerOptions& options, OptimizerKind own);

/// Freezes parameters and scales their learning rates as optimizer.freeze and optimizer.learning_rate_scale say; before make_optimizer.
/// Throws ConfigError naming the key if a prefix fits no parameter, or if nothing is left to train.
void apply_to_parameters(const OptimizerOptions& options, const nn::ParameterStore& parameters);

std::unique_ptr<optim::Optimizer> make_optimizer(const OptimizerOptions& options, std::span<const Parameter> parameters);

}  // namespace capstan::engine
