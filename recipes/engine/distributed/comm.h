#pragma once
// Comm: the processes that train together, and what they tell each other.
//
// Every process (rank 0 .. size() - 1) makes the same calls in the same order; each returns when this rank's part is done. One thread at a
// time calls. What arrives is the same bits on every rank. It is *not* concerned with what the numbers mean: gradients are
// gradient_exchange.h. Three kinds: a process alone (SelfComm), threads of one process, for tests (ThreadComm, thread_comm.h), and MPI
// (mpi_comm.h), the only place that knows it.
//
// Errors: a rank that fails on its own must call abort(), or the others wait for it. InternalError where ranks do not agree on sizes.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

class Comm {
 public:
  virtual ~Comm() = default;
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// The machine that a rank runs on.
  virtual std::string_view host(int rank) const = 0;
  /// What carries the bytes, in words: "Open MPI 4.1.4".
  virtual std::string transport() const = 0;

  virtual void barrier() = 0;
  /// `data` of `root` to all; sizes are equal on all ranks.
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  /// Element by element the sum over all ranks, to all.
  virtual void sum(std::span<float> data) = 0;
  virtual void sum(std::span<double> data) = 0;
  /// The same, but rank r gets part r alone, in its place: counts[r] elements, which follow each other. The other parts are then undefined.
  virtual void sum_parts(std::span<float> data, std::span<const std::size_t> counts) = 0;
  /// Part r of `data`, counts[r] bytes, of rank r to all.
  virtual void gather_parts(std::span<std::byte> data, std::span<const std::size_t> counts) = 0;
  /// What each rank has, by rank; sizes may differ and need not be known.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> mine) = 0;
  /// to[r] to rank r, and from[r] of it; from[r] on this rank has the size of this rank's part on r.
  virtual void exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) = 0;

  /// Ends all ranks, with this exit code where that can be had.
  [[noreturn]] virtual void abort(int exit_code) = 0;

 protected:
  Comm() = default;
};

/// The name of the machine that this process runs on.
const std::string& this_host();

/// A process that trains alone.
class SelfComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string_view host(int rank) const override;
  std::string transport() const override { return "one process"; }
  void barrier() override {}
  void broadcast(std::span<std::byte>, int) override {}
  void sum(std::span<float>) override {}
  void sum(std::span<double>) override {}
  void sum_parts(std::span<float>, std::span<const std::size_t>) override {}
  void gather_parts(std::span<std::byte>, std::span<const std::size_t>) override {}
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> mine) override;
  void exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) override;
  [[noreturn]] void abort(int exit_code) override;
};

/// The processes that were started together with this one, by mpirun or srun; alone, also where the program was built without MPI, in which
/// case being started together is a ConfigError. Call it once; the first and last thing that a process does with MPI happen here and at its
/// destruction.
std::unique_ptr<Comm> world();

}  // namespace capstan::engine
