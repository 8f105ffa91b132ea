#pragma once
// Pretraining instances in HDF5: padded arrays that any HDF5 program reads, in one or several files.
//
// Datasets of a file, N instances each: input_ids i32 [N, length], lengths i32 [N], first_segment i32 [N] (tokens of segment 0),
// masked_positions and masked_ids i32 [N, predictions], masked_counts i32 [N], next_sentence_labels u8 [N] (1 = random). Columns
// behind the length or count are 0. What the sealed format checks is in data/hdf5.h. input_mask, segment_ids and weights follow from
// these; pad_instances() makes them.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/pretraining.h"

namespace capstan::data {

/// Writes instances to `path`, durably; attributes hold the options, the size and checksum of the vocabulary.
void write_instances(const std::string& path, std::span<const Instance> instances, const PretrainingOptions& options,
                     const Vocabulary& vocabulary);
/// Reads them back. DataError if the file is damaged, holds impossible instances or was made with another vocabulary.
std::vector<Instance> read_instances(const std::string& path, const Vocabulary& vocabulary);

/// Makes the instances of a corpus as make_pretraining_instances() and writes them to as many files as `per_file` asks for, named
/// `<path>-00000-of-00003.h5` and so on, in their final order. Holds one file's instances at a time; the others wait in a file beside.
/// Returns the paths.
std::vector<std::string> write_pretraining_files(const std::string& path, const Corpus& corpus, const Vocabulary& vocabulary,
                                                 const PretrainingOptions& options, std::int64_t per_file = std::int64_t{1} << 16);

}  // namespace capstan::data
