#include "nn/foreign_names.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "autograd/core/error.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/shape_ops.h"
#include "nn/tensor_bytes.h"

namespace capstan::nn {
namespace {

std::string with_slashes(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '.', '/');
  return out;
}

const Spec* find(const TensorSource& source, std::string_view name) {
  const auto at = std::ranges::find(source.tensors, name, &std::pair<std::string, Spec>::first);
  return at == source.tensors.end() ? nullptr : &at->second;
}

/// Shape of our rows of theirs, and of all of theirs.
Shape part_shape(const TensorPair& pair, const Shape& ours) {
  if (pair.column) return Shape{ours[0], 1};
  if (pair.shape || pair.axes.empty()) return pair.shape.value_or(ours);
  std::vector<std::int64_t> theirs(pair.axes.size());
  for (std::size_t i = 0; i < theirs.size(); ++i) theirs[static_cast<std::size_t>(pair.axes[i])] = ours[static_cast<int>(i)];
  return Shape(theirs);
}
Shape whole_shape(const TensorPair& pair, const Shape& ours) {
  const Shape part = part_shape(pair, ours);
  return pair.rows == 0 ? part : part.with(pair.axis, pair.rows);
}

/// The axes that say something.
std::vector<std::int64_t> without_ones(const Shape& shape) {
  std::vector<std::int64_t> out;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1) out.push_back(shape[i]);
  return out;
}

bool fits(const TensorPair& pair, const Shape& theirs, const Shape& ours) {
  const Shape expected = whole_shape(pair, ours);
  return theirs == expected || (pair.axes.empty() && pair.rows == 0 && without_ones(theirs) == without_ones(expected));
}

/// Shape of our part of theirs, which fits, with our axes in our order.
Shape turned_part(const TensorPair& pair, const Shape& ours) {
  const Shape part = part_shape(pair, ours);
  if (pair.axes.empty()) return part;
  std::vector<std::int64_t> out;
  for (const int axis : pair.axes) out.push_back(part[axis]);
  return Shape(out);
}

/// The shape that must become ours by `resized`; nothing: it is ours already, but for how its sizes are grouped.
std::optional<Shape> other_shape(const TensorPair& pair, const Shape& theirs, const Shape& ours) {
  if (!fits(pair, theirs, ours)) return theirs;
  const Shape part = turned_part(pair, ours);
  if (part.numel() == ours.numel()) return std::nullopt;
  return part;
}

Tensor in_our_form(const Tensor& theirs, const TensorPair& pair, const Spec& ours) {
  if (!fits(pair, theirs.shape(), ours.shape)) return cast(pair.resized(theirs, ours.shape), ours.dtype);
  Tensor x = pair.rows == 0 ? theirs : slice(theirs, pair.axis, pair.first, part_shape(pair, ours.shape)[pair.axis]);
  if (!pair.axes.empty()) x = permute(x, pair.axes);
  x = x.contiguous();
  x = x.numel() == ours.shape.numel() ? reshape(x, ours.shape) : pair.resized(x, ours.shape);
  return x.dtype() == ours.dtype ? x : cast(x, ours.dtype);
}

/// The order of axes that takes `axes` back.
std::vector<int> inverse(const std::vector<int>& axes) {
  std::vector<int> out(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) out[static_cast<std::size_t>(axes[i])] = static_cast<int>(i);
  return out;
}

Tensor in_their_form(const Tensor& parameter, const TensorPair& pair) {
  const Tensor ours = pair.written ? pair.written(parameter, part_shape(pair, parameter.shape())) : parameter;
  const Shape part = part_shape(pair, ours.shape());
  if (pair.axes.empty()) return reshape(ours.contiguous(), part);
  return permute(reshape(ours.contiguous(), turned_part(pair, ours.shape())), inverse(pair.axes)).contiguous();
}

/// Writes `part`, which is contiguous, into `whole` from `first` on along an axis.
void copy_into(const Tensor& part, const Tensor& whole, int axis, std::int64_t first) {
  std::int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= whole.size(i);
  const auto item = static_cast<std::int64_t>(size_of(whole.dtype()));
  const std::int64_t row = whole.numel() / outer / whole.size(axis) * item, block = part.numel() / outer * item;  // bytes
  const std::byte* const from = first_byte(part);
  std::byte* const to = static_cast<std::byte*>(whole.storage().data()) + first * row;
  for (std::int64_t i = 0; i < outer; ++i) std::memcpy(to + i * whole.size(axis) * row, from + i * block, static_cast<std::size_t>(block));
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.spec() != b.spec()) return false;
  const Tensor x = a.contiguous(), y = b.contiguous();
  return std::memcmp(first_byte(x), first_byte(y), static_cast<std::size_t>(x.numel()) * size_of(x.dtype())) == 0;
}

}  // namespace

TensorPair& ForeignNames::add(std::string their_name, std::string our_name) {
  pairs.push_back({.theirs = std::move(their_name), .ours = std::move(our_name)});
  return pairs.back();
}

void ForeignNames::both(const std::string& their_layer, const std::string& our_layer) {
  add(their_layer + ".weight", our_layer + "/weight");
  add(their_layer + ".bias", our_layer + "/bias");
}

TensorSource translated(const TensorSource& theirs, const ForeignNames& names, const ParameterStore& store) {
  struct Taken {
    std::string name;  // of theirs
    const TensorPair* pair = nullptr;
    Spec ours = {};
  };
  const auto pairs = std::make_shared<const std::vector<TensorPair>>(names.pairs);
  const auto taken = std::make_shared<std::map<std::string, Taken, std::less<>>>();
  std::set<std::string, std::less<>> used(names.ignored.begin(), names.ignored.end());
  TensorSource out{.name = theirs.name, .tensors = {}, .read = {}};
  std::map<std::string_view, Spec> ours;
  for (const Parameter& p : store.parameters()) ours.emplace(p.name(), p.value().spec());

  std::string problems;
  for (const auto& [copy, original] : names.copies) {
    if (find(theirs, copy) == nullptr) continue;
    used.insert(copy);
    if (find(theirs, original) != nullptr && !same_bytes(theirs.read(copy), theirs.read(original)))
      problems += join_text("\n  ", copy, " is not ", original, ", and the model here has one tensor for both");
  }
  for (const auto& [name, value] : names.constants) {
    const Spec* const spec = find(theirs, name);
    if (spec == nullptr) continue;
    used.insert(name);
    if (spec->shape != value.shape() || !same_bytes(cast(theirs.read(name), value.dtype()), value))
      problems += join_text("\n  ", name, " ", *spec, " is there and does something, and the model here has no such part");
  }
  require<CheckpointError>(problems.empty(), "import: ", theirs.name, ": does not fit the model:", problems);

  for (const TensorPair& pair : *pairs) {
    const Spec* const spec = find(theirs, pair.theirs);
    const auto target = ours.find(pair.ours);
    if (spec == nullptr) continue;
    used.insert(pair.theirs);
    Taken t{.name = pair.theirs};
    Spec seen = *spec;
    const auto becomes_ours = [&](const Shape& shape) {
      const std::optional<Shape> other = other_shape(pair, spec->shape, shape);
      if (!other) return true;
      if (!pair.resized || !pair.resized(Tensor::zeros(*other, DType::f32), shape).defined()) return false;
      std::string note =
          pair.resizing ? pair.resizing(*other, shape) : join_text(pair.ours, " of ", shape, " is interpolated from ", *other);
      if (std::ranges::find(out.notes, note) == out.notes.end()) out.notes.push_back(std::move(note));
      return true;
    };
    const bool number = is_floating(spec->dtype) || spec->shape.numel() == 1;  // a whole number may be a count
    if (target != ours.end() && number && becomes_ours(target->second.shape)) {
      t.pair = &pair;
      t.ours = seen = target->second;
    }
    out.tensors.emplace_back(pair.ours, seen);
    if (seen != *spec || pair.ours != pair.theirs) out.originals.emplace(pair.ours, pair.theirs);
    taken->emplace(pair.ours, std::move(t));
  }
  for (const auto& [name, spec] : theirs.tensors) {
    if (used.contains(name)) continue;
    std::string shown = with_slashes(name);
    out.tensors.emplace_back(shown, spec);
    taken->emplace(std::move(shown), Taken{.name = name});
  }
  out.read = [theirs, pairs, taken](std::string_view name) {
    const Taken& t = taken->find(name)->second;
    const Tensor x = theirs.read(t.name);
    return t.pair == nullptr ? x : in_our_form(x, *t.pair, t.ours);
  };
  return out;
}

std::vector<std::pair<std::string, Tensor>> translated_back(const ForeignNames& names, const ParameterStore& store) {
  std::vector<std::pair<std::string, Tensor>> out;
  std::map<std::string_view, std::size_t> place;
  std::set<std::string_view> written;
  for (const TensorPair& pair : names.pairs) {
    const auto found = std::ranges::find(store.parameters(), pair.ours, &Parameter::name);
    if (found == store.parameters().end()) continue;  // a part that this model does not have
    written.insert(pair.ours);
    const Tensor part = in_their_form(found->value(), pair);
    const auto [at, added] = place.emplace(pair.theirs, out.size());
    if (added) out.emplace_back(pair.theirs, pair.rows == 0 ? part : Tensor::zeros(whole_shape(pair, found->shape()), part.dtype()));
    if (pair.rows == 0) continue;
    copy_into(part, out[at->second].second, pair.axis, pair.first);
  }
  for (const Parameter& p : store.parameters())
    require<CheckpointError>(written.contains(p.name()), "export: ", p.name(), " has no name in the other form");
  for (const auto& [name, value] : names.constants) out.emplace_back(name, value);
  return out;
}

}  // namespace capstan::nn
