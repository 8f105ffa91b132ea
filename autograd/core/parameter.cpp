#include "autograd/core/parameter.h"

#include <utility>

#include "autograd/kernels/accumulate.h"

namespace capstan {

Parameter::Parameter(std::string name, const Tensor& value, const ParameterOptions& options)
    : record_(std::make_shared<Record>(Record{.name = std::move(name), .leaf = make_leaf(value), .constant = value, .options = options})) {}

const Tensor& Parameter::value() const {
  static const Tensor none;
  if (!defined()) return none;
  return trainable() ? record_->leaf : record_->constant;
}

Tensor Parameter::write() const {
  ++record_->version;
  return record_->constant;
}

Parameter::Written Parameter::write_both() const {
  const bool current = record_->bf16_version == record_->version;
  Written w{write(), current ? record_->bf16 : Tensor{}};
  if (current) record_->bf16_version = record_->version;
  return w;
}

Tensor Parameter::bf16() const {
  if (record_->bf16_version != record_->version) {
    if (!record_->bf16.defined()) record_->bf16 = Tensor(shape(), DType::bf16);
    kernels::convert(record_->constant, record_->bf16);
    record_->bf16_version = record_->version;
  }
  return record_->bf16.with_node(value().node());
}

std::string to_text(const Parameter& p) { return p.defined() ? p.name() + " " + to_text(p.value()) : "none"; }

}  // namespace capstan
