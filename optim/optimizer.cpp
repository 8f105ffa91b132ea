#include "optim/optimizer.h"

#include <algorithm>
#include <map>

#include "optim/coalesce.h"

namespace capstan::optim {

Optimizer::Optimizer(std::string_view name, std::span<const Parameter> parameters)
    : name_(name), parameters_(parameters.begin(), parameters.end()) {
  for (const Parameter& p : parameters_)
    require<DTypeError>(!p.trainable || p.value.dtype() == DType::f32 || p.value.dtype() == DType::f64, name_,
                        ": parameters must be f32 or f64: ", p.name, " ", p.value);
  for (const Parameter& p : parameters_)
    require(!p.trainable || p.value.is_contiguous(), name_, ": parameters must be contiguous: ", p.name, " ", p.value);
}

Optimizer::Slot Optimizer::add_slot(std::string name, double value) {
  Slot slot;
  for (const Parameter& p : parameters_) slot.push_back(p.trainable ? Tensor::full(p.value.shape(), value, p.value.dtype()) : Tensor());
  slots_.emplace_back(std::move(name), slot);
  return slot;
}

Optimizer::Slot Optimizer::add_row_slot(std::string name, std::int64_t columns) {
  Slot slot;
  for (const Parameter& p : parameters_)
    slot.push_back(p.trainable && p.sparse_gradient ? Tensor::zeros({p.value.size(0), columns}, DType::i64) : Tensor());
  slots_.emplace_back(std::move(name), slot);
  return slot;
}

void Optimizer::step(std::span<const Gradient> gradients, double learning_rate, double gradient_scale) {
  require(gradients.size() == parameters_.size(), name_, ": one gradient (present or absent) for each parameter: ", gradients.size(),
          " gradients, ", parameters_.size(), " parameters");
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Gradient& g = gradients[i];
    const Parameter& p = parameters_[i];
    if (!g.defined() || !p.trainable) continue;
    const DType dtype = g.is_sparse() ? g.row_values().dtype() : g.dense().dtype();
    require(g.shape() == p.value.shape(), name_, ": a gradient must have its parameter's shape: ", p.name, " ", p.value, ", gradient ",
            g.shape());
    require<DTypeError>(dtype == p.value.dtype(), name_, ": a gradient must have its parameter's type: ", p.name, " ", p.value,
                        ", gradient ", dtype);
  }
  std::vector<Item> items;
  items.reserve(gradients.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) {  // coalescing checks the indices, so it too comes before any change
    const Gradient& g = gradients[i];
    if (g.defined() && parameters_[i].trainable) items.push_back({i, g.is_sparse() ? coalesced(g) : Gradient(g.dense().contiguous())});
  }
  ++step_count_;
  update(items, learning_rate, gradient_scale);
}

void Optimizer::synchronize() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) catch_up(i, nullptr);
}

void Optimizer::synchronize_rows(std::size_t index, std::span<const std::int64_t> rows) {
  require<InternalError>(index < parameters_.size(), name_, ": synchronize_rows: parameter ", index, " of ", parameters_.size());
  catch_up(index, &rows);
}

std::vector<OptimizerState> Optimizer::entries() const {
  std::vector<OptimizerState> out;
  for (const auto& [name, tensors] : slots_)
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].defined()) out.push_back({name, parameters_[i].name, tensors[i]});
  return out;
}

std::vector<OptimizerState> Optimizer::state() {
  synchronize();
  return entries();
}

void Optimizer::load_state(std::span<const OptimizerState> state, std::int64_t step_count) {
  std::map<std::pair<std::string_view, std::string_view>, const Tensor*> given;
  std::string problems;
  const auto report = [&](const auto&... parts) { problems += join_text("\n  ", parts...); };
  for (const OptimizerState& s : state)
    if (!given.emplace(std::pair(std::string_view(s.slot), std::string_view(s.parameter)), &s.value).second)
      report("given twice: ", s.slot, " of ", s.parameter);
  std::vector<std::pair<Tensor, Tensor>> copies;  // from, to
  for (const OptimizerState& own : entries()) {
    const auto it = given.find({own.slot, own.parameter});
    if (it == given.end()) {
      report("missing: ", own.slot, " of ", own.parameter, " ", own.value);
      continue;
    }
    if (it->second->spec() != own.value.spec())
      report("of another form: ", own.slot, " of ", own.parameter, ": expected ", own.value, ", got ", *it->second);
    copies.emplace_back(it->second->contiguous(), own.value);
    given.erase(it);
  }
  for (const auto& [key, value] : given) report("unexpected: ", key.first, " of ", key.second, " ", *value);
  if (step_count < 0) report("step count ", step_count, " is negative");
  require<CheckpointError>(problems.empty(), name_, ": state does not fit:", problems);
  for (const auto& [from, to] : copies)
    dispatch(to.dtype(), [&, &source = from, &target = to](auto zero) {
      using T = decltype(zero);
      std::ranges::copy(source.template span<const T>(), target.template span<T>().begin());
    });
  step_count_ = step_count;
  loaded();
}

}  // namespace capstan::optim
