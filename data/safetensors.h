#pragma once
// safetensors: the weight files of the Hugging Face world. A length, a JSON header, then the tensors one behind the other.
//
// Reading maps the file; a tensor is copied out when it is asked for. Every rule of the format is checked before anything is allocated: the
// header's length, UTF-8, one object without a name that stands twice, shapes whose size overflows, ranges that do not fit their shape,
// holes, overlaps, bytes behind the last tensor. A broken rule is a DataError that names file, tensor and numbers.
// Writing gives the bytes of the reference writer: tensors by element size, the largest first, then by name. It replaces the file durably.
// The format has no checksum; a file whose metadata has kSafetensorsChecksum carries one of ours, which reading compares.
//
// Source: the format's description (huggingface.co/docs/safetensors) and its reference implementation.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/streamed_file.h"

namespace capstan::data {

/// The key of metadata under which CRC-32C of the whole file stands, eight hexadecimal digits, which themselves count as zeros.
inline constexpr std::string_view kSafetensorsChecksum = "capstan.crc32c";

/// An element type of the format: its name in files, and its bits.
struct SafetensorsType {
  std::string_view name;
  int bits;
};

struct SafetensorsEntry {
  std::string name;
  std::string_view type;             ///< "F32", "BF16", ...
  std::vector<std::int64_t> shape;   ///< any number of axes; a Tensor has at most kMaxRank
  std::uint64_t begin = 0, end = 0;  ///< bytes behind the header
  /// What read() gives: F32, F64, I64 and I32 as they are, F16 and BF16 as f32, BOOL and U8 as u8, I8, I16 and U16 as i32, U32 and U64 as
  /// i64. Throws DataError for the other types and for more axes than a Tensor has.
  Spec spec() const;
};

class SafetensorsReader {
 public:
  struct Options {
    bool allow_trailing_bytes = false;  ///< behind the last tensor, as some files have them
  };
  explicit SafetensorsReader(const std::string& path, const Options& options);
  explicit SafetensorsReader(const std::string& path) : SafetensorsReader(path, Options()) {}

  const std::string& path() const { return file_.path(); }
  /// In the order of their bytes.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const SafetensorsEntry* find(std::string_view name) const;
  /// Throws DataError if there is no such tensor, or a number does not fit.
  Tensor read(std::string_view name) const;
  std::span<const std::byte> bytes(const SafetensorsEntry& entry) const;

 private:
  void read_header(const Options& options);
  void compare_checksum(std::string_view written) const;
  MappedFile file_;
  std::size_t buffer_ = 0;  // where the tensors begin
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

/// The tensors of one file, or of a set of files that `<name>.safetensors.index.json` lists.
class SafetensorsSet {
 public:
  /// `path`: a .safetensors file, or an index. Throws DataError if the index names a file or a tensor that is not there, or a file of the
  /// set holds a tensor that it does not name.
  explicit SafetensorsSet(const std::string& path);
  const std::string& path() const { return path_; }
  std::vector<std::pair<std::string, Spec>> tensors() const;  ///< in the order of the names
  Tensor read(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return files_.front().metadata(); }

 private:
  std::string path_;
  std::vector<SafetensorsReader> files_;
  std::map<std::string, const SafetensorsReader*, std::less<>> of_;
};

/// What a floating tensor is written as; others are written as they are.
enum class SafetensorsFloat { f32, bf16, f16 };

struct NamedTensor {
  std::string name;
  Tensor value;
};

/// Replaces `path`. f64 stays F64; f32 and bf16 become `floats`. The value of kSafetensorsChecksum is filled in. Throws DataError for a
/// name that stands twice or is "__metadata__".
void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
                       SafetensorsFloat floats = SafetensorsFloat::f32);

}  // namespace capstan::data
