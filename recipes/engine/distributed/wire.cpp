#include "recipes/engine/distributed/wire.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::engine {
namespace {

void put(data::Packer& to, const Tensor& t) {
  const Tensor straight = t.contiguous();
  dispatch(straight.dtype(), [&](auto zero) { to.put_list(std::as_bytes(straight.span<const decltype(zero)>())); });
}

Tensor tensor_from(data::Unpacker& from, const Shape& shape, DType dtype) {
  Tensor out(shape, dtype);
  const auto bytes = from.bytes();
  require<InternalError>(bytes.size() == static_cast<std::size_t>(shape.numel()) * size_of(dtype), "exchange: ", bytes.size(),
                         " bytes have come for ", out);
  std::memcpy(out.storage().data(), bytes.data(), bytes.size());
  return out;
}

/// The sum over all processes of what travels in bf16, in f32, of the part of each; counts[r] elements for rank r.
void sum_parts_in_bf16(Comm& comm, std::span<float> line, std::span<const std::size_t> counts) {
  const auto me = static_cast<std::size_t>(comm.rank());
  std::vector<bfloat16> narrow(line.size()), arrived(counts.size() * counts[me]);
  std::ranges::transform(line, narrow.begin(), [](float v) { return bfloat16(v); });
  std::vector<std::span<const std::byte>> to;
  std::vector<std::span<std::byte>> from;
  std::size_t begin = 0, mine = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    if (r == me) mine = begin;
    to.push_back(std::as_bytes(std::span(narrow).subspan(begin, counts[r])));
    from.push_back(std::as_writable_bytes(std::span(arrived).subspan(r * counts[me], counts[me])));
    begin += counts[r];
  }
  comm.exchange(to, from);
  for (std::size_t i = 0; i < counts[me]; ++i) {
    float sum = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) sum += static_cast<float>(arrived[r * counts[me] + i]);
    line[mine + i] = sum;
  }
}

/// The same of all, which travel rounded again.
void sum_in_bf16(Comm& comm, std::span<float> line) {
  const auto ranks = static_cast<std::size_t>(comm.size()), me = static_cast<std::size_t>(comm.rank());
  const auto begin = [&](std::size_t rank) { return line.size() * rank / ranks; };
  std::vector<std::size_t> counts, bytes;
  for (std::size_t r = 0; r < ranks; ++r) {
    counts.push_back(begin(r + 1) - begin(r));
    bytes.push_back(counts.back() * sizeof(bfloat16));
  }
  sum_parts_in_bf16(comm, line, counts);
  std::vector<bfloat16> narrow(line.size());
  for (std::size_t i = begin(me); i < begin(me + 1); ++i) narrow[i] = bfloat16(line[i]);
  comm.gather_parts(std::as_writable_bytes(std::span(narrow)), bytes);
  std::ranges::transform(narrow, line.begin(), [](bfloat16 v) { return static_cast<float>(v); });
}

}  // namespace

GradientForm form_of(const Gradient& g) {
  if (!g.defined()) return GradientForm::absent;
  if (g.is_sparse()) return g.has_unique_rows() ? GradientForm::unique_rows : GradientForm::rows;
  return GradientForm::dense;
}

void put(data::Packer& to, const Gradient& g) {
  const GradientForm form = form_of(g);
  to.put(form);
  if (form == GradientForm::absent) return;
  if (form == GradientForm::dense) return put(to, g.dense());
  to.put(g.indices().numel());
  put(to, g.indices());
  put(to, g.row_values());
}

Gradient gradient_from(data::Unpacker& from, const Shape& shape, DType dtype) {
  const GradientForm form = from.get<GradientForm>();
  if (form == GradientForm::absent) return {};
  if (form == GradientForm::dense) return tensor_from(from, shape, dtype);
  const auto rows = from.get<std::int64_t>();
  Tensor indices = tensor_from(from, Shape{rows}, DType::i64);
  return Gradient::rows(std::move(indices), tensor_from(from, shape.with(0, rows), dtype), shape, form == GradientForm::unique_rows);
}

std::vector<std::vector<std::byte>> exchange_bytes(Comm& comm, std::span<const std::vector<std::byte>> to) {
  std::vector<std::uint64_t> sizes, sizes_here(to.size());
  for (const auto& parcel : to) sizes.push_back(parcel.size());
  std::vector<std::span<const std::byte>> from_here;
  std::vector<std::span<std::byte>> to_here;
  for (std::size_t r = 0; r < to.size(); ++r) {
    from_here.push_back(std::as_bytes(std::span(sizes).subspan(r, 1)));
    to_here.push_back(std::as_writable_bytes(std::span(sizes_here).subspan(r, 1)));
  }
  comm.exchange(from_here, to_here);
  std::vector<std::vector<std::byte>> arrived(to.size());
  for (std::size_t r = 0; r < to.size(); ++r) {
    arrived[r].resize(sizes_here[r]);
    from_here[r] = to[r];
    to_here[r] = arrived[r];
  }
  comm.exchange(from_here, to_here);
  return arrived;
}

void sum_over_wire(Comm& comm, std::span<float> line, std::span<const std::size_t> counts, DType wire) {
  if (counts.empty()) {
    wire == DType::bf16 ? sum_in_bf16(comm, line) : comm.sum(line);
  } else {
    wire == DType::bf16 ? sum_parts_in_bf16(comm, line, counts) : comm.sum_parts(line, counts);
  }
}

}  // namespace capstan::engine
