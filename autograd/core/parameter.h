#pragma once
// Parameter: a named value that an optimiser updates in place. Copies of the handle are the same parameter: modules, optimiser, checkpoint
// and importer hold one record, so what one of them changes (a value loaded, a prefix frozen, a rate scaled) reaches all others.
//
// What is derived from the value is kept beside it and belongs to a version of it: the bf16 copy that mixed precision computes with.
// Whoever writes the value asks for it with write(), which begins a new version, so nobody can see a copy of an old one.

#include <cstdint>
#include <memory>
#include <string>

#include "autograd/core/tensor.h"

namespace capstan {

struct ParameterOptions {
  bool trainable = true;             ///< false: its value is a constant, and optimisers pass it over
  bool decay = true;                 ///< weight decay applies
  bool sparse_gradient = false;      ///< a table whose gradient is row-sparse
  double learning_rate_scale = 1.0;  ///< on the learning rate, of layer-wise decay
};

class Parameter {
 public:
  Parameter() = default;  ///< none: an optional parameter that a layer does without
  /// Takes the memory of `value`, a constant of a floating type. Throws GraphError or DTypeError otherwise.
  Parameter(std::string name, const Tensor& value, const ParameterOptions& options = {});

  bool defined() const { return record_ != nullptr; }
  const std::string& name() const { return record_->name; }  ///< path, such as "encoder/0/query/weight"
  /// A leaf, the same one always; a constant while the parameter is not trainable. Undefined if there is no parameter.
  const Tensor& value() const;
  const Shape& shape() const { return record_->constant.shape(); }
  DType dtype() const { return record_->constant.dtype(); }
  std::int64_t size(int axis) const { return shape()[axis]; }
  /// The number of its leaf (NodeRef::owner), by which tapes know it.
  std::uint64_t leaf() const { return record_->leaf.node().owner; }
  bool is(const Parameter& other) const { return record_ == other.record_; }  ///< the same parameter

  bool trainable() const { return record_->options.trainable; }
  bool decay() const { return record_->options.decay; }
  bool sparse_gradient() const { return record_->options.sparse_gradient; }
  double learning_rate_scale() const { return record_->options.learning_rate_scale; }
  /// From the next forward pass and the next step of an optimiser on.
  void set_trainable(bool trainable) const { record_->options.trainable = trainable; }
  void set_learning_rate_scale(double scale) const { record_->options.learning_rate_scale = scale; }

  /// The value to be written to, as a constant. Begins a new version.
  Tensor write() const;
  /// The same for a writer that rounds what it writes into `bf16` too, which then belongs to the new version; undefined where there is no
  /// up-to-date copy.
  struct Written {
    Tensor value, bf16;
  };
  Written write_both() const;
  std::uint64_t version() const { return record_->version; }
  /// The value rounded to bf16, up to date, as the same leaf: gradients of both add up. Made when first asked for, then kept.
  Tensor bf16() const;

 private:
  struct Record {
    std::string name;
    Tensor leaf, constant;  // the same memory
    ParameterOptions options;
    std::uint64_t version = 1;
    Tensor bf16 = {};
    std::uint64_t bf16_version = 0;  // of the value that bf16 was made from
  };
  std::shared_ptr<Record> record_;
};

std::string to_text(const Parameter& p);  // "encoder/0/query/weight f32[2, 3]"

}  // namespace capstan
