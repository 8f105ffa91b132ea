#include "autograd/tape/tape.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "autograd/core/profile.h"
#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"
#include "autograd/tape/observer.h"

namespace capstan {
namespace {

thread_local Tape* innermost = nullptr;
thread_local int paused = 0;

std::uint64_t next_tape_number() {
  static std::atomic<std::uint64_t> next{1};
  return next++;
}

// The sum over the axes along which `shape` was broadcast to g's shape.
Tensor unbroadcast(const Tensor& g, const Shape& shape) {
  Tensor out(shape, g.dtype());
  kernels::sum_to_shape(g, out);
  return out;
}

/// Of what a profile counts as moved.
double bytes_of(std::span<const Gradient> gradients) {
  double bytes = 0;
  for (const Gradient& g : gradients)
    if (g.defined())
      bytes += static_cast<double>((g.is_sparse() ? g.row_values().numel() : g.shape().numel())) * static_cast<double>(size_of(g.dtype()));
  return bytes;
}

// A gradient as callers want it: dense or rows.
Gradient without_slices(Gradient g) { return g.is_slice() ? Gradient(g.to_dense()) : std::move(g); }

}  // namespace

Gradient Gradients::of(const Tensor& leaf) const {
  require<GraphError>(leaf.node().kind == NodeRef::Kind::leaf, "gradients: only a leaf (make_leaf) has a gradient here, got ", leaf);
  const auto it = by_leaf_.find(leaf.node().owner);
  if (it == by_leaf_.end()) return {};
  const bool narrow = size_of(it->second.dtype()) < size_of(leaf.dtype());  // from its bf16 copy
  return narrow ? it->second.to(leaf.dtype()) : it->second;
}

Tape::Tape(Leaves leaves) : id_(next_tape_number()), outer_(std::exchange(innermost, this)), keeps_leaves_(leaves == Leaves::keep) {}

Tape::~Tape() { innermost = outer_; }

Tape* Tape::recording() { return paused > 0 || innermost == nullptr || innermost->consumed_ ? nullptr : innermost; }

std::int64_t Tape::new_slot(const Spec& spec, std::uint64_t leaf) {
  slots_.push_back({.spec = spec, .leaf = leaf});
  return static_cast<std::int64_t>(slots_.size()) - 1;
}

std::int64_t Tape::slot_of(const Tensor& t, std::string_view op) {
  const NodeRef& node = t.node();
  switch (node.kind) {
    case NodeRef::Kind::constant: return -1;
    case NodeRef::Kind::leaf: {
      const auto [it, is_new] = leaf_slots_.try_emplace(node.owner, -1);
      if (is_new) {
        it->second = new_slot(t.spec(), node.owner);
        if (keeps_leaves_) leaves_.push_back(t);
      }
      return it->second;
    }
    case NodeRef::Kind::slot: break;
  }
  require<GraphError>(node.owner == id_, op, ": the operand ", t, " belongs to another tape: detach() it or keep both on one tape");
  return node.slot;
}

void Tape::record(std::unique_ptr<Entry> entry, std::vector<std::int64_t> input_slots, std::span<Tensor> outputs, double operand_bytes) {
  for (const std::int64_t slot : input_slots) {
    if (slot < 0) continue;
    std::int64_t& first = slots_[static_cast<std::size_t>(slot)].first_reader;
    if (first < 0) first = static_cast<std::int64_t>(records_.size());
  }
  const auto first = static_cast<std::int64_t>(slots_.size());
  for (Tensor& out : outputs) {
    const std::int64_t slot = new_slot(out.spec());
    out = out.with_node({NodeRef::Kind::slot, id_, slot});
  }
  records_.push_back({std::move(entry), std::move(input_slots), first, static_cast<std::int64_t>(outputs.size()), operand_bytes});
}

void Tape::accumulate(std::int64_t slot, Gradient incoming, std::string_view op) {
  const Spec& spec = slots_[static_cast<std::size_t>(slot)].spec;
  const DType type = incoming.dtype();
  const bool type_fits = type == spec.dtype || (type == DType::f32 && spec.dtype == DType::bf16) ||
                         (slots_[static_cast<std::size_t>(slot)].leaf != 0 && type == DType::bf16 && spec.dtype == DType::f32);
  const bool is_broadcast = incoming.is_dense() && incoming.shape() != spec.shape && broadcasts_to(spec.shape, incoming.shape());
  require<InternalError>(type_fits && (is_broadcast || incoming.shape() == spec.shape), op, ": the gradient must fit its operand: operand ",
                         spec, ", gradient ", type, incoming.shape());
  if (is_broadcast) incoming = unbroadcast(incoming.dense(), spec.shape);
  gradients_[static_cast<std::size_t>(slot)].add(std::move(incoming));
}

void Tape::hand_out(std::int64_t slot, const OnReady& on_ready) {
  Gradient& g = gradients_[static_cast<std::size_t>(slot)];
  if (!g.defined()) return;
  on_ready(slots_[static_cast<std::size_t>(slot)].leaf, without_slices(std::exchange(g, Gradient{})));
}

Gradients Tape::backward(const Tensor& loss) {
  Gradients result;
  backward(loss, [&](std::uint64_t leaf, Gradient g) { result.by_leaf_.emplace(leaf, std::move(g)); });
  return result;
}

Gradients Tape::backward(std::span<const Tensor> outputs, std::span<const Tensor> cotangents) {
  Gradients result;
  backward(outputs, cotangents, [&](std::uint64_t leaf, Gradient g) { result.by_leaf_.emplace(leaf, std::move(g)); });
  return result;
}

void Tape::backward(const Tensor& loss, const OnReady& on_ready) {
  require(loss.numel() == 1, "backward: the loss must be a single element, got ", loss);
  const Tensor one = Tensor::full(loss.shape(), 1.0, loss.dtype());
  backward(std::span(&loss, 1), std::span(&one, 1), on_ready);
}

void Tape::backward(std::span<const Tensor> outputs, std::span<const Tensor> cotangents, const OnReady& on_ready) {
  require<GraphError>(!consumed_, "backward: the tape has been consumed by an earlier backward");
  require<ArgumentError>(outputs.size() == cotangents.size(), "backward: one cotangent an output: ", outputs.size(), " outputs, ",
                         cotangents.size(), " cotangents");
  if (!outputs.empty() && std::ranges::all_of(outputs, &Tensor::is_constant))
    throw GraphError(join_text("backward: the output ", outputs[0],
                               " depends on no parameter or other leaf that this tape saw, and no other output does: nothing has a "
                               "gradient. (Computed under NoGrad, before the tape, or from detached values?)"));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    require(cotangents[i].spec() == outputs[i].spec(), "backward: a cotangent must fit its output: output ", outputs[i], ", cotangent ",
            cotangents[i]);
  }
  std::vector<std::int64_t> output_slots;
  for (const Tensor& t : outputs) output_slots.push_back(slot_of(t, "backward"));
  gradients_.resize(slots_.size());
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (output_slots[i] >= 0) accumulate(output_slots[i], Gradient(cotangents[i].detach()), "backward");
  consumed_ = true;  // nothing that backward computes is recorded

  std::vector<Gradient> output_gradients;
  std::vector<bool> needs;
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    output_gradients.clear();
    bool reached = false;
    for (std::int64_t i = 0; i < record.output_count; ++i) {
      output_gradients.push_back(std::exchange(gradients_[static_cast<std::size_t>(record.first_output + i)], Gradient{}));
      reached = reached || output_gradients.back().defined();
    }
    if (reached) {
      needs.clear();
      for (const std::int64_t slot : record.inputs) needs.push_back(slot >= 0);
      const std::string_view name = record.entry->name();
      const profile::Scope scope(name, profile::Kind::operation);
      if (profile::is_recording()) Observer::tell_backward(*this, records_.size());
      const bool moves = profile::is_recording() && record.operand_bytes > 0;
      if (moves) profile::add_work({.bytes = record.operand_bytes + bytes_of(output_gradients)});
      std::vector<Gradient> input_gradients = record.entry->backward(output_gradients, needs);
      if (moves) profile::add_work({.bytes = bytes_of(input_gradients)});
      require<InternalError>(input_gradients.size() == record.inputs.size(), name, ": backward must return a gradient for every input");
      record.entry.reset();
      output_gradients.clear();  // so that a gradient that was only passed on has one owner and can be added to in place
      for (std::size_t i = 0; i < record.inputs.size(); ++i) {
        if (!needs[i] || !input_gradients[i].defined()) continue;
        accumulate(record.inputs[i], std::exchange(input_gradients[i], Gradient{}), name);
      }
    }
    for (const std::int64_t slot : record.inputs) {
      if (slot < 0) continue;
      const Slot& of = slots_[static_cast<std::size_t>(slot)];
      if (of.leaf != 0 && of.first_reader == static_cast<std::int64_t>(records_.size())) hand_out(slot, on_ready);
    }
  }
  for (const auto& [leaf, slot] : leaf_slots_) hand_out(slot, on_ready);  // those that are outputs themselves
  gradients_.clear();
  leaves_.clear();
}

NoGrad::NoGrad() { ++paused; }
NoGrad::~NoGrad() { --paused; }

}  // namespace capstan
