#include "recipes/tasks/next_event/update.h"

#include <cstring>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/tasks/recommendation/item_names.h"

namespace capstan::next_event {
namespace {

// The first rows of `to` become those of `from`.
void copy_rows(const Tensor& from, const Tensor& to, std::string_view name) {
  const bool fits = from.rank() == to.rank() && from.dtype() == to.dtype() && from.rank() > 0 && from.size(0) <= to.size(0) &&
                    from.shape().without(0) == to.shape().without(0);
  require<CheckpointError>(fits, "update: ", name, " must keep its shape but for further rows: the checkpoint has ", from, ", the model ",
                           to);
  const Tensor values = from.contiguous();
  std::memcpy(to.storage().data() + to.layout().offset() * static_cast<std::int64_t>(size_of(to.dtype())),
              values.storage().data() + values.layout().offset() * static_cast<std::int64_t>(size_of(values.dtype())),
              static_cast<std::size_t>(values.numel()) * size_of(values.dtype()));
}

void take_over_state(const engine::Checkpoint& from, optim::Optimizer& optimizer) {
  require<CheckpointError>(from.optimizer_name() == optimizer.name(), "update: ", from.path(), " has the state of the optimiser '",
                           from.optimizer_name(), "', the model is trained with ", optimizer.name());
  engine::NamedTensors stored = from.optimizer_state();
  std::vector<optim::OptimizerState> state = optimizer.state();
  for (optim::OptimizerState& s : state) {
    const std::string name = s.slot + "/" + s.parameter;
    const auto old = stored.find(name);
    require<CheckpointError>(old != stored.end(), "update: ", from.path(), " lacks the state ", name);
    s.value = s.value.clone();
    copy_rows(old->second, s.value, name);
    stored.erase(old);
  }
  require<CheckpointError>(stored.empty(), "update: ", from.path(),
                           " has state that the optimiser here does not keep: ", stored.empty() ? "" : stored.begin()->first);
  optimizer.load_state(state, from.optimizer_steps());
}

}  // namespace

void take_over(const engine::Checkpoint& from, const MakeNetwork& make, const nn::ParameterStore& parameters, optim::Optimizer& optimizer) {
  const auto items = recommendation::stored_items(from.artifacts());
  require<CheckpointError>(items != nullptr, "update: ", from.path(), " does not name its items");
  nn::ParameterStore old(0);
  const Network network = make(old.root(), items->size());
  from.load(old, nullptr, nullptr);
  for (const Parameter& p : parameters.parameters()) copy_rows(old.find(p.name()).value(), p.write(), p.name());
  take_over_state(from, optimizer);
}

}  // namespace capstan::next_event
