#include "autograd/tape/tape.h"

#include <atomic>
#include <utility>

#include "autograd/kernels/accumulate.h"
#include "autograd/kernels/indexed_rows.h"

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

Gradient concatenate_rows(const Gradient& a, const Gradient& b) {
  const std::int64_t na = a.indices().numel(), nb = b.indices().numel();
  Tensor indices(Shape{na + nb}, DType::i64), rows(a.row_values().shape().with(0, na + nb), a.row_values().dtype());
  const auto place = [](const Tensor& part, const Tensor& whole, std::int64_t first) {
    kernels::copy(part, whole.view(whole.layout().slice(0, first, part.size(0))));
  };
  place(a.indices(), indices, 0);
  place(b.indices(), indices, na);
  place(a.row_values(), rows, 0);
  place(b.row_values(), rows, na);
  return Gradient::rows(indices, rows, a.shape());
}

}  // namespace

Gradient Gradients::of(const Tensor& leaf) const {
  require<InternalError>(leaf.node().kind == NodeRef::Kind::leaf, "gradients: only a leaf has a gradient here, got ", leaf);
  const auto it = by_leaf_.find(leaf.node().owner);
  return it == by_leaf_.end() ? Gradient{} : it->second;
}

Tape::Tape(Leaves leaves) : id_(next_tape_number()), outer_(std::exchange(innermost, this)), keeps_leaves_(leaves == Leaves::keep) {}

Tape::~Tape() { innermost = outer_; }

Tape* Tape::recording() { return paused > 0 || innermost == nullptr || innermost->consumed_ ? nullptr : innermost; }

std::int64_t Tape::new_slot(const Spec& spec) {
  specs_.push_back(spec);
  return static_cast<std::int64_t>(specs_.size()) - 1;
}

std::int64_t Tape::slot_of(const Tensor& t, std::string_view op) {
  const NodeRef& node = t.node();
  switch (node.kind) {
    case NodeRef::Kind::constant: return -1;
    case NodeRef::Kind::leaf: {
      const auto [it, is_new] = leaf_slots_.try_emplace(node.owner, -1);
      if (is_new) {
        it->second = new_slot(t.spec());
        if (keeps_leaves_) leaves_.push_back(t);
      }
      return it->second;
    }
    case NodeRef::Kind::slot: break;
  }
  require<InternalError>(node.owner == id_, op, ": the operand ", t, " belongs to another tape: detach() it or keep both on one tape");
  return node.slot;
}

void Tape::record(std::unique_ptr<Entry> entry, std::vector<std::int64_t> input_slots, std::span<Tensor> outputs) {
  const auto first = static_cast<std::int64_t>(specs_.size());
  for (Tensor& out : outputs) {
    const std::int64_t slot = new_slot(out.spec());
    out = out.with_node({NodeRef::Kind::slot, id_, slot});
  }
  records_.push_back({std::move(entry), std::move(input_slots), first, static_cast<std::int64_t>(outputs.size())});
}

void Tape::accumulate(std::int64_t slot, Gradient incoming, std::string_view op) {
  const Spec& spec = specs_[static_cast<std::size_t>(slot)];
  Gradient& held = gradients_[static_cast<std::size_t>(slot)];
  if (!incoming.is_sparse()) {
    const Tensor& g = incoming.dense();
    require<InternalError>(g.dtype() == spec.dtype && broadcasts_to(spec.shape, g.shape()), op, ": the gradient must fit its operand: operand ",
                           spec, ", gradient ", g);
    if (g.shape() != spec.shape) incoming = unbroadcast(g, spec.shape);
  }
  require<InternalError>(incoming.shape() == spec.shape, op, ": the gradient must fit its operand: operand ", spec, ", gradient ",
                         incoming.shape());
  if (!held.defined()) {
    held = std::move(incoming);
    return;
  }
  if (held.is_sparse() && incoming.is_sparse()) {
    held = concatenate_rows(held, incoming);
    return;
  }
  if (held.is_sparse()) std::swap(held, incoming);
  // Add into the held tensor when nobody else sees its memory, else into a copy.
  Tensor sum = held.dense();
  held = Gradient{};
  if (!sum.storage().unique() || !sum.is_contiguous()) sum = sum.clone();
  if (incoming.is_sparse()) {
    kernels::scatter_add_rows(incoming.indices(), incoming.row_values(), sum);
  } else {
    kernels::add_into(incoming.dense(), sum);
  }
  held = Gradient(std::move(sum));
}

Gradients Tape::backward(const Tensor& loss) {
  require(loss.numel() == 1, "backward: the loss must be a single element, got ", loss);
  const Tensor one = Tensor::full(loss.shape(), 1.0, loss.dtype());
  return backward(std::span(&loss, 1), std::span(&one, 1));
}

Gradients Tape::backward(std::span<const Tensor> outputs, std::span<const Tensor> cotangents) {
  require<InternalError>(!consumed_, "backward: the tape has been consumed by an earlier backward");
  require<InternalError>(outputs.size() == cotangents.size(), "backward: one cotangent an output: ", outputs.size(), " outputs, ",
                         cotangents.size(), " cotangents");
  gradients_.resize(specs_.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    require<InternalError>(outputs[i].node().kind != NodeRef::Kind::constant, "backward: the output ", outputs[i],
                           " was not recorded on this tape");
    require(cotangents[i].spec() == outputs[i].spec(), "backward: a cotangent must fit its output: output ", outputs[i], ", cotangent ",
            cotangents[i]);
    const std::int64_t slot = slot_of(outputs[i], "backward");
    gradients_.resize(specs_.size());
    accumulate(slot, Gradient(cotangents[i].detach()), "backward");
  }
  consumed_ = true;  // nothing that backward computes is recorded

  std::vector<Tensor> output_gradients;
  std::vector<bool> needs;
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    output_gradients.clear();
    bool reached = false;
    for (std::int64_t i = 0; i < record.output_count; ++i) {
      Gradient& g = gradients_[static_cast<std::size_t>(record.first_output + i)];
      reached = reached || g.defined();
      output_gradients.push_back(g.defined() ? g.dense() : Tensor{});
      g = Gradient{};
    }
    if (!reached) continue;
    needs.clear();
    for (const std::int64_t slot : record.inputs) needs.push_back(slot >= 0);
    const std::string_view name = record.entry->name();
    std::vector<Gradient> input_gradients = record.entry->backward(output_gradients, needs);
    require<InternalError>(input_gradients.size() == record.inputs.size(), name, ": backward must return a gradient for every input");
    record.entry.reset();
    output_gradients.clear();  // so that a gradient that was only passed on has one owner and can be added to in place
    for (std::size_t i = 0; i < record.inputs.size(); ++i) {
      if (!needs[i] || !input_gradients[i].defined()) continue;
      accumulate(record.inputs[i], std::exchange(input_gradients[i], Gradient{}), name);
    }
  }

  Gradients result;
  for (const auto& [leaf, slot] : leaf_slots_) result.by_leaf_.emplace(leaf, std::move(gradients_[static_cast<std::size_t>(slot)]));
  gradients_.clear();
  leaves_.clear();
  return result;
}

NoGrad::NoGrad() { ++paused; }
NoGrad::~NoGrad() { --paused; }

}  // namespace capstan
