#pragma once
// Vocabulary: the tokens of a model and their ids, as in a vocab.txt: one token a line, its id the line's number from 0.
//
// It knows nothing of how text is cut into tokens (data/text/tokenizer.h). Immutable after construction.
// Rules of the original BERT files: a token that comes twice has the later id; an empty line uses up an id and is never found.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::data {

class Vocabulary {
 public:
  enum class Lines {
    stripped,     ///< white space at both ends does not belong to the token (google)
    kept_spaces,  ///< only the line end is taken off (HF)
  };
  /// Reads a vocabulary file. Throws IoError, or DataError "path:line: ..." for a line that is not UTF-8 or has a carriage return
  /// within.
  static Vocabulary load(const std::string& path, Lines lines = Lines::stripped);
  /// `name` stands for the path in messages.
  explicit Vocabulary(std::vector<std::string> tokens, std::string name = "vocabulary");
  /// The tokens, a line each. DataError for one that load() would not give back: it has a line end, or is the first and begins with a byte
  /// order mark.
  static std::string lines(std::span<const std::string> tokens, std::string_view name);
  /// Writes them, so that load() with Lines::kept_spaces gives them back.
  void save(const std::string& path) const;

  /// Number of ids, that is, of lines.
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// The id, or -1.
  std::int32_t find(std::string_view token) const { return find(token, hash(token)); }
  /// The id; DataError if there is none.
  std::int32_t id(std::string_view token) const;
  /// The token of an id in [0, size()).
  const std::string& token(std::int32_t id) const;
  /// Ids of the distinct tokens in order of their first lines: the keys of a Python dict read from the file.
  std::span<const std::int32_t> keys() const { return keys_; }
  /// Tells vocabularies apart: CRC-32C of the lines.
  std::uint32_t checksum() const;
  /// Bytes of the longest token.
  std::size_t longest() const { return longest_; }

  // Hashes of growing prefixes cost one step a byte, which is what the longest-match search lives on.
  static constexpr std::uint64_t kEmptyHash = 0xcbf29ce484222325u;
  static constexpr std::uint64_t extend(std::uint64_t hash, char byte) {
    return (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
  static constexpr std::uint64_t hash(std::string_view text, std::uint64_t from = kEmptyHash) {
    for (const char c : text) from = extend(from, c);
    return from;
  }
  /// The id of `prefix` + `text`, given the hash of both together; -1 if there is none.
  std::int32_t find(std::string_view text, std::uint64_t hash, std::string_view prefix = {}) const {
    for (std::size_t at = slot(hash);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& s = slots_[at];
      if (s.id < 0) return -1;
      if (s.check != static_cast<std::uint32_t>(hash)) continue;
      const std::string_view token = tokens_[static_cast<std::size_t>(s.id)];
      if (token.size() == prefix.size() + text.size() && token.starts_with(prefix) && token.ends_with(text)) return s.id;
    }
  }

 private:
  struct Slot {
    std::uint32_t check = 0;
    std::int32_t id = -1;
  };
  std::size_t slot(std::uint64_t hash) const { return static_cast<std::size_t>(hash * 0x9E3779B97F4A7C15u >> shift_); }

  std::string name_;
  std::vector<std::string> tokens_;
  std::vector<std::int32_t> keys_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  int shift_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace capstan::data
