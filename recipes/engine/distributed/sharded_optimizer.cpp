#include "recipes/engine/distributed/sharded_optimizer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/profile.h"
#include "optim/coalesce.h"
#include "recipes/engine/distributed/agreement.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

constexpr std::size_t kInPlace = 256 << 10;  // bytes from which the values of a parameter travel by themselves, without a copy
constexpr std::size_t kTogether = 4 << 20;   // of those that are copied to travel together

/// The memory of a contiguous tensor.
std::span<std::byte> memory_of(const Tensor& t) {
  return dispatch(t.dtype(), [&](auto zero) { return std::as_writable_bytes(t.span<decltype(zero)>()); });
}

std::vector<Parameter> own_parts(std::span<const Parameter> whole, const ParameterShares& shares, int rank) {
  std::vector<Parameter> out;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const Parameter& p = whole[i];
    out.emplace_back(p.name(), shares.of(i, rank, p.value().detach()),
                     ParameterOptions{.trainable = p.trainable(),
                                      .decay = p.decay(),
                                      .sparse_gradient = p.sparse_gradient(),
                                      .learning_rate_scale = p.learning_rate_scale()});
  }
  return out;
}

}  // namespace

ShardedOptimizer::ShardedOptimizer(Comm& comm, const nn::ParameterStore& parameters, Make make)
    : comm_(comm),
      whole_(parameters.parameters().begin(), parameters.parameters().end()),
      make_(std::move(make)),
      shares_(whole_, comm.size()),
      own_(make_(own_parts(whole_, shares_, comm.rank()))) {}

std::vector<Gradient> ShardedOptimizer::share_of(std::span<const Gradient> whole) const {
  std::vector<Gradient> mine;
  for (std::size_t i = 0; i < whole.size(); ++i) mine.push_back(shares_.of(i, comm_.rank(), whole[i]));
  return mine;
}

void ShardedOptimizer::step(std::span<const Gradient> mine, double learning_rate, double gradient_scale, bool tell) {
  std::string failure;
  try {
    own_->step(mine, learning_rate, gradient_scale);
  } catch (const NumericalError& e) {  // all values are changed by then, so that the others can be told
    failure = e.what();
  }
  for (std::size_t i = 0; i < whole_.size(); ++i)
    if (mine[i].defined()) whole_[i].write();  // a new version, of which there is no copy in bf16
  if (tell) {
    share_values(mine);
    failure = first_text(comm_, failure);
  }
  require<NumericalError>(failure.empty(), failure);
}

void ShardedOptimizer::share_values(std::span<const Gradient> mine) {
  const profile::Scope scope("exchange", profile::Kind::wait);
  const double start = wall_seconds();
  std::vector<std::size_t> together;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < whole_.size(); ++i) {
    const Parameter& p = whole_[i];
    if (!mine[i].defined() || !p.trainable()) continue;
    if (mine[i].is_sparse() && !own_->moves_unnamed_rows(i)) {
      share_rows(i, mine[i]);
      continue;
    }
    const std::span<std::byte> values = memory_of(p.value().detach());
    if (values.size() >= kInPlace) {
      std::vector<std::size_t> counts;
      for (int r = 0; r < shares_.ranks(); ++r) counts.push_back(static_cast<std::size_t>(shares_.size(i, r)) * size_of(p.dtype()));
      comm_.gather_parts(values, counts);
      continue;
    }
    together.push_back(i);
    bytes += values.size();
    if (bytes >= kTogether) share_together(std::exchange(together, {})), bytes = 0;
  }
  if (!together.empty()) share_together(together);
  wait_ += wall_seconds() - start;
}

void ShardedOptimizer::share_together(std::span<const std::size_t> parameters) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < shares_.ranks(); ++r) {
    std::size_t count = 0;
    for (const std::size_t i : parameters) count += static_cast<std::size_t>(shares_.size(i, r)) * size_of(whole_[i].dtype());
    counts.push_back(count);
  }
  std::size_t bytes = 0;
  for (const std::size_t count : counts) bytes += count;
  std::vector<std::byte> line(bytes);
  // Between the parameters and the line.
  const auto copy = [&](const auto& copied, const auto& move) {
    std::size_t at = 0;
    for (int r = 0; r < shares_.ranks(); ++r)
      for (const std::size_t i : parameters) {
        const std::size_t size = size_of(whole_[i].dtype()), count = static_cast<std::size_t>(shares_.size(i, r)) * size;
        const auto values = memory_of(whole_[i].value().detach()).subspan(static_cast<std::size_t>(shares_.begin(i, r)) * size, count);
        if (count > 0 && copied(r)) move(values.data(), line.data() + at, count);
        at += count;
      }
  };
  copy([&](int r) { return r == comm_.rank(); },
       [](const std::byte* value, std::byte* place, std::size_t count) { std::memcpy(place, value, count); });
  comm_.gather_parts(line, counts);
  copy([&](int r) { return r != comm_.rank(); },
       [](std::byte* value, const std::byte* place, std::size_t count) { std::memcpy(value, place, count); });
}

void ShardedOptimizer::share_rows(std::size_t parameter, const Gradient& mine) {
  const Parameter& p = whole_[parameter];
  const std::span<std::byte> values = memory_of(p.value().detach());
  if (values.empty()) return;
  const std::size_t width = values.size() / static_cast<std::size_t>(p.size(0)), length = sizeof(std::int64_t) + width;
  const std::int64_t first =
      shares_.begin(parameter, comm_.rank()) * static_cast<std::int64_t>(size_of(p.dtype())) / static_cast<std::int64_t>(width);
  const Gradient named = optim::coalesced(mine);
  std::vector<std::byte> rows;
  for (const std::int64_t local : named.indices().span<const std::int64_t>()) {
    const std::int64_t row = first + local;
    const auto number = std::as_bytes(std::span(&row, 1)),
               value = std::as_bytes(values.subspan(static_cast<std::size_t>(row) * width, width));
    rows.insert(rows.end(), number.begin(), number.end());
    rows.insert(rows.end(), value.begin(), value.end());
  }
  const auto all = comm_.gather(rows);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (r == static_cast<std::size_t>(comm_.rank())) continue;
    for (std::size_t at = 0; at + length <= all[r].size(); at += length) {
      std::int64_t row = 0;
      std::memcpy(&row, all[r].data() + at, sizeof row);
      std::memcpy(values.data() + static_cast<std::size_t>(row) * width, all[r].data() + at + sizeof row, width);
    }
  }
}

std::size_t ShardedOptimizer::index_of(std::string_view parameter) const {
  const auto found = std::ranges::find(whole_, parameter, &Parameter::name);
  require<InternalError>(found != whole_.end(), "shares: no parameter has the name ", parameter);
  return static_cast<std::size_t>(found - whole_.begin());
}

Spec ShardedOptimizer::whole_spec(const optim::OptimizerState& mine) const {
  const std::size_t i = index_of(mine.parameter);
  require<InternalError>(mine.value.shape() == shares_.shape(i, comm_.rank()), "shares: ", mine.slot, " of ", mine.parameter,
                         ": state must have its parameter's shape: ", mine.value, ", the share ", shares_.shape(i, comm_.rank()));
  return {whole_[i].shape(), mine.value.dtype()};
}

Tensor ShardedOptimizer::gather(const optim::OptimizerState& mine) {
  const Spec spec = whole_spec(mine);
  const std::size_t i = index_of(mine.parameter), ranks = static_cast<std::size_t>(comm_.size());
  const bool first = comm_.rank() == 0;
  const Tensor whole = first ? Tensor(spec.shape, spec.dtype) : Tensor();
  const Tensor part = mine.value.contiguous();
  std::vector<std::span<const std::byte>> to(ranks);
  std::vector<std::span<std::byte>> from(ranks);
  to[0] = memory_of(part);
  if (first)
    for (std::size_t r = 0; r < ranks; ++r) {
      const auto rank = static_cast<int>(r);
      from[r] = memory_of(whole).subspan(static_cast<std::size_t>(shares_.begin(i, rank)) * size_of(spec.dtype),
                                         static_cast<std::size_t>(shares_.size(i, rank)) * size_of(spec.dtype));
    }
  comm_.exchange(to, from);
  return whole;
}

void ShardedOptimizer::gather_for_first() {
  for (const optim::OptimizerState& mine : own_->state()) gather(mine);
}

Tensor ShardedOptimizer::share_of(std::string_view parameter, const Tensor& state) const {
  const std::size_t i = index_of(parameter);
  require<CheckpointError>(state.shape() == whole_[i].shape(), own_->name(), ": state of ", parameter, " must have its shape: ", whole_[i],
                           ", the state ", state);
  return shares_.of(i, comm_.rank(), state.contiguous()).clone();
}

void ShardedOptimizer::take_over(const std::function<void(optim::Optimizer&)>& change) {
  const std::unique_ptr<optim::Optimizer> whole = make_(whole_);
  change(*whole);
  std::vector<optim::OptimizerState> state = whole->state();
  for (optim::OptimizerState& s : state) s.value = share_of(s.parameter, s.value);
  own_->load_state(state, whole->step_count());
}

}  // namespace capstan::engine
