#include "recipes/engine/train/optimizer.h"

#include <algorithm>

#include "nn/parameter_store.h"
#include "optim/adagrad.h"
#include "optim/adam.h"
#include "optim/lion.h"
#include "optim/sgd.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

struct Section {
  OptimizerOptions optimizer;
  template <class V>
  void visit(V& v) {
    v.section("optimizer", optimizer);
  }
};

}  // namespace

void OptimizerOptions::validate() const {
  const bool has_momentum = kind == OptimizerKind::adagrad || kind == OptimizerKind::sgd;
  require<ConfigError>(momentum == 0 || has_momentum, "optimizer.momentum = ", momentum, ": only adagrad and sgd have one");
  require<ConfigError>(!nesterov || (kind == OptimizerKind::sgd && momentum > 0),
                       "optimizer.nesterov = true: it is a form of the momentum of sgd, which needs optimizer.momentum > 0");
}

OptimizerOptions published(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::adam:
    case OptimizerKind::adam_tensorflow: return {.kind = kind, .weight_decay = 0};
    case OptimizerKind::adamw: return {.kind = kind};
    case OptimizerKind::bert_adam: return {.kind = kind, .learning_rate = 1e-4, .epsilon = 1e-6};
    case OptimizerKind::adagrad: return {.kind = kind, .learning_rate = 0.01, .epsilon = 1e-6, .weight_decay = 0};
    case OptimizerKind::sgd: return {.kind = kind, .learning_rate = 0.01, .weight_decay = 0};
    case OptimizerKind::lion: return {.kind = kind, .learning_rate = 1e-4, .beta2 = 0.99, .weight_decay = 0};
  }
  throw InternalError("optimizer: unknown kind");
}

void follow_kind(OptionTable& table, const OptimizerOptions& options, OptimizerKind own) {
  if (options.kind == own) return;
  Section section{published(options.kind)};
  const OptionTable values(section);
  for (Option& o : table.options())
    if (const Option* value = values.find(o.key); value != nullptr && o.origin == kDefaultOrigin) o.set(value->get());
}

void apply_to_parameters(const OptimizerOptions& options, const nn::ParameterStore& parameters) {
  const auto named = [](std::string_view key, const auto& change) {
    try {
      change();
    } catch (const ConfigError& e) {
      throw ConfigError(join_text("optimizer.", key, ": ", e.what()));
    }
  };
  for (const std::string& prefix : options.freeze) named("freeze", [&] { parameters.freeze(prefix); });
  for (const std::string& text : options.learning_rate_scale)
    named("learning_rate_scale", [&] {
      const auto equals = text.rfind('=');
      require<ConfigError>(equals != std::string::npos, "expected prefix=factor, got '", text, "'");
      parameters.scale_learning_rate(trimmed(std::string_view(text).substr(0, equals)),
                                     parse_number(trimmed(std::string_view(text).substr(equals + 1))));
    });
  if (options.layer_decay != 1) named("layer_decay", [&] { parameters.decay_learning_rate_by_depth(options.layer_decay); });
  require<ConfigError>(std::ranges::any_of(parameters.parameters(), &Parameter::trainable),
                       "optimizer.freeze: nothing is left to train of ", parameters.parameters().size(), " parameters");
}

std::unique_ptr<optim::Optimizer> make_optimizer(const OptimizerOptions& o, std::span<const Parameter> parameters) {
  o.validate();
  const auto sparse = o.sparse_rows == SparseRows::lazy ? optim::SparsePolicy::lazy : optim::SparsePolicy::dense;
  const auto adam = [&](optim::AdamEpsilon placement) {
    return std::make_unique<optim::Adam>(parameters, optim::AdamOptions{.beta1 = o.beta1,
                                                                        .beta2 = o.beta2,
                                                                        .epsilon = o.epsilon,
                                                                        .placement = placement,
                                                                        .weight_decay = o.weight_decay,
                                                                        .sparse = sparse});
  };
  switch (o.kind) {
    case OptimizerKind::adam: return adam(optim::AdamEpsilon::after_correction);
    case OptimizerKind::adam_tensorflow: return adam(optim::AdamEpsilon::before_correction);
    case OptimizerKind::adamw:
      return std::make_unique<optim::AdamW>(
          parameters,
          optim::AdamWOptions{.beta1 = o.beta1, .beta2 = o.beta2, .epsilon = o.epsilon, .weight_decay = o.weight_decay, .sparse = sparse});
    case OptimizerKind::bert_adam:
      return std::make_unique<optim::BertAdam>(
          parameters, optim::BertAdamOptions{
                          .beta1 = o.beta1, .beta2 = o.beta2, .epsilon = o.epsilon, .weight_decay = o.weight_decay, .sparse = sparse});
    case OptimizerKind::adagrad:
      return std::make_unique<optim::Adagrad>(
          parameters, optim::AdagradOptions{.momentum = o.momentum, .epsilon = o.epsilon, .weight_decay = o.weight_decay});
    case OptimizerKind::sgd:
      return std::make_unique<optim::Sgd>(
          parameters, optim::SgdOptions{.momentum = o.momentum, .nesterov = o.nesterov, .weight_decay = o.weight_decay, .sparse = sparse});
    case OptimizerKind::lion:
      return std::make_unique<optim::Lion>(
          parameters, optim::LionOptions{.beta1 = o.beta1, .beta2 = o.beta2, .weight_decay = o.weight_decay, .sparse = sparse});
  }
  throw InternalError("optimizer: unknown kind");
}

}  // namespace capstan::engine
