#pragma once
// What the processes of a run must agree on, told by each to all: sums of a step, a stop, and that they do the same thing at all.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"
#include "recipes/engine/distributed/comm.h"

namespace capstan::engine {

/// What a piece of a step says, at its place (gradient_exchange.h).
struct PieceNumbers {
  std::int64_t place = 0;
  std::vector<double> numbers;  ///< as many for every piece
};
/// The pieces of all processes, in the order of their places.
std::vector<PieceNumbers> pieces_of_all(Comm& comm, std::span<const PieceNumbers> mine);
/// The sums over the pieces of all processes, added in the order of their places. `count` numbers.
std::vector<double> sum_pieces(Comm& comm, std::span<const PieceNumbers> mine, std::size_t count);

/// f32 [rows, columns] of each process, one below the other; undefined or of no rows where a process has none.
Tensor gather_rows(Comm& comm, const Tensor& mine);

/// Several processes: one stops when all do. Tells the others which signal this one has heard; what any has heard, all have
/// (system.h: stop_signal). Returns what rank 0 has asked, on all.
bool agree_on_stop(Comm& comm, bool asked = false);

/// The text that rank 0 has, on all.
std::string from_first(Comm& comm, std::string_view text);

/// The text of the first rank that has one; empty: none has.
std::string first_text(Comm& comm, std::string_view mine);

/// Throws ConfigError on every rank, naming the first one that differs from rank 0, and the first line that does, unless `text` is the same
/// on all. `what` names it: "the configuration".
void require_same(Comm& comm, std::string_view what, std::string_view text);

}  // namespace capstan::engine
