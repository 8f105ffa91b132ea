#pragma once
// Files larger than memory: written in one pass and put in place at the end, read through a memory map.
//
// After a crash the old or the whole new file is there: a Replacement (data/file.h). Errors: IoError.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/file.h"

namespace capstan::data {

class StreamedFile {
 public:
  /// `path` itself stays as it is until commit().
  explicit StreamedFile(std::string path);
  /// Without commit() nothing remains.
  ~StreamedFile() = default;
  StreamedFile(const StreamedFile&) = delete;
  StreamedFile& operator=(const StreamedFile&) = delete;

  void append(std::span<const std::byte> bytes);
  /// Appends the content of another file that is still being written.
  void append(StreamedFile& other);
  /// Replaces bytes appended before.
  void overwrite(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Reads bytes appended before.
  void read(std::uint64_t offset, std::span<std::byte> bytes);
  /// Bytes appended so far.
  std::uint64_t size() const { return flushed_ + buffer_.size(); }
  /// CRC-32C of everything appended (overwriting leaves it alone).
  std::uint32_t crc() const { return crc_; }
  /// Syncs, renames, syncs the directory.
  void commit();

 private:
  void flush();

  Replacement file_;
  std::uint64_t flushed_ = 0;
  std::uint32_t crc_ = 0;
  std::vector<std::byte> buffer_;
};

/// The bytes of a file, read-only, paged in by the operating system as they are touched. Movable.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(address_), size_}; }
  const std::string& path() const { return path_; }
  /// Gives the pages back to the system; the next touch reads them again. Keeps the resident size small on long walks.
  void release() const;

 private:
  std::string path_;
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace capstan::data
