#pragma once
// HDF5 files as this project writes and accepts them: groups, tensors, texts and small attributes. The only door to libhdf5.
//
// Not a general HDF5 library. Files are built and parsed in memory; the writer returns an image, and data/file.h puts it on disk,
// because libhdf5 neither syncs nor survives a full disk. An image that memory should not hold is built in a file that is mapped. Image =
// plain HDF5 (1.6 format, any HDF5 tool opens it), then a seal: one text line with length and CRC-32C of all bytes before it. Each tensor
// and text also carries the attributes `dtype` and `crc32c` (over its path, type and shape as text, then its bytes), so a damaged or
// renamed dataset is named.
//
// A reader takes no risk: the seal is checked before libhdf5 sees a byte; hard links only, each object under one name; no external
// storage, virtual layout, references or committed types; no plug-ins, filters only deflate, shuffle and fletcher32; sizes are
// compared with what is stored before memory is asked for. Every refusal is a DataError "file: /dataset: rule"; a caller with
// another error type of its own (CheckpointError) catches and rethrows. libhdf5 itself runs under one lock, so objects may be used
// from any thread, each by one thread at a time.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/file.h"

namespace capstan::data {

using Hdf5Attribute = std::variant<std::int64_t, double, std::string>;

/// How a tensor is stored: as it is, or in chunks of whole rows, shuffled and deflated (levels 1..9).
struct Hdf5Storage {
  int deflate = 0;
  std::int64_t chunk_rows = 0;  ///< of a chunk, few for readers of single rows; 0: about 1 MiB
};

class Hdf5Writer {
 public:
  /// `expected_bytes`, a guess of the final size, saves copies while the image grows.
  explicit Hdf5Writer(std::size_t expected_bytes = 0);
  /// Builds the image in a file, of which memory holds a few megabytes at a time: an empty one, open for reading and writing until
  /// finish_file(). Room for `expected_bytes` is taken at once, and more where that is not enough. `name` stands for the file in messages.
  /// This and what writes throw IoError where the disk is full.
  Hdf5Writer(int descriptor, std::string name, std::size_t expected_bytes);
  ~Hdf5Writer();
  Hdf5Writer(Hdf5Writer&&) noexcept;
  Hdf5Writer& operator=(Hdf5Writer&&) noexcept;

  // Paths are "/a/b" or "a/b"; missing groups on the way are made. A name that exists already is an error.
  void group(std::string_view path);
  void write(std::string_view path, const Tensor& tensor, const Hdf5Storage& storage = {});
  /// UTF-8 of any length, without NUL characters.
  void write_text(std::string_view path, std::string_view text);
  /// A small value at an existing group or dataset ("/" is the root). Texts up to 32 KiB; longer ones are datasets.
  void set(std::string_view path, std::string_view name, const Hdf5Attribute& value);
  void set(std::string_view path, std::string_view name, const char* value) { set(path, name, Hdf5Attribute(std::string(value))); }
  template <class T>
  requires std::is_integral_v<T>
  void set(std::string_view path, std::string_view name, T value) { set(path, name, Hdf5Attribute(static_cast<std::int64_t>(value))); }

  /// The sealed file image. Equal calls give equal bytes. The writer is spent.
  std::vector<std::byte> finish();
  /// Of an image in a file, which gets the same bytes: seals it, without syncing it, and returns its identity. The writer is spent.
  Digest finish_file();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a file holds under one name.
struct Hdf5Entry {
  std::string name;  ///< "/model/item_embedding"
  Spec spec;         ///< of a text: u8[bytes]
  bool is_text = false;
  std::uint64_t stored_bytes = 0;
};

class Hdf5Reader {
 public:
  struct Options {
    /// Refuse files without the seal. Files of other programs have none: false reads them, checking what can be checked.
    bool require_seal = true;
    std::uint64_t max_bytes = std::uint64_t{1} << 40;  ///< of all datasets together, unpacked
    /// Map the file instead of reading it into memory, for read_rows(). It must not change while the reader lives.
    bool mapped = false;
  };
  /// Reads the whole file, or maps it. Throws IoError or DataError.
  explicit Hdf5Reader(const std::string& path);
  Hdf5Reader(const std::string& path, const Options& options);
  /// The same for an image in memory; `name` stands for the path in messages.
  Hdf5Reader(std::vector<std::byte> image, std::string name, const Options& options);
  ~Hdf5Reader();
  Hdf5Reader(Hdf5Reader&&) noexcept;
  Hdf5Reader& operator=(Hdf5Reader&&) noexcept;

  const std::string& path() const;
  /// All datasets, sorted by name.
  const std::vector<Hdf5Entry>& entries() const;
  /// All groups, sorted, the first being "/".
  const std::vector<std::string>& groups() const;
  const Hdf5Entry* find(std::string_view name) const;

  Tensor read(std::string_view name) const;
  /// The same after comparing with the expected shape and type.
  Tensor read(std::string_view name, const Spec& expected) const;
  /// Reads into a contiguous tensor of the same shape and type; its content is undefined if this throws.
  void read_into(std::string_view name, const Tensor& target) const;
  /// The rows [first, first + count) along axis 0. Needs a sealed file: the checksum of a dataset says nothing about a part of it.
  Tensor read_rows(std::string_view name, std::int64_t first, std::int64_t count) const;
  /// Gives back what a mapped file takes of memory, its pages and libhdf5's own; the next read fetches them again.
  void release() const;
  std::string read_text(std::string_view name) const;

  /// The attributes of a group or dataset; kinds that a writer of this project never makes are left out.
  std::map<std::string, Hdf5Attribute> attributes(std::string_view path) const;
  /// One attribute; DataError if it is missing or of another kind (an integer also answers for double).
  std::int64_t integer(std::string_view path, std::string_view name) const;
  double number(std::string_view path, std::string_view name) const;
  std::string text(std::string_view path, std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan::data
