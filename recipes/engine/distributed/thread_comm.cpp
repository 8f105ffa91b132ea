#include "recipes/engine/distributed/thread_comm.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/parts.h"

namespace capstan::engine {
namespace {

/// What a rank brings to a call.
struct Offer {
  std::string_view call;
  std::size_t elements = 0;           // the same on all ranks
  int root = 0;                       // the same on all ranks
  std::vector<std::size_t> counts{};  // the same on all ranks
  std::span<const std::byte> bytes{};
  std::span<const std::span<const std::byte>> to{};
  std::span<const std::span<std::byte>> from{};
};

/// Where the ranks meet, twice a call: when all offers are there, and when all have been read.
class Meeting {
 public:
  explicit Meeting(int ranks) : offers_(static_cast<std::size_t>(ranks)), ended_(offers_.size()) {}

  int ranks() const { return static_cast<int>(offers_.size()); }

  /// Puts the offer where the others can read it until they have all called leave().
  void enter(int rank, Offer offer) {
    std::unique_lock lock(mutex_);
    const std::string_view call = offer.call;
    throw_if_broken(call);
    offers_[index(rank)] = std::move(offer);
    const std::uint64_t round = round_;
    if (arrive()) {
      disagreement_ = disagreement();
      if (disagreement_.empty()) ++round_;
    }
    changed_.wait(lock, [&] { return round_ != round || broken(); });
    if (round_ != round) return;
    throw_if_broken(call);
    const auto gone = std::ranges::find(ended_, true) - ended_.begin();
    throw InternalError(join_text(call, ": rank ", rank, " waits for rank ", gone, ", which has returned"));
  }

  /// Waits until nobody reads this rank's offer any more.
  void leave(int rank) {
    std::unique_lock lock(mutex_);
    const std::uint64_t round = round_;
    if (arrive()) ++round_;
    // A rank that fails while it reads never arrives. The others still do.
    changed_.wait(lock, [&] { return round_ != round || arrived_ + std::ranges::count(ended_, true) == ranks(); });
    if (round_ == round) throw_if_broken(offers_[index(rank)].call);
  }
  const Offer& offer(int rank) const { return offers_[index(rank)]; }

  /// A rank has come to its end, with an exception or without.
  void end(int rank, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    ended_[index(rank)] = true;
    if (error && !error_) error_ = std::move(error);
    changed_.notify_all();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }

  /// True for the last one.
  bool arrive() {
    const bool last = ++arrived_ == ranks();
    if (last) {
      arrived_ = 0;
      changed_.notify_all();
    }
    return last;
  }
  bool broken() const { return error_ || !disagreement_.empty() || std::ranges::count(ended_, true) > 0; }
  void throw_if_broken(std::string_view call) const {
    require<InternalError>(disagreement_.empty(), disagreement_);
    require<Error>(!error_, call, ": another rank has failed");
  }

  std::string disagreement() const {
    const Offer& first = offers_[0];
    for (int r = 1; r < ranks(); ++r) {
      const Offer& other = offers_[index(r)];
      if (other.call != first.call) return join_text("rank 0 calls ", first.call, " and rank ", r, ' ', other.call);
      if (other.elements != first.elements)
        return join_text(first.call, ": sizes must be equal on all ranks: ", first.elements, " on rank 0, ", other.elements, " on rank ",
                         r);
      if (other.root != first.root)
        return join_text(first.call, ": the root must be the same on all ranks: ", first.root, " on rank 0, ", other.root, " on rank ", r);
      if (other.counts != first.counts)
        return join_text(first.call, ": the parts must be the same on all ranks, and are not on ranks 0 and ", r);
    }
    for (int r = 0; r < ranks() && !first.to.empty(); ++r)
      for (int s = 0; s < ranks(); ++s) {
        const std::size_t sent = offers_[index(s)].to[index(r)].size(), expected = offers_[index(r)].from[index(s)].size();
        if (sent != expected) return join_text("exchange: rank ", s, " sends rank ", r, ' ', sent, " bytes, and that expects ", expected);
      }
    return "";
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Offer> offers_;
  std::vector<bool> ended_;
  std::exception_ptr error_;
  std::string disagreement_;
  std::uint64_t round_ = 0;
  int arrived_ = 0;
};

class ThreadComm final : public Comm {
 public:
  ThreadComm(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_.ranks(); }
  std::string_view host(int) const override { return this_host(); }
  std::string transport() const override { return "threads of one process"; }

  void barrier() override {
    meeting_.enter(rank_, {.call = "barrier"});
    meeting_.leave(rank_);
  }

  void broadcast(std::span<std::byte> data, int root) override {
    check_root("broadcast", root, size());
    meeting_.enter(rank_, {.call = "broadcast", .elements = data.size(), .root = root, .bytes = data});
    if (rank_ != root) std::ranges::copy(meeting_.offer(root).bytes, data.begin());
    meeting_.leave(rank_);
  }

  void sum(std::span<float> data) override { add_up(data); }
  void sum(std::span<double> data) override { add_up(data); }

  void sum_parts(std::span<float> data, std::span<const std::size_t> counts) override {
    const auto offsets = part_offsets("sum_parts", data.size(), counts, size());
    meeting_.enter(rank_,
                   {.call = "sum_parts", .elements = data.size(), .counts = {counts.begin(), counts.end()}, .bytes = std::as_bytes(data)});
    const auto own = static_cast<std::size_t>(rank_);
    const std::vector<float> total = total_of<float>(offsets[own], counts[own]);
    meeting_.leave(rank_);
    std::ranges::fill(data, std::numeric_limits<float>::quiet_NaN());  // undefined: seen by who reads it anyway
    std::ranges::copy(total, data.begin() + static_cast<std::ptrdiff_t>(offsets[own]));
  }

  void gather_parts(std::span<std::byte> data, std::span<const std::size_t> counts) override {
    const auto offsets = part_offsets("gather_parts", data.size(), counts, size());
    meeting_.enter(rank_, {.call = "gather_parts", .elements = data.size(), .counts = {counts.begin(), counts.end()}, .bytes = data});
    for (int r = 0; r < size(); ++r) {
      const auto i = static_cast<std::size_t>(r);
      if (r != rank_)
        std::ranges::copy(meeting_.offer(r).bytes.subspan(offsets[i], counts[i]), data.begin() + static_cast<std::ptrdiff_t>(offsets[i]));
    }
    meeting_.leave(rank_);
  }

  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> mine) override {
    meeting_.enter(rank_, {.call = "gather", .bytes = mine});
    std::vector<std::vector<std::byte>> all;
    for (int r = 0; r < size(); ++r) all.emplace_back(meeting_.offer(r).bytes.begin(), meeting_.offer(r).bytes.end());
    meeting_.leave(rank_);
    return all;
  }

  void exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) override {
    check_exchange(to, from, rank_, size());
    meeting_.enter(rank_, {.call = "exchange", .to = to, .from = from});
    for (int r = 0; r < size(); ++r)
      std::ranges::copy(meeting_.offer(r).to[static_cast<std::size_t>(rank_)], from[static_cast<std::size_t>(r)].begin());
    meeting_.leave(rank_);
  }

  [[noreturn]] void abort(int exit_code) override {
    meeting_.end(rank_, std::make_exception_ptr(RankAborted(rank_, exit_code)));
    throw RankAborted(rank_, exit_code);
  }

 private:
  /// The sums over all ranks of a range of elements, in the order of the ranks.
  template <class T>
  std::vector<T> total_of(std::size_t begin, std::size_t count) const {
    std::vector<T> total(count), next(count);
    for (int r = 0; r < size(); ++r) {
      if (count == 0) break;  // memcpy of nothing wants pointers all the same
      std::memcpy(next.data(), meeting_.offer(r).bytes.data() + begin * sizeof(T), count * sizeof(T));
      if (r == 0)
        total = next;
      else
        std::ranges::transform(total, next, total.begin(), std::plus<>());
    }
    return total;
  }
  template <class T>
  void add_up(std::span<T> data) {
    meeting_.enter(rank_,
                   {.call = sizeof(T) == 4 ? "sum of floats" : "sum of doubles", .elements = data.size(), .bytes = std::as_bytes(data)});
    const std::vector<T> total = total_of<T>(0, data.size());
    meeting_.leave(rank_);
    std::ranges::copy(total, data.begin());
  }

  Meeting& meeting_;
  int rank_;
};

}  // namespace

RankAborted::RankAborted(int rank, int exit_code)
    : rank_(rank), exit_code_(exit_code), text_(join_text("rank ", rank, " has ended the run with code ", exit_code)) {}

void run_ranks(int ranks, const std::function<void(Comm&)>& body) {
  require<ArgumentError>(ranks >= 1, "run_ranks: at least one rank, not ", ranks);
  Meeting meeting(ranks);
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < ranks; ++r)
      threads.emplace_back([&, r] {
        std::exception_ptr error;
        try {
          ThreadComm comm(meeting, r);
          body(comm);
        } catch (...) {
          error = std::current_exception();
        }
        meeting.end(r, error);
      });
  }
  meeting.rethrow();
}

}  // namespace capstan::engine
