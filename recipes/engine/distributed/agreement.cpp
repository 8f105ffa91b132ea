#include "recipes/engine/distributed/agreement.h"

#include <algorithm>
#include <cstring>

#include "autograd/core/error.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

std::string_view line_of(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string_view text_of(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

std::vector<PieceNumbers> pieces_of_all(Comm& comm, std::span<const PieceNumbers> mine) {
  std::vector<PieceNumbers> pieces(mine.begin(), mine.end());
  if (comm.size() > 1) {
    // How many numbers a piece has; then for each its place and these.
    std::vector<double> rows{mine.empty() ? 0.0 : static_cast<double>(mine[0].numbers.size())};
    for (const PieceNumbers& piece : mine) {
      rows.push_back(static_cast<double>(piece.place));
      rows.insert(rows.end(), piece.numbers.begin(), piece.numbers.end());
    }
    pieces.clear();
    for (const std::vector<std::byte>& bytes : comm.gather(std::as_bytes(std::span(rows)))) {
      std::vector<double> of(bytes.size() / sizeof(double));
      std::memcpy(of.data(), bytes.data(), bytes.size());
      const auto count = static_cast<std::ptrdiff_t>(of[0]);
      for (auto at = of.begin() + 1; at != of.end(); at += 1 + count)
        pieces.push_back({.place = static_cast<std::int64_t>(*at), .numbers = {at + 1, at + 1 + count}});
    }
  }
  std::ranges::stable_sort(pieces, {}, &PieceNumbers::place);
  return pieces;
}

std::vector<double> sum_pieces(Comm& comm, std::span<const PieceNumbers> mine, std::size_t count) {
  std::vector<double> sums(count);
  for (const PieceNumbers& piece : pieces_of_all(comm, mine)) {
    require<InternalError>(piece.numbers.size() == count, "exchange: a piece has ", piece.numbers.size(), " numbers, not ", count);
    for (std::size_t k = 0; k < count; ++k) sums[k] += piece.numbers[k];
  }
  return sums;
}

Tensor gather_rows(Comm& comm, const Tensor& mine) {
  if (comm.size() == 1) return mine;
  std::vector<std::byte> bytes(sizeof(std::int64_t));
  const std::int64_t width = mine.defined() ? mine.size(1) : 0;
  std::memcpy(bytes.data(), &width, sizeof width);
  if (mine.defined()) {
    const Tensor straight = mine.contiguous();
    const auto values = std::as_bytes(straight.span<const float>());
    bytes.insert(bytes.end(), values.begin(), values.end());
  }
  std::int64_t columns = 0;
  std::vector<float> rows;
  for (const auto& of : comm.gather(bytes)) {
    std::int64_t its = 0;
    std::memcpy(&its, of.data(), sizeof its);
    columns = std::max(columns, its);
    const std::size_t before = rows.size();
    rows.resize(before + (of.size() - sizeof its) / sizeof(float));
    if (of.size() > sizeof its) std::memcpy(rows.data() + before, of.data() + sizeof its, of.size() - sizeof its);
  }
  return Tensor::from(rows, Shape{columns == 0 ? 0 : static_cast<std::int64_t>(rows.size()) / columns, columns});
}

bool agree_on_stop(Comm& comm, bool asked) {
  struct Word {
    int signal = 0, asked = 0;
  };
  const Word mine{heard_signal(), asked ? 1 : 0};
  const auto all = comm.gather(std::as_bytes(std::span(&mine, 1)));
  int any = 0;
  Word word;
  for (std::size_t r = all.size(); r-- > 0;) {
    std::memcpy(&word, all[r].data(), sizeof word);
    any = std::max(any, word.signal);
  }
  agree_on_signal(any);
  return word.asked != 0;
}

std::string from_first(Comm& comm, std::string_view text) {
  std::uint64_t size = text.size();
  comm.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  std::string out(text);
  out.resize(size);
  comm.broadcast(std::as_writable_bytes(std::span(out)), 0);
  return out;
}

std::string first_text(Comm& comm, std::string_view mine) {
  double any = mine.empty() ? 0 : 1;
  comm.sum(std::span(&any, 1));
  if (any == 0) return "";  // as nearly always, at the price of one number
  for (const auto& text : comm.gather(std::as_bytes(std::span(mine))))
    if (!text.empty()) return std::string(text_of(text));
  return "";
}

void require_same(Comm& comm, std::string_view what, std::string_view text) {
  if (comm.size() == 1) return;
  const auto all = comm.gather(std::as_bytes(std::span(text)));
  for (int r = 1; r < comm.size(); ++r) {
    std::string_view first = text_of(all[0]), other = text_of(all[static_cast<std::size_t>(r)]);
    if (first == other) continue;
    while (!first.empty() && !other.empty() && line_of(first) == line_of(other)) {
      first.remove_prefix(std::min(first.size(), line_of(first).size() + 1));
      other.remove_prefix(std::min(other.size(), line_of(other).size() + 1));
    }
    throw ConfigError(join_text(what, " must be the same on all ranks: rank 0 on ", comm.host(0), " has '", line_of(first), "', rank ", r,
                                " on ", comm.host(r), " has '", line_of(other), "'"));
  }
}

}  // namespace capstan::engine
