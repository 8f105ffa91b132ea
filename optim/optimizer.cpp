#include "optim/optimizer.h"

#include <algorithm>
#include <map>

#include "optim/coalesce.h"

namespace capstan::optim {

Optimizer::Optimizer(std::string_view name, std::span<const Parameter> parameters)
    : name_(name), parameters_(parameters.begin(), parameters.end()) {
  for (const Parameter& p : parameters_) {
    if (!p.trainable()) continue;
    require<DTypeError>(p.dtype() == DType::f32 || p.dtype() == DType::f64, name_, ": parameters must be f32 or f64: ", p);
    require(p.value().is_contiguous(), name_, ": parameters must be contiguous: ", p);
  }
}

const Tensor& Optimizer::Slot::operator[](std::size_t index) const {
  static const Tensor none;
  return state_ == nullptr ? none : state_->tensors[index];
}

Optimizer::Slot Optimizer::add(Slot::State state) {
  Slot slot;
  slot.state_ = std::make_shared<Slot::State>(std::move(state));
  slot.state_->tensors.resize(parameters_.size());
  slots_.push_back(slot);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].trainable()) slot.state_->tensors[i] = slot.state_->make(parameters_[i]);
  return slot;
}

Optimizer::Slot Optimizer::add_slot(std::string name, double value) {
  return add(
      {.name = std::move(name), .make = [value](const Parameter& p) { return Tensor::full(p.shape(), value, p.dtype()); }, .tensors = {}});
}

Optimizer::Slot Optimizer::add_row_slot(std::string name, std::int64_t columns) {
  return add({.name = std::move(name),
              .make =
                  [columns](const Parameter& p) {
                    return p.sparse_gradient() ? Tensor::zeros({p.size(0), columns}, DType::i64) : Tensor();
                  },
              .tensors = {}});
}

void Optimizer::make_state(std::size_t index) {
  for (const Slot& slot : slots_)
    if (Tensor& t = slot.state_->tensors[index]; !t.defined()) t = slot.state_->make(parameters_[index]);
}

void Optimizer::step(std::span<const Gradient> gradients, double learning_rate, double gradient_scale) {
  require(gradients.size() == parameters_.size(), name_, ": one gradient (present or absent) for each parameter: ", gradients.size(),
          " gradients, ", parameters_.size(), " parameters");
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Gradient& g = gradients[i];
    const Parameter& p = parameters_[i];
    if (!g.defined() || !p.trainable()) continue;
    const DType dtype = g.is_sparse() ? g.row_values().dtype() : g.dense().dtype();
    require(g.shape() == p.shape(), name_, ": a gradient must have its parameter's shape: ", p.name(), " ", p.value(), ", gradient ",
            g.shape());
    require<DTypeError>(dtype == p.dtype(), name_, ": a gradient must have its parameter's type: ", p.name(), " ", p.value(), ", gradient ",
                        dtype);
  }
  std::vector<Item> items;
  items.reserve(gradients.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) {  // coalescing checks the indices, so it too comes before any change
    const Gradient& g = gradients[i];
    if (g.defined() && parameters_[i].trainable()) items.push_back({i, g.is_sparse() ? coalesced(g) : Gradient(g.dense().contiguous())});
  }
  for (const Item& item : items) make_state(item.index);
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
  for (const Slot& slot : slots_)
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      if (slot[i].defined()) out.push_back({slot.state_->name, parameters_[i].name(), slot[i]});
  return out;
}

std::vector<OptimizerState> Optimizer::state() {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].trainable()) make_state(i);
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
  struct Copy {
    Tensor from, to;
    Tensor& place;  // in its slot: `to` is new if the slot had none for the parameter
  };
  std::vector<Copy> copies;
  for (const Slot& slot : slots_)
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      const std::string& name = slot.state_->name;
      Tensor& place = slot.state_->tensors[i];
      const auto it = given.find({name, p.name()});
      const bool wanted = p.trainable() || it != given.end();  // trainable when it was saved, not now: its state waits
      const Tensor own = !place.defined() && wanted ? slot.state_->make(p) : place;
      if (!own.defined()) continue;
      if (it == given.end()) {
        report("missing: ", name, " of ", p.name(), " ", own);
        continue;
      }
      if (it->second->spec() != own.spec()) report("of another form: ", name, " of ", p.name(), ": expected ", own, ", got ", *it->second);
      copies.push_back({it->second->contiguous(), own, place});
      given.erase(it);
    }
  for (const auto& [key, value] : given) report("unexpected: ", key.first, " of ", key.second, " ", *value);
  if (step_count < 0) report("step count ", step_count, " is negative");
  require<CheckpointError>(problems.empty(), name_, ": state does not fit:", problems);
  for (const Copy& copy : copies) {
    dispatch(copy.to.dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::ranges::copy(copy.from.span<const T>(), copy.to.span<T>().begin());
    });
    copy.place = copy.to;
  }
  step_count_ = step_count;
  loaded();
}

}  // namespace capstan::optim
