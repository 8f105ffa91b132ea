#include "recipes/engine/distributed/gradient_exchange.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/profile.h"
#include "autograd/kernels/accumulate.h"
#include "data/packing.h"
#include "optim/coalesce.h"
#include "recipes/engine/distributed/wire.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// Without slices, which are of few elements and rarely the last word about a parameter.
Gradient settled(Gradient g) { return g.is_slice() ? Gradient(g.to_dense()) : std::move(g); }

/// The part of a line of `shape` elements that begins at `offset`, as a tensor of that shape.
Tensor part_of(const Tensor& line, std::int64_t offset, const Shape& shape) {
  return line.view(*line.layout().slice(0, offset, shape.numel()).reshape(shape));
}

std::vector<Gradient> none(std::size_t count) { return std::vector<Gradient>(count); }

/// Floats of one node of the tree, for a part of a line of parameters.
struct Floats {
  std::span<float> values;
  void add(Floats other) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
  }
};

}  // namespace

Gradient sum_of(Gradient a, Gradient b) {
  a = settled(std::move(a));
  b = settled(std::move(b));
  if (a.defined() && b.defined() && a.is_sparse() != b.is_sparse()) {
    a = a.to_dense();
    b = b.to_dense();
  }
  a.add(std::move(b));
  return a;
}

void GradientExchange::Gradients::add(Gradients other) {
  for (std::size_t i = 0; i < of.size(); ++i) of[i] = sum_of(std::move(of[i]), std::move(other.of[i]));
}

/// Dense gradients that travel together, one behind the other, and behind them for each how many processes had one; in one section, or in
/// one for the shares of each process.
struct GradientExchange::Bucket {
  struct Section {
    std::vector<std::int64_t> offsets = {};  // in the line, of the parameters
    std::int64_t presence = 0;               // likewise
    std::size_t count = 0;
  };
  std::vector<std::size_t> parameters;
  std::vector<Section> sections;
  Tensor line;                // f32
  std::vector<bool> arrived;  // of the parameters, in this step
  std::size_t missing = 0;

  std::span<float> presence(const Section& section) const {
    return line.span<float>().subspan(static_cast<std::size_t>(section.presence), parameters.size());
  }
  std::vector<std::size_t> counts() const {
    std::vector<std::size_t> out;
    for (const Section& s : sections) out.push_back(s.count);
    return out;
  }
};

/// The thread on which buckets travel, in their order.
class GradientExchange::Sender {
 public:
  Sender(Comm& comm, DType wire) : comm_(comm), wire_(wire), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  void send(Bucket& bucket) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(&bucket);
    changed_.notify_all();
  }
  /// Until all that was sent has travelled. Throws what went wrong.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.empty() || error_; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void run(const std::stop_token& stop) {
    for (std::unique_lock lock(mutex_);;) {
      if (!changed_.wait(lock, stop, [this] { return !waiting_.empty() && !error_; })) return;
      Bucket& bucket = *waiting_.front();
      lock.unlock();
      std::exception_ptr error;
      try {
        const std::span<float> line = bucket.line.span<float>();
        sum_over_wire(comm_, line, bucket.sections.size() > 1 ? bucket.counts() : std::vector<std::size_t>(), wire_);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
      waiting_.erase(waiting_.begin());
      changed_.notify_all();
    }
  }

  Comm& comm_;
  DType wire_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Bucket*> waiting_;  // the first one travels
  std::exception_ptr error_;
  std::jthread thread_;
};

GradientExchange::GradientExchange(Comm& comm, const nn::ParameterStore& parameters, const ExchangeOptions& options)
    : comm_(comm), parameters_(parameters), options_(options) {
  const auto all = parameters_.parameters();
  sums_ = none(all.size());
  if (alone()) return;
  for (std::size_t i = 0; i < all.size(); ++i) by_leaf_.emplace(all[i].leaf(), i);
}

GradientExchange::~GradientExchange() = default;

std::int64_t GradientExchange::parts() const {
  if (options_.whole_batches) return 1;
  return options_.reduce == Reduce::ordered ? options_.parts : comm_.size();
}
std::int64_t GradientExchange::first_part() const { return parts() * comm_.rank() / comm_.size(); }
std::int64_t GradientExchange::end_part() const { return parts() * (comm_.rank() + 1) / comm_.size(); }

bool GradientExchange::overlaps(std::size_t parameter) const {
  const Parameter& p = parameters_.parameters()[parameter];
  return p.trainable() && !p.sparse_gradient() && p.dtype() == DType::f32;
}

std::int64_t GradientExchange::section_begin(std::size_t parameter, std::size_t s) const {
  return gives_shares() ? options_.shares->begin(parameter, static_cast<int>(s)) : 0;
}
std::int64_t GradientExchange::section_end(std::size_t parameter, std::size_t s) const {
  return gives_shares() ? options_.shares->end(parameter, static_cast<int>(s)) : parameters_.parameters()[parameter].shape().numel();
}

void GradientExchange::plan(std::span<const std::size_t> order) {
  buckets_.clear();
  place_of_.assign(sums_.size(), {});
  std::int64_t floats = 0;
  for (const std::size_t i : order) {
    const std::size_t most = buckets_.size() <= 1 ? options_.first_bucket_bytes : options_.bucket_bytes;
    if (buckets_.empty() || static_cast<std::size_t>(floats) * sizeof(float) >= most) {
      buckets_.push_back(std::make_unique<Bucket>());
      floats = 0;
    }
    Bucket& bucket = *buckets_.back();
    place_of_[i] = {buckets_.size() - 1, bucket.parameters.size()};
    bucket.parameters.push_back(i);
    floats += parameters_.parameters()[i].value().numel();
  }
  for (const auto& bucket : buckets_) {
    std::int64_t end = 0;
    for (std::size_t s = 0; s < (gives_shares() ? static_cast<std::size_t>(comm_.size()) : 1); ++s) {
      const std::int64_t begin = end;
      Bucket::Section& section = bucket->sections.emplace_back();
      for (const std::size_t i : bucket->parameters) {
        section.offsets.push_back(end);
        end += section_end(i, s) - section_begin(i, s);
      }
      section.presence = end;
      end += static_cast<std::int64_t>(bucket->parameters.size());
      section.count = static_cast<std::size_t>(end - begin);
    }
    bucket->line = Tensor(Shape{end});
  }
}

void GradientExchange::begin() {
  begun_ = true;
  next_ = 0;
  if (sender_ == nullptr) sender_ = std::make_unique<Sender>(comm_, options_.wire);
  if (buckets_.empty()) {  // what is built last is mostly ready first
    std::vector<std::size_t> order;
    for (std::size_t i = sums_.size(); i-- > 0;)
      if (overlaps(i)) order.push_back(i);
    plan(order);
  }
  for (const auto& bucket : buckets_) {
    bucket->missing = bucket->parameters.size();
    bucket->arrived.assign(bucket->missing, false);
  }
}

void GradientExchange::ready(std::size_t parameter, const Gradient& gradient) {
  const auto [number, at] = place_of_[parameter];
  Bucket& bucket = *buckets_[number];
  const Parameter& p = parameters_.parameters()[parameter];
  require<InternalError>(!bucket.arrived[at], "exchange: the gradient of ", p.name(), " came twice in a step");
  bucket.arrived[at] = true;
  Tensor values = gradient.defined() ? gradient.to(DType::f32).to_dense() : Tensor();
  if (values.defined() && gives_shares()) values = values.contiguous();
  for (std::size_t s = 0; s < bucket.sections.size(); ++s) {
    const Bucket::Section& section = bucket.sections[s];
    bucket.presence(section)[at] = values.defined() ? 1 : 0;
    const Tensor to = part_of(bucket.line, section.offsets[at], Shape{section_end(parameter, s) - section_begin(parameter, s)});
    if (!values.defined()) {
      std::ranges::fill(to.span<float>(), 0.0f);
    } else if (gives_shares()) {
      const std::span<const float> part = values.span<const float>().subspan(static_cast<std::size_t>(section_begin(parameter, s)));
      std::ranges::copy_n(part.begin(), to.numel(), to.span<float>().begin());
    } else {
      kernels::copy(values, part_of(bucket.line, section.offsets[at], p.shape()));
    }
  }
  --bucket.missing;
  for (; next_ < buckets_.size() && buckets_[next_]->missing == 0; ++next_) sender_->send(*buckets_[next_]);
}

void GradientExchange::backward(Tape& tape, std::span<const Tensor> outputs, std::span<const Tensor> cotangents, std::int64_t place,
                                bool last) {
  if (options_.reduce == Reduce::ordered) {
    tree_.add({.first = place, .value = {parameters_.gradients(tape.backward(outputs, cotangents))}});
    return;
  }
  if (alone() || !last) {
    std::vector<Gradient> part = parameters_.gradients(tape.backward(outputs, cotangents));
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i].add(std::move(part[i]));
    return;
  }
  begin();
  tape.backward(outputs, cotangents, [this](std::uint64_t leaf, const Gradient& gradient) {
    const auto found = by_leaf_.find(leaf);
    if (found == by_leaf_.end()) return;
    const std::size_t i = found->second;
    sums_[i].add(gradient.to(parameters_.parameters()[i].dtype()));
    if (!overlaps(i)) return;
    if (!planned_) readiness_.push_back(i);
    ready(i, std::exchange(sums_[i], Gradient{}));
  });
}

std::vector<Gradient> GradientExchange::finish() {
  if (alone() && options_.reduce == Reduce::fast) return std::exchange(sums_, none(sums_.size()));
  return options_.reduce == Reduce::fast ? finish_fast() : finish_ordered();
}

std::vector<Gradient> GradientExchange::finish_fast() {
  const profile::Scope scope("exchange", profile::Kind::wait);
  if (!begun_) begin();  // a process without a piece
  for (std::size_t b = 0; b < buckets_.size(); ++b)
    for (std::size_t at = 0; at < buckets_[b]->parameters.size(); ++at)
      if (!buckets_[b]->arrived[at]) {
        const std::size_t i = buckets_[b]->parameters[at];
        ready(i, std::exchange(sums_[i], Gradient{}));
      }
  const double start = wall_seconds();
  sender_->wait();
  std::vector<Gradient> out = std::exchange(sums_, none(sums_.size()));
  exchange_tables(out);
  for (const auto& bucket : buckets_) {
    const Bucket::Section& mine = bucket->sections[gives_shares() ? static_cast<std::size_t>(comm_.rank()) : 0];
    for (std::size_t at = 0; at < bucket->parameters.size(); ++at) {
      const std::size_t i = bucket->parameters[at];
      const Shape shape = gives_shares() ? options_.shares->shape(i, comm_.rank()) : parameters_.parameters()[i].shape();
      if (bucket->presence(mine)[at] > 0) out[i] = part_of(bucket->line, mine.offsets[at], shape);
    }
  }
  if (!planned_) {
    // Every process takes the order that the first one has seen, and what it has not seen behind it.
    for (std::size_t i = 0; i < sums_.size(); ++i)
      if (overlaps(i) && std::ranges::find(readiness_, i) == readiness_.end()) readiness_.push_back(i);
    comm_.broadcast(std::as_writable_bytes(std::span(readiness_)), 0);
    planned_ = true;
    // The lines of this step's buckets live on in what is returned.
    plan(readiness_);
  }
  begun_ = false;
  wait_ += wall_seconds() - start;
  return out;
}

void GradientExchange::exchange_tables(std::vector<Gradient>& gradients) {
  std::vector<std::size_t> tables;
  std::vector<std::int64_t> mine;  // rows of each; -1: the whole table, -2: none
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!parameters_.parameters()[i].trainable() || overlaps(i)) continue;
    Gradient& g = gradients[i];
    if (g.defined() && g.is_sparse()) g = optim::coalesced(g);
    tables.push_back(i);
    mine.push_back(!g.defined() ? -2 : g.is_sparse() ? g.indices().numel() : -1);
  }
  if (tables.empty()) return;
  const auto all = comm_.gather(std::as_bytes(std::span(mine)));
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const Parameter& p = parameters_.parameters()[tables[t]];
    Gradient& g = gradients[tables[t]];
    std::int64_t rows = 0;
    bool any = false, dense = p.shape().rank() == 0;
    for (const auto& of : all) {
      std::int64_t n = 0;
      std::memcpy(&n, of.data() + t * sizeof n, sizeof n);
      any = any || n > -2;
      dense = dense || n == -1;
      rows += std::max<std::int64_t>(n, 0);
    }
    if (!any) continue;
    if (dense || 2 * rows >= p.size(0)) {
      g = sum_table(tables[t], g);
    } else {
      g = sum_rows(tables[t], g);
    }
  }
}

Gradient GradientExchange::sum_table(std::size_t parameter, const Gradient& mine) {
  const Parameter& p = parameters_.parameters()[parameter];
  const Tensor all = mine.defined() ? mine.to_dense().contiguous() : Tensor::zeros(p.shape(), p.dtype());
  const Tensor sum = all.clone();  // nobody else's memory changes
  if (p.dtype() == DType::f64) {
    comm_.sum(sum.span<double>());
  } else {
    std::vector<std::size_t> counts;
    for (int r = 0; gives_shares() && r < comm_.size(); ++r)
      counts.push_back(static_cast<std::size_t>(options_.shares->size(parameter, r)));
    sum_over_wire(comm_, sum.span<float>(), counts, options_.wire);
  }
  return gives_shares() ? options_.shares->of(parameter, comm_.rank(), sum) : sum;
}

Gradient GradientExchange::sum_rows(std::size_t parameter, const Gradient& mine) {
  const Parameter& p = parameters_.parameters()[parameter];
  std::vector<std::vector<std::byte>> arrived;
  if (gives_shares()) {
    std::vector<std::vector<std::byte>> to(static_cast<std::size_t>(comm_.size()));
    for (int r = 0; r < comm_.size(); ++r) {
      data::Packer share;
      put(share, options_.shares->of(parameter, r, mine));
      to[static_cast<std::size_t>(r)] = std::move(share).bytes();
    }
    arrived = exchange_bytes(comm_, to);
  } else {
    data::Packer all;
    put(all, mine);
    arrived = comm_.gather(std::move(all).bytes());
  }
  Gradient sum;
  for (const auto& of : arrived) {
    data::Unpacker from(of);
    sum.add(gradient_from(from, gives_shares() ? options_.shares->shape(parameter, comm_.rank()) : p.shape(), p.dtype()));
  }
  return sum;
}

std::vector<Gradient> GradientExchange::finish_ordered() {
  auto nodes = std::exchange(tree_, {}).nodes();
  if (alone()) {
    if (nodes.empty()) return none(sums_.size());
    SumTree<Gradients> whole;
    whole.nodes() = std::move(nodes);
    return whole.total().of;
  }
  const profile::Scope scope("exchange", profile::Kind::wait);
  const double start = wall_seconds();
  const std::vector<Holder> holders = holders_of(nodes);

  const auto forms = [&](std::size_t i) {
    std::vector<GradientForm> of;
    for (const Holder& h : holders) of.push_back(static_cast<GradientForm>(h.forms[i]));
    return of;
  };
  const auto in_line = [&](std::size_t i) {
    return parameters_.parameters()[i].dtype() == DType::f32 &&
           std::ranges::all_of(forms(i), [](GradientForm f) { return f == GradientForm::absent || f == GradientForm::dense; });
  };
  std::vector<Gradient> out(sums_.size());
  for (std::size_t i = 0; i < out.size();) {
    const std::vector<GradientForm> first = forms(i);
    std::vector<std::size_t> line{i++};
    if (std::ranges::all_of(first, [](GradientForm f) { return f == GradientForm::absent; })) continue;
    if (!in_line(line[0])) {
      out[line[0]] = sum_as_it_is(nodes, holders, line[0]);
      continue;
    }
    // Neighbours that the same nodes have travel together.
    constexpr std::int64_t kMost = 4 << 20;
    std::int64_t length = parameters_.parameters()[line[0]].value().numel();
    for (; i < out.size() && length < kMost && in_line(i) && forms(i) == first; ++i) {
      line.push_back(i);
      length += parameters_.parameters()[i].value().numel();
    }
    sum_line(nodes, holders, line, length, out);
  }
  wait_ += wall_seconds() - start;
  return out;
}

std::vector<GradientExchange::Holder> GradientExchange::holders_of(const Nodes& nodes) {
  data::Packer header;
  for (const auto& node : nodes) {
    header.put(node.first);
    header.put(node.count);
    for (const Gradient& g : node.value.of) header.put(static_cast<std::int64_t>(form_of(g)));
  }
  std::vector<Holder> holders;
  const auto headers = comm_.gather(std::move(header).bytes());
  for (std::size_t r = 0; r < headers.size(); ++r) {
    std::size_t number = 0;
    for (data::Unpacker from(headers[r]); !from.done(); ++number) {
      Holder holder{.first = from.get<std::int64_t>(), .rank = r, .number = number};
      holder.count = from.get<std::int64_t>();
      for (std::size_t i = 0; i < sums_.size(); ++i) holder.forms.push_back(from.get<std::int64_t>());
      holders.push_back(std::move(holder));
    }
  }
  std::ranges::sort(holders, {}, &Holder::first);
  return holders;
}

Gradient GradientExchange::sum_as_it_is(const Nodes& nodes, std::span<const Holder> holders, std::size_t parameter) {
  const Parameter& p = parameters_.parameters()[parameter];
  data::Packer mine;
  for (const auto& node : nodes) put(mine, node.value.of[parameter]);
  std::vector<std::vector<Gradient>> of_rank;
  for (const auto& its : comm_.gather(std::move(mine).bytes())) {
    of_rank.emplace_back();
    for (data::Unpacker from(its); !from.done();) of_rank.back().push_back(gradient_from(from, p.shape(), p.dtype()));
  }
  SumTree<Gradients> tree;
  for (const Holder& h : holders) tree.add({.first = h.first, .count = h.count, .value = {{of_rank[h.rank][h.number]}}});
  return std::move(tree.total().of[0]);
}

void GradientExchange::sum_line(const Nodes& nodes, std::span<const Holder> holders, std::span<const std::size_t> line, std::int64_t length,
                                std::vector<Gradient>& out) {
  const auto ranks = static_cast<std::size_t>(comm_.size()), me = static_cast<std::size_t>(comm_.rank());
  const auto begin = [&](std::size_t rank) { return static_cast<std::size_t>(length) * rank / ranks; };
  const auto size = [&](std::size_t rank) { return begin(rank + 1) - begin(rank); };
  const auto present = [&](const Holder& h) { return static_cast<GradientForm>(h.forms[line[0]]) == GradientForm::dense; };

  std::vector<std::vector<float>> to(ranks), from(ranks);
  const Tensor whole(Shape{length});
  for (const auto& node : nodes) {
    if (!node.value.of[line[0]].defined()) continue;
    std::int64_t offset = 0;
    for (const std::size_t i : line) {
      const Shape& shape = parameters_.parameters()[i].shape();
      kernels::copy(node.value.of[i].dense(), part_of(whole, offset, shape));
      offset += shape.numel();
    }
    for (std::size_t r = 0; r < ranks; ++r) {
      const auto part = whole.span<const float>().subspan(begin(r), size(r));
      to[r].insert(to[r].end(), part.begin(), part.end());
    }
  }
  for (const Holder& h : holders)
    if (present(h)) from[h.rank].resize(from[h.rank].size() + size(me));
  std::vector<std::span<const std::byte>> out_going;
  std::vector<std::span<std::byte>> in_coming;
  for (std::size_t r = 0; r < ranks; ++r) {
    out_going.push_back(std::as_bytes(std::span(to[r])));
    in_coming.push_back(std::as_writable_bytes(std::span(from[r])));
  }
  comm_.exchange(out_going, in_coming);

  SumTree<Floats> tree;
  std::vector<std::size_t> taken(ranks);
  for (const Holder& h : holders)
    if (present(h))
      tree.add({.first = h.first, .count = h.count, .value = {std::span(from[h.rank]).subspan(taken[h.rank]++ * size(me), size(me))}});
  const Tensor sum(Shape{length});
  std::ranges::copy(tree.total().values, sum.span<float>().subspan(begin(me), size(me)).begin());
  std::vector<std::size_t> counts;
  for (std::size_t r = 0; r < ranks; ++r) counts.push_back(size(r) * sizeof(float));
  comm_.gather_parts(std::as_writable_bytes(sum.span<float>()), counts);
  std::int64_t offset = 0;
  for (const std::size_t i : line) {
    const Shape& shape = parameters_.parameters()[i].shape();
    out[i] = part_of(sum, offset, shape);
    offset += shape.numel();
  }
}

}  // namespace capstan::engine
