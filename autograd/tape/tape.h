#pragma once
// Tape: the list of operations of one forward pass (a Wengert list), run through once in reverse by `backward`.
//
//     Tape tape;                              // records on this thread from here on
//     const Tensor loss = model(batch);
//     const Gradients g = tape.backward(loss);  // consumes the tape
//     g.of(weight);
//
// An entry holds an operation's input slots, output slots and what its backward reads. Gradients are a vector indexed by
// slot. Entries that no gradient reaches are skipped; every entry is freed as it is passed. There is no recursion, no
// topological sort and no double backward. Sums over broadcast axes happen here and nowhere else; the sum of gradients is core/gradient.h.
//
// A gradient may be wider than its value: f32 for bf16, as the sums behind it are. It stays so until an operation reads it.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/tensor.h"

namespace capstan {

/// The gradients of the leaves that a tape has seen.
class Gradients {
 public:
  /// The gradient of a leaf (see make_leaf) in its type or wider, never a slice; absent if nothing flowed to it. Throws GraphError for a
  /// tensor that is no leaf.
  Gradient of(const Tensor& leaf) const;

 private:
  friend class Tape;
  std::unordered_map<std::uint64_t, Gradient> by_leaf_;
};

class Tape {
 public:
  /// One recorded operation. `backward` receives the gradients of the outputs (absent where none arrived) and returns those of the inputs;
  /// `needs[i]` says whether input i's is wanted.
  class Entry {
   public:
    virtual ~Entry() = default;
    virtual std::string_view name() const = 0;
    virtual std::vector<Gradient> backward(std::span<Gradient> output_gradients, const std::vector<bool>& needs) = 0;
  };

  /// Whether the tape keeps the leaves that it meets, for leaves(). Forgetting them lets their memory be used again.
  enum class Leaves { forget, keep };

  /// Becomes the thread's recording tape; tapes nest, the innermost records.
  explicit Tape(Leaves leaves = Leaves::forget);
  ~Tape();  ///< must be destroyed on its thread, innermost first
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Gradients of a scalar. Throws ShapeError if `loss` is not a single element, GraphError if it depends on no leaf, stands on another
  /// tape, or the tape has been consumed.
  Gradients backward(const Tensor& loss);
  /// Gradients of sum(outputs[i] * cotangents[i]), of which a constant output has none. Throws GraphError if all outputs are constant.
  Gradients backward(std::span<const Tensor> outputs, std::span<const Tensor> cotangents);

  /// Called with the number of a leaf (NodeRef::owner) and its gradient as soon as nothing can be added to it any more, while backward goes
  /// on; for a leaf that nothing reached it is not called. Every leaf is handed out once, the last used first.
  using OnReady = std::function<void(std::uint64_t leaf, Gradient gradient)>;
  void backward(const Tensor& loss, const OnReady& on_ready);
  void backward(std::span<const Tensor> outputs, std::span<const Tensor> cotangents, const OnReady& on_ready);

  std::size_t size() const { return records_.size(); }
  /// The leaves that recorded operations read, in the order of their first use; empty unless they are kept.
  std::span<const Tensor> leaves() const { return leaves_; }

  /// The tape that records on this thread; null without one or under NoGrad.
  static Tape* recording();

  // ---- for apply<Op> (op.h) ----
  /// The slot of an operand, -1 for a constant. Throws GraphError for a value of another tape.
  std::int64_t slot_of(const Tensor& t, std::string_view op);
  /// Appends an entry and marks `outputs` with their new slots. `operand_bytes`, if a profile is recorded: what backward reads again.
  void record(std::unique_ptr<Entry> entry, std::vector<std::int64_t> input_slots, std::span<Tensor> outputs, double operand_bytes = 0);

 private:
  struct Record {
    std::unique_ptr<Entry> entry;
    std::vector<std::int64_t> inputs;  // slots, -1 for constants
    std::int64_t first_output;         // outputs have consecutive slots
    std::int64_t output_count;
    double operand_bytes;
  };
  struct Slot {
    Spec spec;
    std::uint64_t leaf = 0;          // its number, 0 for the output of an operation
    std::int64_t first_reader = -1;  // the first entry that reads it
  };
  std::int64_t new_slot(const Spec& spec, std::uint64_t leaf = 0);
  void accumulate(std::int64_t slot, Gradient incoming, std::string_view op);
  void hand_out(std::int64_t slot, const OnReady& on_ready);

  std::uint64_t id_;
  Tape* outer_;
  bool consumed_ = false;
  std::vector<Record> records_;
  std::vector<Slot> slots_;
  std::vector<Gradient> gradients_;                             // by slot, while backward runs
  std::unordered_map<std::uint64_t, std::int64_t> leaf_slots_;  // leaf number -> slot
  bool keeps_leaves_;
  std::vector<Tensor> leaves_;
};

/// While a NoGrad lives nothing is recorded on this thread.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
};

}  // namespace capstan
