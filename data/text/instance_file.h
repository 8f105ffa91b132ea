#pragma once
// Pretraining instances in HDF5: padded arrays that any HDF5 program reads, in one or several files.
//
// Datasets of a file, N instances each: input_ids i32 [N, length], lengths i32 [N], first_segment i32 [N] (tokens of segment 0),
// masked_positions and masked_ids i32 [N, predictions], masked_counts i32 [N], next_sentence_labels u8 [N] (1 = random). Columns
// behind the length or count are 0. What the sealed format checks is in data/hdf5/hdf5.h. input_mask, segment_ids and weights follow from
// these; pad_instances() makes them. The wide datasets are packed in chunks of few rows, so that one instance costs one small chunk.

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/hdf5/hdf5.h"
#include "data/text/pretraining.h"

namespace capstan::data {

/// Writes instances to `path`, durably; attributes hold the options, the size and checksum of the vocabulary.
void write_instances(const std::string& path, std::span<const Instance> instances, const PretrainingOptions& options,
                     const Vocabulary& vocabulary);
/// Reads them back, all at once. DataError if the file is damaged, holds impossible instances or was made with another vocabulary.
std::vector<Instance> read_instances(const std::string& path, const Vocabulary& vocabulary);

/// The instances of several files as one list, in the order of the files. Rows are read from the mapped files when they are asked for;
/// what is kept of them does not grow with their number. Thread-safe.
class InstanceFiles {
 public:
  /// Checks seals and descriptions, reads no instance but for its length. At most `cache_bytes` of instances are kept unpacked (and the
  /// block read last). Throws IoError, or DataError if a file is damaged or was made with another vocabulary.
  InstanceFiles(std::span<const std::string> paths, const Vocabulary& vocabulary, std::size_t cache_bytes = std::size_t{1} << 26);

  std::int64_t size() const { return size_; }
  /// Tokens of the longest instance.
  std::int64_t longest() const { return longest_; }
  /// DataError if it is impossible: a position or an id out of range.
  Instance get(std::int64_t index) const;
  /// Bytes of unpacked instances that are kept now.
  std::size_t cached_bytes() const;

 private:
  struct File {
    Hdf5Reader reader;
    std::int64_t first = 0, rows = 0, length = 0, predictions = 0;  // `first` of all instances
  };
  struct Block {
    std::int64_t first;  // of all instances
    std::vector<Instance> instances;
    std::size_t bytes;
  };
  const Block& block_at(const File& file, std::int64_t row) const;
  Block read_block(const File& file, std::int64_t row) const;
  void limit_open(const File& file) const;

  std::vector<File> files_;
  std::int32_t vocabulary_size_;
  std::size_t cache_bytes_;
  std::int64_t size_ = 0, longest_ = 0;
  mutable std::mutex mutex_;         // over the readers and what follows
  mutable std::list<Block> blocks_;  // the one used last is in front
  mutable std::unordered_map<std::int64_t, std::list<Block>::iterator> by_first_;
  mutable std::size_t cached_bytes_ = 0;
  mutable std::list<const File*> open_;  // readers that hold memory, the one used last in front
  mutable std::uint32_t blocks_read_ = 0;
};

/// Makes the instances of a corpus as make_pretraining_instances() and writes them to as many files as `per_file` asks for, named
/// `<path>-00000-of-00003.h5` and so on, in their final order. Holds one file's instances at a time; the others wait in a file beside.
/// Returns the paths.
std::vector<std::string> write_pretraining_files(const std::string& path, const Corpus& corpus, const Vocabulary& vocabulary,
                                                 const PretrainingOptions& options, std::int64_t per_file = std::int64_t{1} << 16);

}  // namespace capstan::data
