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
#include "optim/coalesce.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// How a gradient travels.
enum class Form : std::int64_t { absent, dense, rows, unique_rows };

Form form_of(const Gradient& g) {
  if (!g.defined()) return Form::absent;
  if (g.is_sparse()) return g.has_unique_rows() ? Form::unique_rows : Form::rows;
  return Form::dense;
}

/// Without slices, which are of few elements and rarely the last word about a parameter.
Gradient settled(Gradient g) { return g.is_slice() ? Gradient(g.to_dense()) : std::move(g); }

void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void append(std::vector<std::byte>& to, std::int64_t number) { append(to, std::as_bytes(std::span(&number, 1))); }
void append(std::vector<std::byte>& to, const Tensor& t) {
  const Tensor straight = t.contiguous();
  const auto* first = reinterpret_cast<const std::byte*>(straight.storage().data()) +
                      static_cast<std::size_t>(straight.layout().offset()) * size_of(straight.dtype());
  append(to, std::span(first, static_cast<std::size_t>(straight.numel()) * size_of(straight.dtype())));
}

/// Takes apart what append has put together.
class Parcel {
 public:
  explicit Parcel(std::span<const std::byte> bytes) : left_(bytes) {}
  bool empty() const { return left_.empty(); }
  std::int64_t number() {
    std::int64_t out = 0;
    std::memcpy(&out, take(sizeof out).data(), sizeof out);
    return out;
  }
  Tensor tensor(const Shape& shape, DType dtype) {
    Tensor out(shape, dtype);
    const auto bytes = take(static_cast<std::size_t>(shape.numel()) * size_of(dtype));
    std::memcpy(out.storage().data(), bytes.data(), bytes.size());
    return out;
  }

 private:
  std::span<const std::byte> take(std::size_t count) {
    require<InternalError>(count <= left_.size(), "exchange: a message ends early: ", count, " bytes wanted, ", left_.size(), " there");
    const auto out = left_.first(count);
    left_ = left_.subspan(count);
    return out;
  }
  std::span<const std::byte> left_;
};

void append(std::vector<std::byte>& to, const Gradient& g) {
  const Form form = form_of(g);
  append(to, static_cast<std::int64_t>(form));
  if (form == Form::absent) return;
  if (form == Form::dense) return append(to, g.dense());
  append(to, g.indices().numel());
  append(to, g.indices());
  append(to, g.row_values());
}

Gradient gradient_from(Parcel& parcel, const Shape& shape, DType dtype) {
  const Form form = static_cast<Form>(parcel.number());
  if (form == Form::absent) return {};
  if (form == Form::dense) return parcel.tensor(shape, dtype);
  const std::int64_t rows = parcel.number();
  Tensor indices = parcel.tensor(Shape{rows}, DType::i64);
  return Gradient::rows(std::move(indices), parcel.tensor(shape.with(0, rows), dtype), shape, form == Form::unique_rows);
}

/// The part of a line of `shape` elements that begins at `offset`, as a tensor of that shape.
Tensor part_of(const Tensor& line, std::int64_t offset, const Shape& shape) {
  return line.view(*line.layout().slice(0, offset, shape.numel()).reshape(shape));
}

std::vector<Gradient> none(std::size_t count) { return std::vector<Gradient>(count); }

/// The sum over all processes of what travels in bf16: each sums a part in f32, which travels rounded again.
void sum_in_bf16(Comm& comm, std::span<float> line) {
  const auto ranks = static_cast<std::size_t>(comm.size()), me = static_cast<std::size_t>(comm.rank());
  const auto begin = [&](std::size_t rank) { return line.size() * rank / ranks; };
  const auto size = [&](std::size_t rank) { return begin(rank + 1) - begin(rank); };
  std::vector<bfloat16> narrow(line.size()), arrived(ranks * size(me));
  std::ranges::transform(line, narrow.begin(), [](float v) { return bfloat16(v); });
  std::vector<std::span<const std::byte>> to;
  std::vector<std::span<std::byte>> from;
  std::vector<std::size_t> bytes;
  for (std::size_t r = 0; r < ranks; ++r) {
    to.push_back(std::as_bytes(std::span(narrow).subspan(begin(r), size(r))));
    from.push_back(std::as_writable_bytes(std::span(arrived).subspan(r * size(me), size(me))));
    bytes.push_back(size(r) * sizeof(bfloat16));
  }
  comm.exchange(to, from);
  for (std::size_t i = 0; i < size(me); ++i) {
    float sum = 0;
    for (std::size_t r = 0; r < ranks; ++r) sum += static_cast<float>(arrived[r * size(me) + i]);
    narrow[begin(me) + i] = bfloat16(sum);
  }
  comm.gather_parts(std::as_writable_bytes(std::span(narrow)), bytes);
  std::ranges::transform(narrow, line.begin(), [](bfloat16 v) { return static_cast<float>(v); });
}

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

/// Dense gradients that travel together, one behind the other, and behind them for each how many processes had one.
struct GradientExchange::Bucket {
  std::vector<std::size_t> parameters;
  std::vector<std::int64_t> offsets;
  Tensor line;  // f32
  std::size_t missing = 0;

  std::int64_t count() const { return static_cast<std::int64_t>(parameters.size()); }
  float* presence() const { return line.data<float>() + (line.numel() - count()); }
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
        if (wire_ == DType::bf16) {
          sum_in_bf16(comm_, bucket.line.span<float>());
        } else {
          comm_.sum(bucket.line.span<float>());
        }
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
    bucket.offsets.push_back(floats);
    floats += parameters_.parameters()[i].value().numel();
  }
  for (const auto& bucket : buckets_) {
    const Parameter& last = parameters_.parameters()[bucket->parameters.back()];
    bucket->line = Tensor(Shape{bucket->offsets.back() + last.value().numel() + bucket->count()});
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
    std::fill_n(bucket->presence(), bucket->count(), -1.0f);
  }
}

void GradientExchange::ready(std::size_t parameter, Gradient gradient) {
  const auto [number, at] = place_of_[parameter];
  Bucket& bucket = *buckets_[number];
  float& presence = bucket.presence()[at];
  require<InternalError>(presence < 0, "exchange: the gradient of ", parameters_.parameters()[parameter].name(), " came twice in a step");
  const Tensor to = part_of(bucket.line, bucket.offsets[at], parameters_.parameters()[parameter].shape());
  presence = gradient.defined() ? 1 : 0;
  if (gradient.defined()) {
    kernels::copy(gradient.to(DType::f32).to_dense(), to);
  } else {
    std::ranges::fill(to.span<float>(), 0.0f);
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
  tape.backward(outputs, cotangents, [this](std::uint64_t leaf, Gradient gradient) {
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
      if (buckets_[b]->presence()[at] < 0) {
        const std::size_t i = buckets_[b]->parameters[at];
        ready(i, std::exchange(sums_[i], Gradient{}));
      }
  const double start = wall_seconds();
  sender_->wait();
  std::vector<Gradient> out = std::exchange(sums_, none(sums_.size()));
  exchange_tables(out);
  for (const auto& bucket : buckets_)
    for (std::size_t at = 0; at < bucket->parameters.size(); ++at) {
      const std::size_t i = bucket->parameters[at];
      if (bucket->presence()[at] > 0) out[i] = part_of(bucket->line, bucket->offsets[at], parameters_.parameters()[i].shape());
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
      const Tensor sum = g.defined() ? Gradient(g.to_dense()).dense().contiguous() : Tensor::zeros(p.shape(), p.dtype());
      const Tensor own = sum.clone();  // nobody else's memory changes
      if (p.dtype() == DType::f32) {
        comm_.sum(own.span<float>());
      } else {
        comm_.sum(own.span<double>());
      }
      g = own;
      continue;
    }
    std::vector<std::byte> bytes;
    append(bytes, g);
    Gradient sum;
    for (const auto& of : comm_.gather(bytes)) {
      Parcel parcel(of);
      sum.add(gradient_from(parcel, p.shape(), p.dtype()));
    }
    g = std::move(sum);
  }
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
    std::vector<Form> of;
    for (const Holder& h : holders) of.push_back(static_cast<Form>(h.forms[i]));
    return of;
  };
  const auto in_line = [&](std::size_t i) {
    return parameters_.parameters()[i].dtype() == DType::f32 &&
           std::ranges::all_of(forms(i), [](Form f) { return f == Form::absent || f == Form::dense; });
  };
  std::vector<Gradient> out(sums_.size());
  for (std::size_t i = 0; i < out.size();) {
    const std::vector<Form> first = forms(i);
    std::vector<std::size_t> line{i++};
    if (std::ranges::all_of(first, [](Form f) { return f == Form::absent; })) continue;
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
  std::vector<std::byte> header;
  for (const auto& node : nodes) {
    append(header, node.first);
    append(header, node.count);
    for (const Gradient& g : node.value.of) append(header, static_cast<std::int64_t>(form_of(g)));
  }
  std::vector<Holder> holders;
  const auto headers = comm_.gather(header);
  for (std::size_t r = 0; r < headers.size(); ++r) {
    std::size_t number = 0;
    for (Parcel parcel(headers[r]); !parcel.empty(); ++number) {
      Holder holder{.first = parcel.number(), .rank = r, .number = number};
      holder.count = parcel.number();
      for (std::size_t i = 0; i < sums_.size(); ++i) holder.forms.push_back(parcel.number());
      holders.push_back(std::move(holder));
    }
  }
  std::ranges::sort(holders, {}, &Holder::first);
  return holders;
}

Gradient GradientExchange::sum_as_it_is(const Nodes& nodes, std::span<const Holder> holders, std::size_t parameter) {
  const Parameter& p = parameters_.parameters()[parameter];
  std::vector<std::byte> bytes;
  for (const auto& node : nodes) append(bytes, node.value.of[parameter]);
  std::vector<std::vector<Gradient>> of_rank;
  for (const auto& parcels : comm_.gather(bytes)) {
    of_rank.emplace_back();
    for (Parcel parcel(parcels); !parcel.empty();) of_rank.back().push_back(gradient_from(parcel, p.shape(), p.dtype()));
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
  const auto present = [&](const Holder& h) { return static_cast<Form>(h.forms[line[0]]) == Form::dense; };

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
