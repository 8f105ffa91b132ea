#include "data/text/instance_file.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/hdf5.h"

namespace capstan::data {
namespace {

using Ids = std::vector<std::int32_t>;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// An instance as numbers in a row of fixed length: while they wait for their place, instances are rows of a scratch file.
std::int64_t row_length(const PretrainingOptions& o) { return 4 + o.max_seq_length + 2 * o.max_predictions_per_seq; }

void pack(const Instance& x, const PretrainingOptions& o, std::span<std::int32_t> row) {
  std::fill(row.begin(), row.end(), 0);
  row[0] = static_cast<std::int32_t>(x.ids.size());
  row[1] = x.first_segment;
  row[2] = x.random_next ? 1 : 0;
  row[3] = static_cast<std::int32_t>(x.positions.size());
  const auto labels = std::copy(x.positions.begin(), x.positions.end(), row.begin() + 4);
  std::copy(x.labels.begin(), x.labels.end(), labels);
  std::copy(x.ids.begin(), x.ids.end(), row.begin() + 4 + 2 * o.max_predictions_per_seq);
}

Instance unpack(const PretrainingOptions& o, std::span<const std::int32_t> row) {
  Instance x;
  const std::int32_t* at = row.data() + 4;
  x.first_segment = row[1];
  x.random_next = row[2] != 0;
  x.positions.assign(at, at + row[3]);
  x.labels.assign(at + row[3], at + 2 * row[3]);
  at += 2 * o.max_predictions_per_seq;
  x.ids.assign(at, at + row[0]);
  return x;
}

}  // namespace

void write_instances(const std::string& path, std::span<const Instance> instances, const PretrainingOptions& options,
                     const Vocabulary& vocabulary) {
  const auto n = static_cast<std::int64_t>(instances.size());
  const std::int64_t length = options.max_seq_length, predictions = options.max_predictions_per_seq;
  const Tensor ids = Tensor::zeros({n, length}, DType::i32), lengths = Tensor::zeros({n}, DType::i32),
               first = Tensor::zeros({n}, DType::i32);
  const Tensor positions = Tensor::zeros({n, predictions}, DType::i32), labels = Tensor::zeros({n, predictions}, DType::i32);
  const Tensor counts = Tensor::zeros({n}, DType::i32), random = Tensor::zeros({n}, DType::u8);
  for (std::int64_t i = 0; i < n; ++i) {
    const Instance& x = instances[index(i)];
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
  const Hdf5Storage packed{.deflate = 1};
  writer.write("input_ids", ids, packed);
  writer.write("lengths", lengths, packed);
  writer.write("first_segment", first, packed);
  writer.write("masked_positions", positions, packed);
  writer.write("masked_ids", labels, packed);
  writer.write("masked_counts", counts, packed);
  writer.write("next_sentence_labels", random, packed);
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
  const Hdf5Reader reader(path);
  require<DataError>(reader.text("/", "kind") == "pretraining instances", path, ": found '", reader.text("/", "kind"),
                     "', expected pretraining instances");
  require<DataError>(
      reader.integer("/", "vocabulary_size") == vocabulary.size() && reader.integer("/", "vocabulary_checksum") == vocabulary.checksum(),
      path, ": the instances were made with another vocabulary: ", reader.integer("/", "vocabulary_size"), " tokens, this one has ",
      vocabulary.size());
  const std::int64_t length = reader.integer("/", "max_seq_length"), predictions = reader.integer("/", "max_predictions_per_seq");
  const Tensor lengths = reader.read("lengths");
  require<DataError>(lengths.rank() == 1 && lengths.dtype() == DType::i32 && length > 0 && predictions > 0, path, ": lengths are ", lengths,
                     ", expected i32[instances]");
  const std::int64_t n = lengths.size(0);
  const Spec row{{n}, DType::i32};
  const Tensor ids = reader.read("input_ids", {{n, length}, DType::i32}), first = reader.read("first_segment", row);
  const Tensor positions = reader.read("masked_positions", {{n, predictions}, DType::i32});
  const Tensor labels = reader.read("masked_ids", {{n, predictions}, DType::i32}), counts = reader.read("masked_counts", row);
  const Tensor random = reader.read("next_sentence_labels", {{n}, DType::u8});

  std::vector<Instance> instances(index(n));
  const auto is_id = [&](std::int32_t id) { return id >= 0 && id < vocabulary.size(); };
  for (std::int64_t i = 0; i < n; ++i) {
    Instance& x = instances[index(i)];
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
    require<DataError>(good, path, ": instance ", i, " has impossible lengths, positions or ids");
  }
  return instances;
}

std::vector<std::string> write_pretraining_files(const std::string& path, const Corpus& corpus, const Vocabulary& vocabulary,
                                                 const PretrainingOptions& options, std::int64_t per_file) {
  require<ConfigError>(per_file > 0, "write_pretraining_files: per_file must be above 0, got ", per_file);
  require_valid(options);
  const std::int64_t length = row_length(options);
  Ids row(index(length));
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
      waiting.read(std::uint64_t{order[index(i)]} * row.size() * sizeof(std::int32_t), std::as_writable_bytes(std::span(row)));
      instances.push_back(unpack(options, row));
    }
    paths.push_back(path + suffix.data());
    write_instances(paths.back(), instances, options, vocabulary);
  }
  return paths;
}

}  // namespace capstan::data
