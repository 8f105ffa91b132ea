#pragma once
// Loader: makes batches ahead of time on worker threads and hands them out in order.
//
// A batch is made by a function of its position alone, so the number of workers and their timing never change what is delivered.
// At most `depth` batches exist at a time besides the one in use. The state to resume is position(). Not copyable; next() is for
// one consumer thread.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {

template <class Batch>
class Loader {
 public:
  /// Batches of the positions first .. last - 1. `make` is called from `workers` threads at once; with 0 workers from next().
  /// Throws what std::thread throws if the system has no more threads.
  Loader(std::function<Batch(std::int64_t)> make, std::int64_t first, std::int64_t last, int workers = 1, int depth = 4)
      : make_(std::move(make)), last_(last), position_(first), claimed_(first), released_(first) {
    require<ConfigError>(workers >= 0 && depth > 0, "loader: needs workers >= 0 and depth > 0, got ", workers, " and ", depth);
    if (workers == 0) return;
    slots_.resize(static_cast<std::size_t>(depth));
    try {
      for (int w = 0; w < workers; ++w) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  /// Waits for the batches being made right now; what is left of the range is never made.
  ~Loader() { stop(); }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch, or nothing at the end. An exception of `make` comes out here, in its place in the order; the loader stays
  /// there: each further call throws it again.
  std::optional<Batch> next() {
    if (position_ >= last_) return std::nullopt;
    const auto start = std::chrono::steady_clock::now();
    std::optional<Batch> batch = threads_.empty() ? std::optional<Batch>(make_(position_)) : take();
    wait_ += std::chrono::steady_clock::now() - start;
    ++position_;
    return batch;
  }
  /// Waits until next() would not, but no longer than this; whether it would not. Without workers it never waits.
  bool wait_for(std::chrono::milliseconds patience) {
    if (position_ >= last_ || threads_.empty()) return true;
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    const bool ready = made_.wait_for(lock, patience, [&] { return slot(position_).ready(); });
    wait_ += std::chrono::steady_clock::now() - start;
    return ready;
  }
  /// Position of the batch that next() delivers next.
  std::int64_t position() const { return position_; }
  /// Seconds spent waiting (without workers: making batches).
  double wait_seconds() const { return std::chrono::duration<double>(wait_).count(); }

 private:
  /// The batch of one position, in slot position % depth from when it is made until it is taken.
  struct Slot {
    std::optional<Batch> batch;
    std::exception_ptr error;
    bool ready() const { return batch || error; }
  };
  Slot& slot(std::int64_t position) { return slots_[static_cast<std::size_t>(position) % slots_.size()]; }
  std::int64_t depth() const { return static_cast<std::int64_t>(slots_.size()); }

  std::optional<Batch> take() {
    std::unique_lock lock(mutex_);
    Slot& s = slot(position_);
    made_.wait(lock, [&] { return s.ready(); });
    if (s.error) std::rethrow_exception(s.error);
    std::optional<Batch> batch = std::exchange(s.batch, std::nullopt);
    released_ = position_ + 1;
    free_.notify_one();
    return batch;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      free_.wait(lock, [&] { return stopping_ || claimed_ >= last_ || claimed_ < released_ + depth(); });
      if (stopping_ || claimed_ >= last_) return;
      const std::int64_t mine = claimed_++;
      lock.unlock();
      Slot made;
      try {
        made.batch.emplace(make_(mine));
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      slot(mine) = std::move(made);
      made_.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    free_.notify_all();
    threads_.clear();
  }

  std::function<Batch(std::int64_t)> make_;
  std::int64_t last_, position_;
  std::chrono::steady_clock::duration wait_{};

  std::mutex mutex_;
  std::condition_variable made_, free_;
  std::vector<Slot> slots_;
  std::int64_t claimed_;   // positions below are made or being made
  std::int64_t released_;  // positions below have been taken
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace capstan::data
