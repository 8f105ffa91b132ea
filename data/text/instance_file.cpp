#include "data/text/instance_file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/file.h"

namespace capstan::data {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kBlockRows = 64;  // of a chunk and of a block of the cache
constexpr std::uint32_t kBlocksUntilRelease = 256;
constexpr std::size_t kOpenFiles = 16;
constexpr std::size_t kAllocations = 3 * 16;  // what the allocator adds to the vectors of an instance

/// An instance as numbers in a row of fixed length: while they wait for their place, instances are rows of a scratch file.
std::int64_t row_length(const PretrainingOptions& o) { return 4 + o.max_seq_length + 2 * most_predictions(o); }

void pack(const Instance& x, const PretrainingOptions& o, std::span<std::int32_t> row) {
  std::fill(row.begin(), row.end(), 0);
  row[0] = static_cast<std::int32_t>(x.ids.size());
  row[1] = x.first_segment;
  row[2] = x.random_next ? 1 : 0;
  row[3] = static_cast<std::int32_t>(x.positions.size());
  const auto labels = std::copy(x.positions.begin(), x.positions.end(), row.begin() + 4);
  std::copy(x.labels.begin(), x.labels.end(), labels);
  std::copy(x.ids.begin(), x.ids.end(), row.begin() + 4 + 2 * most_predictions(o));
}

Instance unpack(const PretrainingOptions& o, std::span<const std::int32_t> row) {
  Instance x;
  const std::int32_t* at = row.data() + 4;
  x.first_segment = row[1];
  x.random_next = row[2] != 0;
  x.positions.assign(at, at + row[3]);
  x.labels.assign(at + row[3], at + 2 * row[3]);
  at += 2 * most_predictions(o);
  x.ids.assign(at, at + row[0]);
  return x;
}

}  // namespace

void write_instances(const std::string& path, std::span<const Instance> instances, const PretrainingOptions& options,
                     const Vocabulary& vocabulary) {
  const auto n = static_cast<std::int64_t>(instances.size());
  const std::int64_t length = options.max_seq_length, predictions = most_predictions(options);
  const Tensor ids = Tensor::zeros({n, length}, DType::i32), lengths = Tensor::zeros({n}, DType::i32),
               first = Tensor::zeros({n}, DType::i32);
  const Tensor positions = Tensor::zeros({n, predictions}, DType::i32), labels = Tensor::zeros({n, predictions}, DType::i32);
  const Tensor counts = Tensor::zeros({n}, DType::i32), random = Tensor::zeros({n}, DType::u8);
  for (std::int64_t i = 0; i < n; ++i) {
    const Instance& x = instances[at(i)];
    const auto tokens = static_cast<std::int64_t>(x.ids.size()), masked = static_cast<std::int64_t>(x.positions.size());
    require<ShapeError>(tokens <= length && masked <= predictions, "write_instances: an instance of ", tokens, " tokens and ", masked,
                        " predictions does not fit rows of ", length, " and ", predictions);
    std::copy(x.ids.begin(), x.ids.end(), ids.data<std::int32_t>() + i * length);
    std::copy(x.positions.begin(), x.positions.end(), positions.data<std::int32_t>() + i * predictions);
    std::copy(x.labels.begin(), x.labels.end(), labels.data<std::int32_t>() + i * predictions);
    lengths.data<std::int32_t>()[i] = static_cast<std::int32_t>(tokens);
    first.data<std::int32_t>()[i] = x.first_segment;
    counts.data<std::int32_t>()[i] = static_cast<std::int32_t>(masked);
    random.data<std::uint8_t>()[i] = x.random_next ? 1 : 0;
  }
  Hdf5Writer writer;
  const Hdf5Storage packed{.deflate = 1, .chunk_rows = kBlockRows};
  writer.write("input_ids", ids, packed);
  writer.write("lengths", lengths);
  writer.write("first_segment", first);
  writer.write("masked_positions", positions, packed);
  writer.write("masked_ids", labels, packed);
  writer.write("masked_counts", counts);
  writer.write("next_sentence_labels", random);
  writer.set("/", "kind", "pretraining instances");
  writer.set("/", "vocabulary_size", vocabulary.size());
  writer.set("/", "vocabulary_checksum", std::int64_t{vocabulary.checksum()});
  writer.set("/", "max_seq_length", length);
  writer.set("/", "max_predictions_per_seq", predictions);
  writer.set("/", "masked_lm_prob", Hdf5Attribute(options.masked_lm_prob));
  writer.set("/", "short_seq_prob", Hdf5Attribute(options.short_seq_prob));
  writer.set("/", "whole_word_mask", options.whole_word_mask ? 1 : 0);
  writer.set("/", "dupe_factor", options.dupe_factor);
  writer.set("/", "seed", std::to_string(options.seed).c_str());
  write_file_durably(path, writer.finish());
}

std::vector<Instance> read_instances(const std::string& path, const Vocabulary& vocabulary) {
  const InstanceFiles file(std::span(&path, 1), vocabulary, 0);
  std::vector<Instance> instances;
  instances.reserve(at(file.size()));
  for (std::int64_t i = 0; i < file.size(); ++i) instances.push_back(file.get(i));
  return instances;
}

InstanceFiles::InstanceFiles(std::span<const std::string> paths, const Vocabulary& vocabulary, std::size_t cache_bytes)
    : vocabulary_size_(vocabulary.size()), cache_bytes_(cache_bytes) {
  for (const std::string& path : paths) {
    File file{.reader = Hdf5Reader(path, {.mapped = true}), .first = size_};
    const Hdf5Reader& reader = file.reader;
    require<DataError>(reader.text("/", "kind") == "pretraining instances", path, ": found '", reader.text("/", "kind"),
                       "', expected pretraining instances");
    require<DataError>(
        reader.integer("/", "vocabulary_size") == vocabulary.size() && reader.integer("/", "vocabulary_checksum") == vocabulary.checksum(),
        path, ": the instances were made with another vocabulary: ", reader.integer("/", "vocabulary_size"), " tokens, this one has ",
        vocabulary.size());
    file.length = reader.integer("/", "max_seq_length");
    file.predictions = reader.integer("/", "max_predictions_per_seq");
    const Tensor lengths = reader.read("lengths");
    require<DataError>(lengths.rank() == 1 && lengths.dtype() == DType::i32 && file.length > 0 && file.predictions > 0, path,
                       ": lengths are ", lengths, ", expected i32[instances]");
    const std::int64_t n = file.rows = lengths.size(0);
    for (const std::int32_t tokens : lengths.span<const std::int32_t>()) longest_ = std::max<std::int64_t>(longest_, tokens);
    const Spec column{{n}, DType::i32}, predicted{{n, file.predictions}, DType::i32};
    for (const auto& [name, spec] : {std::pair<std::string_view, Spec>{"input_ids", {{n, file.length}, DType::i32}},
                                     {"first_segment", column},
                                     {"masked_positions", predicted},
                                     {"masked_ids", predicted},
                                     {"masked_counts", column},
                                     {"next_sentence_labels", {{n}, DType::u8}}}) {
      const Hdf5Entry* entry = reader.find(name);
      require<DataError>(entry != nullptr && !entry->is_text && entry->spec == spec, path, ": expected ", name, " ", spec, " beside ", n,
                         " lengths");
    }
    reader.release();
    size_ += n;
    files_.push_back(std::move(file));
  }
}

Instance InstanceFiles::get(std::int64_t i) const {
  require<InternalError>(i >= 0 && i < size_, "pretraining: instance ", i, " of ", size_);
  const auto file =
      std::prev(std::upper_bound(files_.begin(), files_.end(), i, [](std::int64_t at, const File& f) { return at < f.first; }));
  const std::lock_guard lock(mutex_);
  const Block& block = block_at(*file, (i - file->first) / kBlockRows * kBlockRows);
  return block.instances[at(i - block.first)];
}

std::size_t InstanceFiles::cached_bytes() const {
  const std::lock_guard lock(mutex_);
  return cached_bytes_;
}

/// The block that begins at a row of a file, from the cache or read; valid until the next call.
const InstanceFiles::Block& InstanceFiles::block_at(const File& file, std::int64_t row) const {
  if (const auto found = by_first_.find(file.first + row); found != by_first_.end()) {
    blocks_.splice(blocks_.begin(), blocks_, found->second);
    return blocks_.front();
  }
  blocks_.push_front(read_block(file, row));
  by_first_[file.first + row] = blocks_.begin();
  cached_bytes_ += blocks_.front().bytes;
  while (cached_bytes_ > cache_bytes_ && blocks_.size() > 1) {
    cached_bytes_ -= blocks_.back().bytes;
    by_first_.erase(blocks_.back().first);
    blocks_.pop_back();
  }
  limit_open(file);
  return blocks_.front();
}

/// After a read of `file`: what libhdf5 keeps of all files, and the pages touched, would stay resident.
void InstanceFiles::limit_open(const File& file) const {
  open_.remove(&file);
  open_.push_front(&file);
  const bool all = ++blocks_read_ % kBlocksUntilRelease == 0;
  while (open_.size() > (all ? 0 : kOpenFiles)) {
    open_.back()->reader.release();
    open_.pop_back();
  }
}

InstanceFiles::Block InstanceFiles::read_block(const File& file, std::int64_t row) const {
  const std::int64_t n = std::min(kBlockRows, file.rows - row), length = file.length, predictions = file.predictions;
  const auto rows = [&](std::string_view name) { return file.reader.read_rows(name, row, n); };
  const Tensor ids = rows("input_ids"), lengths = rows("lengths"), first = rows("first_segment"), positions = rows("masked_positions");
  const Tensor labels = rows("masked_ids"), counts = rows("masked_counts"), random = rows("next_sentence_labels");
  Block block{.first = file.first + row, .instances = std::vector<Instance>(at(n)), .bytes = 0};
  const auto is_id = [&](std::int32_t id) { return id >= 0 && id < vocabulary_size_; };
  for (std::int64_t i = 0; i < n; ++i) {
    Instance& x = block.instances[at(i)];
    const std::int32_t tokens = lengths.data<std::int32_t>()[i], masked = counts.data<std::int32_t>()[i];
    x.first_segment = first.data<std::int32_t>()[i];
    x.random_next = random.data<std::uint8_t>()[i] != 0;
    bool good = tokens > 0 && tokens <= length && masked >= 0 && masked <= predictions && x.first_segment > 0 && x.first_segment <= tokens;
    if (good) {
      const auto part = [](const Tensor& t, std::int64_t start, std::int32_t count) {
        const std::int32_t* begin = t.data<std::int32_t>() + start;
        return Ids(begin, begin + count);
      };
      x.ids = part(ids, i * length, tokens);
      x.positions = part(positions, i * predictions, masked);
      x.labels = part(labels, i * predictions, masked);
      good = std::all_of(x.ids.begin(), x.ids.end(), is_id) && std::all_of(x.labels.begin(), x.labels.end(), is_id) &&
             std::all_of(x.positions.begin(), x.positions.end(), [&](std::int32_t p) { return p >= 0 && p < tokens; });
    }
    require<DataError>(good, file.reader.path(), ": instance ", row + i, " has impossible lengths, positions or ids");
    block.bytes += sizeof(Instance) + (x.ids.size() + x.positions.size() + x.labels.size()) * sizeof(std::int32_t) + kAllocations;
  }
  return block;
}

std::vector<std::string> write_pretraining_files(const std::string& path, const Corpus& corpus, const Vocabulary& vocabulary,
                                                 const PretrainingOptions& options, std::int64_t per_file) {
  require<ConfigError>(per_file > 0, "write_pretraining_files: per_file must be above 0, got ", per_file);
  require_valid(options);
  const std::int64_t length = row_length(options);
  Ids row(at(length));
  StreamedFile waiting(path + ".rows");
  const auto order = make_pretraining_instances(corpus, vocabulary, options, [&](Instance&& x) {
    pack(x, options, row);
    waiting.append(std::as_bytes(std::span(row)));
  });

  const auto total = static_cast<std::int64_t>(order.size()), files = std::max<std::int64_t>(1, (total + per_file - 1) / per_file);
  std::vector<std::string> paths;
  for (std::int64_t f = 0; f < files; ++f) {
    std::array<char, 64> suffix{};
    std::snprintf(suffix.data(), suffix.size(), "-%05lld-of-%05lld.h5", static_cast<long long>(f), static_cast<long long>(files));
    std::vector<Instance> instances;
    for (std::int64_t i = f * per_file; i < std::min(total, (f + 1) * per_file); ++i) {
      waiting.read(std::uint64_t{order[at(i)]} * row.size() * sizeof(std::int32_t), std::as_writable_bytes(std::span(row)));
      instances.push_back(unpack(options, row));
    }
    paths.push_back(path + suffix.data());
    write_instances(paths.back(), instances, options, vocabulary);
  }
  return paths;
}

}  // namespace capstan::data
