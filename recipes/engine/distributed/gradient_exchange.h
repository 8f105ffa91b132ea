#pragma once
// GradientExchange: the gradients of a step, summed over its pieces and over the processes that share them.
//
// A step computes one or more batches, each in parts() parts (recipe.h: Part), and a piece is one part of one batch. Its place, batch *
// parts() + part, is the same however many processes there are.
//
//   fast     a part for each process. Gradients travel in buckets, on a thread of their own, while backward goes on. Equal to one
//            process up to rounding
//   ordered  a number of parts that does not depend on the processes, summed by their places (gradient_tree.h): the same bits for any
//            number of processes. Nothing overlaps, and a batch in parts is slower than a whole one
//
// Tables whose gradient is row-sparse travel as the rows that were named, where these are fewer than half of the table, else as the table.
// With one process and `fast` nothing of this costs anything.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "autograd/core/gradient.h"
#include "autograd/core/tensor.h"
#include "autograd/tape/tape.h"
#include "nn/parameter_store.h"
#include "recipes/engine/distributed/comm.h"
#include "recipes/engine/distributed/gradient_tree.h"
#include "recipes/engine/distributed/reduce.h"
#include "recipes/engine/distributed/shares.h"

namespace capstan::engine {

struct ExchangeOptions {
  Reduce reduce = Reduce::fast;
  std::int64_t parts = 8;                    ///< of a batch, where they are summed in order
  DType wire = DType::f32;                   ///< f32 or bf16: of dense gradients while they travel, of fast; they are summed in f32
  const ParameterShares* shares = nullptr;   ///< with fast, each process gets the sums of its own share alone; null: of all
  bool whole_batches = false;                ///< each process computes batches of its own instead of parts of common ones
  std::size_t bucket_bytes = 4 << 20;        ///< of f32 gradients that travel together
  std::size_t first_bucket_bytes = 1 << 20;  ///< of those that are ready first, so that something travels early
};

class GradientExchange {
 public:
  GradientExchange(Comm& comm, const nn::ParameterStore& parameters, const ExchangeOptions& options = {});
  ~GradientExchange();
  GradientExchange(const GradientExchange&) = delete;
  GradientExchange& operator=(const GradientExchange&) = delete;

  Comm& comm() const { return comm_; }
  bool ordered() const { return options_.reduce == Reduce::ordered; }
  /// Parts of a batch; those of this process are first_part() .. end_part() - 1.
  std::int64_t parts() const;
  std::int64_t first_part() const;
  std::int64_t end_part() const;

  /// Runs backward over a piece and takes its gradients. Pieces come in the order of their places; `last`: no other follows in this step on
  /// this process.
  void backward(Tape& tape, std::span<const Tensor> outputs, std::span<const Tensor> cotangents, std::int64_t place, bool last);
  /// Whether what comes of a step are the gradients of this process's shares (shares.h), not of whole parameters.
  bool gives_shares() const { return options_.shares != nullptr && options_.reduce == Reduce::fast && !alone(); }
  /// The sums over all pieces of all processes, in the store's order and the parameters' types. Every process calls it once a step, also
  /// one without a piece. A gradient has the same form, absent, dense or rows, on all of them.
  std::vector<Gradient> finish();

  /// Seconds that finish() has waited for others or for bytes to travel since this began.
  double wait_seconds() const { return wait_; }

 private:
  /// The gradients of all parameters, as one value of a SumTree.
  struct Gradients {
    std::vector<Gradient> of;
    void add(Gradients other);
  };
  struct Bucket;
  class Sender;

  using Nodes = std::vector<TreeNode<Gradients>>;
  /// A node of some process: which of its nodes it is, and in which form the gradient of each parameter is there.
  struct Holder {
    std::int64_t first = 0, count = 0;
    std::size_t rank = 0, number = 0;
    std::vector<std::int64_t> forms = {};
  };

  bool alone() const { return comm_.size() == 1; }
  /// Whether the gradient of a parameter travels while backward goes on.
  bool overlaps(std::size_t parameter) const;
  /// The elements of a parameter that section `s` of a bucket holds: those of a process's share, or all.
  std::int64_t section_begin(std::size_t parameter, std::size_t s) const;
  std::int64_t section_end(std::size_t parameter, std::size_t s) const;
  void plan(std::span<const std::size_t> order);
  void begin();
  void ready(std::size_t parameter, const Gradient& gradient);
  std::vector<Gradient> finish_fast();
  std::vector<Gradient> finish_ordered();
  /// Sums what did not travel while backward went on.
  void exchange_tables(std::vector<Gradient>& gradients);
  Gradient sum_table(std::size_t parameter, const Gradient& mine);
  Gradient sum_rows(std::size_t parameter, const Gradient& mine);
  /// What the nodes of all processes hold, by place.
  std::vector<Holder> holders_of(const Nodes& nodes);
  Gradient sum_as_it_is(const Nodes& nodes, std::span<const Holder> holders, std::size_t parameter);
  /// The sums of dense gradients that the same nodes have: each process sums a part of the line of them all.
  void sum_line(const Nodes& nodes, std::span<const Holder> holders, std::span<const std::size_t> line, std::int64_t length,
                std::vector<Gradient>& out);

  Comm& comm_;
  const nn::ParameterStore& parameters_;
  ExchangeOptions options_;
  double wait_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> by_leaf_;
  std::vector<Gradient> sums_;          // of fast: pieces so far
  SumTree<Gradients> tree_;             // of ordered
  std::vector<std::size_t> readiness_;  // the order in which the first step's gradients were ready
  bool planned_ = false, begun_ = false;
  std::size_t next_ = 0;  // the first bucket that has not been sent
  std::vector<std::unique_ptr<Bucket>> buckets_;
  std::vector<std::pair<std::size_t, std::size_t>> place_of_;  // [parameters] bucket and number in it
  std::unique_ptr<Sender> sender_;
};

}  // namespace capstan::engine
