#include "recipes/engine/distributed/mpi_comm.h"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "autograd/core/error.h"
#include "recipes/engine/distributed/parts.h"

namespace capstan::engine {
namespace {

using std::chrono::microseconds;

constexpr std::size_t kFewFloats = 256 << 10;  // that are summed in MPI's own ways
constexpr std::size_t kPiece = 4 << 20;        // floats of a part that travel at a time; small ones wait for each other on a network

class MpiComm final : public Comm {
 public:
  MpiComm(const Launch& launch, std::size_t most);
  ~MpiComm() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string_view host(int rank) const override { return hosts_[static_cast<std::size_t>(rank)]; }
  std::string transport() const override;

  void barrier() override { meet(Call::barrier, 0); }
  void broadcast(std::span<std::byte> data, int root) override;
  void sum(std::span<float> data) override;
  void sum(std::span<double> data) override { add_up(data, MPI_DOUBLE); }
  void sum_parts(std::span<float> data, std::span<const std::size_t> counts) override;
  void gather_parts(std::span<std::byte> data, std::span<const std::size_t> counts) override;
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> mine) override;
  void exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) override;
  [[noreturn]] void abort(int exit_code) override;

 private:
  /// Throws unless MPI reports success.
  void check(int code, const char* call) const;
  enum class Call : std::int64_t { barrier, broadcast, sum, sum_parts, gather_parts, gather, exchange };
  static std::string_view name_of(Call call);
  /// Returns when all ranks have called it. InternalError on all of them if they are not about to make the same call of the same size.
  void meet(Call call, std::size_t size);
  /// Calls f(first, count) for pieces that MPI can count.
  template <class F>
  void in_pieces(std::size_t total, const F& f) const {
    for (std::size_t first = 0; first < total; first += most_) f(first, static_cast<int>(std::min(most_, total - first)));
  }
  template <class T>
  void add_up(std::span<T> data, MPI_Datatype type);
  void send_all(std::span<std::byte> data, int root);
  /// To the rank so far behind this one, while something comes from the one so far before; nothing is no message.
  void trade(int distance, std::span<const std::byte> to, std::span<std::byte> from);
  template <class T>
  static std::span<T> piece_of(std::span<T> all, std::size_t first, std::size_t most) {
    all = all.subspan(std::min(first, all.size()));
    return all.first(std::min(most, all.size()));
  }
  static std::vector<int> ints(std::span<const std::size_t> values) { return {values.begin(), values.end()}; }

  std::size_t most_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::vector<std::string> hosts_;
};

MpiComm::MpiComm(const Launch& launch, std::size_t most) : most_(most) {
  int started = 0, given = MPI_THREAD_SINGLE;
  MPI_Initialized(&started);
  require<InternalError>(started == 0, "MPI has been initialised before: a process has one world()");
  // One thread at a time calls, but abort() comes from any, and finds others in a call.
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &given);  // ends the process on errors
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm_dup(MPI_COMM_WORLD, &comm_);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);

  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  MPI_Get_processor_name(name.data(), &length);
  for (const auto& host : gather(std::as_bytes(std::span(name.data(), static_cast<std::size_t>(length)))))
    hosts_.emplace_back(reinterpret_cast<const char*>(host.data()), host.size());

  const auto refuse = [](const auto&... why) {
    MPI_Finalize();
    throw ConfigError(join_text(why...));
  };
  if (launch.size && *launch.size != size_)
    refuse("the launcher started ", *launch.size, " processes (", launch.by, "), but MPI sees ", size_,
           ": it is a launcher of another MPI library, or one that knows none (with Slurm: srun --mpi=pmix)");
  if (given < MPI_THREAD_SERIALIZED)
    refuse(transport(), " cannot be called by more than one thread, which training needs: it was built without threads");
}

MpiComm::~MpiComm() {
  MPI_Comm_free(&comm_);
  MPI_Finalize();
}

std::string MpiComm::transport() const {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string all(text.data(),
                        static_cast<std::size_t>(length));  // "Open MPI v4.1.4, package: ...", "MPICH Version: 4.0.2\nMPICH ..."
  std::string name = all.substr(0, all.find_first_of(",\n"));
  if (const auto v = name.find(" v"); v != std::string::npos) name.erase(v + 1, 1);
  return name;
}

void MpiComm::check(int code, const char* call) const {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0, kind = 0;
  MPI_Error_string(code, text.data(), &length);
  MPI_Error_class(code, &kind);
  const auto rank = static_cast<std::size_t>(rank_);
  const std::string message = join_text(call, " failed on rank ", rank_, " (", rank < hosts_.size() ? hosts_[rank] : this_host(),
                                        "): ", std::string_view(text.data(), static_cast<std::size_t>(length)));
  require<InternalError>(kind != MPI_ERR_TRUNCATE, message, ": ranks do not agree on sizes");
  throw IoError(message);
}

std::string_view MpiComm::name_of(Call call) {
  switch (call) {
    case Call::barrier: return "barrier";
    case Call::broadcast: return "broadcast";
    case Call::sum: return "sum";
    case Call::sum_parts: return "sum_parts";
    case Call::gather_parts: return "gather_parts";
    case Call::gather: return "gather";
    case Call::exchange: return "exchange";
  }
  return "?";
}

void MpiComm::meet(Call call, std::size_t size) {
  // The largest and the least of what the ranks are about to do: the same, or they would wait in different calls for ever.
  const std::int64_t mine = static_cast<std::int64_t>(call) << 56 | static_cast<std::int64_t>(size);
  std::array<std::int64_t, 2> most{mine, -mine};
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallreduce(MPI_IN_PLACE, most.data(), 2, MPI_INT64_T, MPI_MAX, comm_, &request), "MPI_Iallreduce");
  const auto start = std::chrono::steady_clock::now();
  for (int done = 0;;) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done != 0) break;
    // A short wait is busy, for the others may be as good as there. Then it sleeps, so little that it adds a small part to the wait.
    const auto waited = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start);
    if (waited < microseconds(50))
      ::sched_yield();
    else
      std::this_thread::sleep_for(std::clamp(waited / 32, microseconds(10), microseconds(1000)));
  }
  require<InternalError>(most[0] == -most[1], "the ranks do not make the same call: rank ", rank_, " (", this_host(), ") is in ",
                         name_of(call), " of ", size, ", another one is not");
}

template <class T>
void MpiComm::add_up(std::span<T> data, MPI_Datatype type) {
  meet(Call::sum, data.size_bytes());
  in_pieces(data.size(), [&](std::size_t first, int count) {
    check(MPI_Allreduce(MPI_IN_PLACE, data.data() + first, count, type, MPI_SUM, comm_), "MPI_Allreduce");
  });
}

void MpiComm::send_all(std::span<std::byte> data, int root) {
  in_pieces(data.size(),
            [&](std::size_t first, int count) { check(MPI_Bcast(data.data() + first, count, MPI_BYTE, root, comm_), "MPI_Bcast"); });
}

void MpiComm::trade(int distance, std::span<const std::byte> to, std::span<std::byte> from) {
  const int target = (rank_ + distance) % size_, source = (rank_ - distance + size_) % size_;
  check(MPI_Sendrecv(to.data(), static_cast<int>(to.size()), MPI_BYTE, to.empty() ? MPI_PROC_NULL : target, 0, from.data(),
                     static_cast<int>(from.size()), MPI_BYTE, from.empty() ? MPI_PROC_NULL : source, 0, comm_, MPI_STATUS_IGNORE),
        "MPI_Sendrecv");
}

void MpiComm::broadcast(std::span<std::byte> data, int root) {
  check_root("broadcast", root, size_);
  meet(Call::broadcast, data.size());
  send_all(data, root);
}

void MpiComm::sum_parts(std::span<float> data, std::span<const std::size_t> counts) {
  const auto offsets = part_offsets("sum_parts", data.size(), counts, size_);
  meet(Call::sum_parts, data.size());
  const auto own = static_cast<std::size_t>(rank_);
  if (data.size() <= std::min(most_, kFewFloats)) {
    check(MPI_Reduce_scatter(MPI_IN_PLACE, data.data(), ints(counts).data(), MPI_FLOAT, MPI_SUM, comm_), "MPI_Reduce_scatter");
    // In place means: at the beginning.
    if (counts[own] > 0) std::memmove(data.data() + offsets[own], data.data(), counts[own] * sizeof(float));
    return;
  }
  // Open MPI takes memory for all of it twice. Of what goes straight to the rank that sums it, some is here at a time.
  const std::size_t most = std::min(most_, kPiece);
  const std::span<float> sum = data.subspan(offsets[own], counts[own]);
  std::vector<float> arrived(std::min(most, counts[own]));
  for (int distance = 1; distance < size_; ++distance) {
    const auto target = static_cast<std::size_t>((rank_ + distance) % size_);
    const std::span<const float> to = data.subspan(offsets[target], counts[target]);
    for (std::size_t at = 0; at < std::max(to.size(), sum.size()); at += most) {
      const std::span<float> mine = piece_of(sum, at, most);
      trade(distance, std::as_bytes(piece_of(to, at, most)), std::as_writable_bytes(std::span(arrived).first(mine.size())));
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] += arrived[i];
    }
  }
}

void MpiComm::sum(std::span<float> data) {
  if (data.size() <= kFewFloats) return add_up(data, MPI_FLOAT);
  // MPI_Allreduce of Open MPI takes memory for all of it, and between two ranks sends one way at a time.
  const auto ranks = static_cast<std::size_t>(size_);
  std::vector<std::size_t> counts, bytes;
  for (std::size_t r = 0; r < ranks; ++r) {
    counts.push_back(data.size() * (r + 1) / ranks - data.size() * r / ranks);
    bytes.push_back(counts.back() * sizeof(float));
  }
  sum_parts(data, counts);
  gather_parts(std::as_writable_bytes(data), bytes);
}

void MpiComm::gather_parts(std::span<std::byte> data, std::span<const std::size_t> counts) {
  const auto offsets = part_offsets("gather_parts", data.size(), counts, size_);
  meet(Call::gather_parts, data.size());
  if (data.size() <= std::min(most_, kFewFloats * sizeof(float))) {
    check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data.data(), ints(counts).data(), ints(offsets).data(), MPI_BYTE, comm_),
          "MPI_Allgatherv");
    return;
  }
  const auto own = static_cast<std::size_t>(rank_);
  const std::span<const std::byte> mine = data.subspan(offsets[own], counts[own]);
  for (int distance = 1; distance < size_; ++distance) {
    const auto source = static_cast<std::size_t>((rank_ - distance + size_) % size_);
    const std::span<std::byte> from = data.subspan(offsets[source], counts[source]);
    for (std::size_t at = 0; at < std::max(mine.size(), from.size()); at += most_)
      trade(distance, piece_of(mine, at, most_), piece_of(from, at, most_));
  }
}

std::vector<std::vector<std::byte>> MpiComm::gather(std::span<const std::byte> mine) {
  meet(Call::gather, 0);
  const auto count = static_cast<std::size_t>(size_), own = static_cast<std::size_t>(rank_);
  std::vector<std::uint64_t> sizes(count);
  sizes[own] = mine.size();
  check(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, sizes.data(), 1, MPI_UINT64_T, comm_), "MPI_Allgather");
  std::vector<std::vector<std::byte>> all(count);
  for (std::size_t r = 0; r < count; ++r) all[r].resize(sizes[r]);
  std::ranges::copy(mine, all[own].begin());
  std::size_t total = 0;
  for (const std::uint64_t size : sizes) total += size;
  if (total > most_) {
    for (int root = 0; root < size_; ++root) send_all(all[static_cast<std::size_t>(root)], root);
    return all;
  }
  const std::vector<std::size_t> counts(sizes.begin(), sizes.end()), offsets = part_offsets("gather", total, counts, size_);
  std::vector<std::byte> joined(total);
  check(MPI_Allgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, joined.data(), ints(counts).data(), ints(offsets).data(),
                       MPI_BYTE, comm_),
        "MPI_Allgatherv");
  for (std::size_t r = 0; r < count; ++r) std::copy_n(joined.begin() + static_cast<std::ptrdiff_t>(offsets[r]), counts[r], all[r].begin());
  return all;
}

void MpiComm::exchange(std::span<const std::span<const std::byte>> to, std::span<const std::span<std::byte>> from) {
  check_exchange(to, from, rank_, size_);
  meet(Call::exchange, 0);
  const auto own = static_cast<std::size_t>(rank_);
  std::ranges::copy(to[own], from[own].begin());
  struct Receipt {
    int rank, expected;
  };
  std::vector<MPI_Request> requests;
  std::vector<Receipt> receipts;
  // A part of no bytes is a message, too: its neighbour may expect some.
  const auto pieces = [&](std::size_t total, const auto& f) {
    if (total == 0)
      f(std::size_t{0}, 0);
    else
      in_pieces(total, f);
  };
  // Each begins with its neighbour, so that not all send to the same rank at once.
  for (int distance = 1; distance < size_; ++distance) {
    const int source = (rank_ - distance + size_) % size_;
    const std::span<std::byte> place = from[static_cast<std::size_t>(source)];
    pieces(place.size(), [&](std::size_t first, int count) {
      receipts.push_back({source, count});
      check(MPI_Irecv(place.data() + first, count, MPI_BYTE, source, 0, comm_, &requests.emplace_back()), "MPI_Irecv");
    });
  }
  for (int distance = 1; distance < size_; ++distance) {
    const int target = (rank_ + distance) % size_;
    const std::span<const std::byte> part = to[static_cast<std::size_t>(target)];
    pieces(part.size(), [&](std::size_t first, int count) {
      check(MPI_Isend(part.data() + first, count, MPI_BYTE, target, 0, comm_, &requests.emplace_back()), "MPI_Isend");
    });
  }
  std::vector<MPI_Status> statuses(requests.size());
  if (const int code = MPI_Waitall(static_cast<int>(requests.size()), requests.data(), statuses.data()); code == MPI_ERR_IN_STATUS) {
    for (const MPI_Status& status : statuses)
      if (status.MPI_ERROR != MPI_ERR_PENDING) check(status.MPI_ERROR, "MPI_Waitall");
  } else {
    check(code, "MPI_Waitall");
  }
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    int received = 0;
    MPI_Get_count(&statuses[i], MPI_BYTE, &received);
    require<InternalError>(received == receipts[i].expected, "exchange: rank ", receipts[i].rank, " sends rank ", rank_, ' ', received,
                           " bytes, and that expects ", receipts[i].expected);
  }
}

void MpiComm::abort(int exit_code) {
  // Where the others cannot be reached MPI_Abort may wait for them.
  std::thread([exit_code] {
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::_Exit(exit_code);
  }).detach();
  MPI_Abort(comm_, exit_code);
  std::_Exit(exit_code);
}

}  // namespace

std::unique_ptr<Comm> mpi_world(const Launch& launch, std::size_t most) { return std::make_unique<MpiComm>(launch, most); }

}  // namespace capstan::engine
