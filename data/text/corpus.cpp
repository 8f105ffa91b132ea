#include "data/text/corpus.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

static_assert(std::endian::native == std::endian::little, "corpus files are little-endian");

struct CorpusHeader {
  std::array<char, 8> magic{'C', 'A', 'P', 'S', 'C', 'O', 'R', 'P'};
  std::uint32_t version = 1;
  std::uint32_t header_crc = 0;  // of the fields below
  std::int64_t tokens = 0, sentences = 0, documents = 0;
  std::int32_t vocabulary_size = 0;
  std::uint32_t vocabulary_checksum = 0;
  std::uint32_t content_crc = 0;  // of the file with zeros in place of the header
  std::uint32_t reserved = 0;
  std::int64_t bytes = 0;  // of the file

  std::uint32_t crc() const { return crc32c(std::as_bytes(std::span(this, 1)).subspan(offsetof(CorpusHeader, tokens))); }
  std::int64_t token_bytes() const { return (tokens * 4 + 7) / 8 * 8; }
  std::int64_t expected_bytes() const { return 64 + token_bytes() + 8 * (sentences + 1) + 8 * (documents + 1); }
};
static_assert(sizeof(CorpusHeader) == 64 && offsetof(CorpusHeader, tokens) == 16);

constexpr std::array<std::byte, sizeof(CorpusHeader)> kNoHeader{};  // stands for the header until it is known, and in the checksum

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

/// The content behind the header once through, by plain reading: a map would keep it all resident.
void check_content(const std::string& path, const CorpusHeader& header) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(sizeof(CorpusHeader));
  std::vector<std::int32_t> part(std::size_t{1} << 18);
  std::uint32_t crc = crc32c(kNoHeader);
  std::int64_t tokens = 0;
  for (;;) {
    file.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(part.size() * 4));
    const auto got = static_cast<std::size_t>(file.gcount());
    if (got == 0) break;
    crc = crc32c(std::as_bytes(std::span(part)).first(got), crc);
    const auto here = std::min(header.tokens - tokens, static_cast<std::int64_t>(got / 4));
    bool inside = true;
    for (std::int64_t i = 0; i < here; ++i) {
      const std::int32_t token = part[static_cast<std::size_t>(i)], id = header.version == 2 ? id_of(token) : token;
      inside = inside && id >= 0 && id < header.vocabulary_size;
    }
    require<DataError>(inside, path, ": a token id lies outside the vocabulary of ", header.vocabulary_size, " tokens");
    tokens += here;
  }
  require<DataError>(crc == header.content_crc, path, ": the corpus is damaged: checksum ", crc, " of its content, expected ",
                     header.content_crc);
}

void check_starts(const std::string& path, std::span<const std::int64_t> starts, std::int64_t end, std::string_view what) {
  bool good = starts.front() == 0 && starts.back() == end;
  for (std::size_t i = 1; i < starts.size(); ++i) good = good && starts[i - 1] < starts[i];
  require<DataError>(good, path, ": the ", what, " do not ascend from 0 to ", end);
}

}  // namespace

CorpusWriter::CorpusWriter(std::string path, const Vocabulary& vocabulary)
    : path_(std::move(path)),
      main_(path_),
      sentence_starts_(path_ + ".sentences"),
      document_starts_(path_ + ".documents"),
      vocabulary_size_(vocabulary.size()),
      vocabulary_checksum_(vocabulary.checksum()) {
  main_.append(kNoHeader);
}

void CorpusWriter::add_sentence(std::span<const std::int32_t> ids) {
  if (ids.empty()) return;
  for (const std::int32_t token : ids) {
    const std::int32_t id = id_of(token);
    marks_words_ = marks_words_ || id != token;
    require<DataError>(id >= 0 && id < vocabulary_size_, path_, ": token id ", id, " is outside the vocabulary of ", vocabulary_size_,
                       " tokens");
  }
  if (at_start_) {
    document_starts_.append(bytes_of(sentences_));
    ++documents_;
    at_start_ = false;
  }
  sentence_starts_.append(bytes_of(tokens_));
  main_.append(std::as_bytes(ids));
  tokens_ += static_cast<std::int64_t>(ids.size());
  ++sentences_;
}

void CorpusWriter::finish() {
  require<DataError>(sentences_ > 0, path_, ": the text has no sentence");
  if (tokens_ % 2 != 0) main_.append(bytes_of(std::int32_t{0}));
  sentence_starts_.append(bytes_of(tokens_));
  document_starts_.append(bytes_of(sentences_));
  main_.append(sentence_starts_);
  main_.append(document_starts_);

  CorpusHeader header;
  header.version = marks_words_ ? 2 : 1;
  header.tokens = tokens_;
  header.sentences = sentences_;
  header.documents = documents_;
  header.vocabulary_size = vocabulary_size_;
  header.vocabulary_checksum = vocabulary_checksum_;
  header.bytes = static_cast<std::int64_t>(main_.size());
  header.content_crc = main_.crc();
  header.header_crc = header.crc();
  main_.overwrite(0, bytes_of(header));
  main_.commit();
}

Corpus::Corpus(const std::string& path) : file_(path) {
  const auto bytes = file_.bytes();
  CorpusHeader header;
  require<DataError>(bytes.size() >= sizeof(CorpusHeader) && std::memcmp(bytes.data(), header.magic.data(), header.magic.size()) == 0, path,
                     ": this is not a corpus file");
  std::memcpy(&header, bytes.data(), sizeof(CorpusHeader));
  require<DataError>(header.version == 1 || header.version == 2, path, ": version ", header.version,
                     " of the corpus file, expected 1 or 2");
  require<DataError>(header.header_crc == header.crc(), path, ": the header of the corpus is damaged");
  const std::int64_t limit = std::int64_t{1} << 58;
  require<DataError>(header.tokens > 0 && header.tokens < limit && header.sentences > 0 && header.sentences <= header.tokens &&
                         header.documents > 0 && header.documents <= header.sentences && header.vocabulary_size > 0,
                     path, ": the header of the corpus claims impossible sizes");
  require<DataError>(header.bytes == header.expected_bytes() && bytes.size() == static_cast<std::size_t>(header.bytes), path,
                     ": the file has ", bytes.size(), " bytes, its header says ", header.expected_bytes());
  check_content(path, header);

  // Aligned: the map begins at a page, the sections at multiples of 8.
  const std::byte* at = bytes.data() + sizeof(CorpusHeader);
  tokens_ = {reinterpret_cast<const std::int32_t*>(at), static_cast<std::size_t>(header.tokens)};
  at += header.token_bytes();
  sentence_starts_ = {reinterpret_cast<const std::int64_t*>(at), static_cast<std::size_t>(header.sentences + 1)};
  at += 8 * (header.sentences + 1);
  document_starts_ = {reinterpret_cast<const std::int64_t*>(at), static_cast<std::size_t>(header.documents + 1)};
  check_starts(path, sentence_starts_, header.tokens, "starts of sentences");
  check_starts(path, document_starts_, header.sentences, "starts of documents");
  vocabulary_size_ = header.vocabulary_size;
  vocabulary_checksum_ = header.vocabulary_checksum;
}

void Corpus::require_vocabulary(const Vocabulary& vocabulary) const {
  require<DataError>(vocabulary.size() == vocabulary_size_ && vocabulary.checksum() == vocabulary_checksum_, path(),
                     ": the corpus was made with another vocabulary: ", vocabulary_size_, " tokens with checksum ", vocabulary_checksum_,
                     ", this one has ", vocabulary.size(), " with ", vocabulary.checksum());
}

}  // namespace capstan::data
