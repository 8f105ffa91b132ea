#include "recipes/tasks/next_event/update.h"

#include <string>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::next_event {
namespace {

void take_over_state(const engine::Checkpoint& from, std::span<const nn::RowMap> rows, optim::Optimizer& optimizer) {
  require<CheckpointError>(from.optimizer_name() == optimizer.name(), "update: ", from.path(), " has the state of the optimiser '",
                           from.optimizer_name(), "', the model is trained with ", optimizer.name());
  std::vector<optim::OptimizerState> state = optimizer.state();
  std::vector<nn::ImportTarget> targets;
  std::vector<nn::RowMap> state_rows;
  for (optim::OptimizerState& s : state) {
    s.value = s.value.clone();
    targets.push_back({s.slot + "/" + s.parameter, s.value});
    for (const nn::RowMap& r : rows)
      if (r.target == s.parameter) state_rows.push_back({targets.back().name, r.rows});
  }
  nn::import_tensors(from.optimizer_state(), {}, state_rows, targets);
  optimizer.load_state(state, from.optimizer_steps());
}

}  // namespace

void take_over(const engine::Checkpoint& from, std::span<const nn::RowMap> rows, const nn::ParameterStore& parameters,
               optim::Optimizer& optimizer) {
  nn::import_parameters(from.trained_weights(), {}, rows, parameters);
  take_over_state(from, rows, optimizer);
}

}  // namespace capstan::next_event
