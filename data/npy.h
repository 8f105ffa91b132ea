#pragma once
// NPY: NumPy's file of one array. A magic, a header that is a Python dict of type, order and shape, then the numbers.
//
// Read are versions 1 to 3, both orders (a tensor comes in row-major order), little-endian numbers (number_type.h) and booleans. Refused by
// name: Python objects, records, texts, big-endian numbers, a shape whose size overflows, and a file that is shorter or longer than its
// shape says. Written is version 1, with the bytes of np.save. Errors: DataError that begins with the file.
//
// Source: the format's description (numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/number_type.h"
#include "data/streamed_file.h"

namespace capstan::data {

struct NpyHeader {
  /// Magic and header are never longer: the shape of 32 axes takes less than 1 KB.
  static constexpr std::size_t kMaxSize = std::size_t{1} << 16;

  NumberType type = NumberType::f32;
  std::string descr;                ///< as the file writes it, "<f4"
  bool fortran_order = false;       ///< the first axis runs fastest
  std::vector<std::int64_t> shape;  ///< any number of axes; a Tensor has at most kMaxRank
  std::size_t size = 0;             ///< of magic and header: where the numbers begin
  std::uint64_t bytes = 0;          ///< of the numbers

  /// What is read of it. Throws DataError for more axes than a Tensor has.
  Spec spec(const std::string& file) const;
};

/// The header at the beginning of `bytes`, of which more may be missing than what kMaxSize says. `file` stands in messages.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& file);
/// The tensor whose numbers are exactly `bytes`.
Tensor npy_tensor(const NpyHeader& header, std::span<const std::byte> bytes, const std::string& file);

/// A whole file.
Tensor read_npy(const std::string& path);
/// Its header, after the checks that read_npy makes.
NpyHeader read_npy_header(const std::string& path);

/// Magic and header for an array in row-major order; bf16 goes out as f32.
std::string npy_header(const Spec& spec);
/// Replaces `path`.
void write_npy(const std::string& path, const Tensor& value);

/// An array [rows, width] whose rows come one after the other, and whose number is known at the end.
class NpyRows {
 public:
  /// `path` is replaced by commit(), and stays as it is without.
  NpyRows(const std::string& path, std::int64_t width);
  void append(std::span<const float> row);
  std::int64_t rows() const { return rows_; }
  void commit();

 private:
  StreamedFile file_;
  std::int64_t width_, rows_ = 0;
};

}  // namespace capstan::data
