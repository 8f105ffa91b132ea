#include "data/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/text/unicode.h"
#include "data/text/word_shape.h"

namespace capstan::data {
namespace {

constexpr std::array<std::pair<std::string_view, TokenizerVariant>, 3> kVariants{
    {{"google", TokenizerVariant::google}, {"hf_slow", TokenizerVariant::hf_slow}, {"hf_fast", TokenizerVariant::hf_fast}}};

constexpr std::string_view kUnknown = "[UNK]", kContinuation = "##";

bool is_ascii_punctuation(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

bool is_punctuation(char32_t c) { return is_ascii_punctuation(c) || (c >= 0x80 && (unicode::classes(c) & unicode::kPunctuation) != 0); }

bool is_ideograph(char32_t c, TokenizerVariant variant) {
  if (c < 0x3400) return false;
  const char32_t fourth = variant == TokenizerVariant::hf_fast ? 0x2B920 : 0x2B820;
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= fourth && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_private_use(char32_t c) {
  return (c >= 0xE000 && c <= 0xF8FF) || (c >= 0xF0000 && c <= 0xFFFFD) || (c >= 0x100000 && c <= 0x10FFFD);
}

enum class Kind : std::uint8_t { drop, separator, punctuation, word, not_ascii };

constexpr auto kAsciiKinds = [] {
  std::array<Kind, 256> kinds{};
  for (std::size_t c = 0; c < 256; ++c) {
    if (c >= 0x80) {
      kinds[c] = Kind::not_ascii;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      kinds[c] = Kind::separator;
    } else if (c < 0x20 || c == 0x7F) {
      kinds[c] = Kind::drop;
    } else {
      const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      kinds[c] = alphanumeric ? Kind::word : Kind::punctuation;
    }
  }
  return kinds;
}();

Kind kind_of(char32_t c, TokenizerVariant variant) {
  if (c < 0x80) return kAsciiKinds[c];
  const auto k = unicode::classes(c);
  if ((k & unicode::kControl) != 0 || c == unicode::kReplacement) return Kind::drop;
  if ((k & unicode::kOther) != 0 && variant == TokenizerVariant::hf_slow) return Kind::drop;
  // The library of the fast tokenizer asks for Cc, Cf and Co alone.
  if (variant == TokenizerVariant::hf_fast && is_private_use(c)) return Kind::drop;
  if ((k & (unicode::kSpace | unicode::kLine)) != 0) return Kind::separator;
  return Kind::word;  // punctuation is looked for after lower-casing and decomposition
}

}  // namespace

std::string_view name_of(TokenizerVariant variant) {
  return std::ranges::find(kVariants, variant, [](const auto& v) { return v.second; })->first;
}

std::optional<TokenizerVariant> variant_named(std::string_view name) {
  const auto found = std::ranges::find(kVariants, name, [](const auto& v) { return v.first; });
  return found == kVariants.end() ? std::nullopt : std::optional(found->second);
}

namespace {

/// The vocabulary in the tokenizer.json of HF transformers.
Vocabulary vocabulary_in_json(const std::string& path) {
  const Json model = read_json(path)["model"];
  if (const auto type = model.find("type"); type && type->text() != "WordPiece") type->fail("WordPiece");
  const Json vocab = model["vocab"];
  std::vector<std::string> tokens(vocab.size());
  std::vector<bool> known(tokens.size());
  for (const auto& [token, number] : vocab.members()) {
    const std::uint64_t id = number.natural();
    if (id >= tokens.size() || known[id]) number.fail(join_text("the numbers 0 to ", tokens.size() - 1, ", each once"));
    tokens[id] = token;
    known[id] = true;
  }
  return Vocabulary(std::move(tokens), path);
}

}  // namespace

Vocabulary load_vocabulary(const std::string& path, TokenizerVariant variant) {
  using enum Vocabulary::Lines;
  if (path.ends_with(".json")) return vocabulary_in_json(path);
  return Vocabulary::load(path, variant == TokenizerVariant::google ? stripped : kept_spaces);
}

BasicTokenizer::BasicTokenizer(TokenizerOptions options)
    : options_(std::move(options)), strip_accents_(options_.strip_accents.value_or(options_.lower_case)) {
  for (const std::string& token : options_.protected_tokens) require<ConfigError>(!token.empty(), "tokenizer: a protected token is empty");
}

std::vector<std::string> BasicTokenizer::operator()(std::string_view text) const {
  Words words;
  split(text, words);
  std::vector<std::string> out;
  out.reserve(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) out.emplace_back(words[i]);
  return out;
}

void BasicTokenizer::split(std::string_view text, Words& words) const {
  if (options_.protected_tokens.empty()) return split_unprotected(text, words);
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::string_view found;
    for (const std::string& token : options_.protected_tokens)
      if (token.size() > found.size() && text.substr(at).starts_with(token)) found = token;
    if (found.empty()) {
      ++at;
      continue;
    }
    split_unprotected(text.substr(begin, at - begin), words);
    words.text_ += found;
    words.ends_.push_back({words.text_.size(), true});
    begin = at += found.size();
  }
  split_unprotected(text.substr(begin), words);
}

// Tokens between white space that are ASCII throughout, nearly all in English, go directly to the output. The first byte of
// another kind sends its token, from its beginning, through the general path: lower case and marks depend on the whole token.
void BasicTokenizer::split_unprotected(std::string_view text, Words& words) const {
  std::string& out = words.text_;
  auto& ends = words.ends_;
  const auto end_word = [&] {
    const std::size_t begin = ends.empty() ? 0 : ends.back().end;
    if (out.size() > begin) ends.push_back({out.size(), false});
  };
  std::size_t token = 0, token_bytes = out.size(), token_words = ends.size();  // where the present token began
  for (std::size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    switch (kAsciiKinds[c]) {
      case Kind::word:
        out += static_cast<char>(options_.lower_case && c >= 'A' && c <= 'Z' ? c + 32 : c);
        ++at;
        break;
      case Kind::punctuation:
        end_word();
        out += static_cast<char>(c);
        end_word();
        ++at;
        break;
      case Kind::drop: ++at; break;
      case Kind::not_ascii:
        out.resize(token_bytes);
        ends.resize(token_words);
        at = split_general(text, token, words);
        token = at;
        token_bytes = out.size();
        token_words = ends.size();
        break;
      case Kind::separator:
        end_word();
        token = ++at;
        token_bytes = out.size();
        token_words = ends.size();
        break;
    }
  }
  end_word();
}

/// Splits from `at` up to and including the next white space; returns where it stopped.
std::size_t BasicTokenizer::split_general(std::string_view text, std::size_t at, Words& words) const {
  std::u32string token;
  while (at < text.size()) {
    const char32_t c = unicode::decode(text, at);
    const Kind kind = kind_of(c, options_.variant);
    if (kind == Kind::drop) continue;
    if (kind == Kind::separator) break;
    if (options_.split_ideographs && is_ideograph(c, options_.variant)) {
      append_words(std::exchange(token, {}), words);
      append_words(std::u32string(1, c), words);
    } else {
      token += c;
    }
  }
  append_words(std::move(token), words);
  return at;
}

/// One token without white space, cleaned: lower case, accents, punctuation.
void BasicTokenizer::append_words(std::u32string token, Words& words) const {
  const auto remove_accents = [&] {
    token = unicode::nfd(token);
    std::erase_if(token, [](char32_t c) { return c >= 0x300 && (unicode::classes(c) & unicode::kMark) != 0; });
  };
  if (options_.variant == TokenizerVariant::hf_fast) {
    if (strip_accents_) remove_accents();
    if (options_.lower_case) token = unicode::lower_each(token);
  } else {
    if (options_.variant == TokenizerVariant::hf_slow) token = unicode::nfc(token);
    if (options_.lower_case) token = unicode::lower(token);
    if (strip_accents_) remove_accents();
  }
  std::size_t begin = words.text_.size();
  const auto end_word = [&] {
    if (words.text_.size() > begin) words.ends_.push_back({begin = words.text_.size(), false});
  };
  for (const char32_t c : token) {
    const bool alone = is_punctuation(c);
    if (alone) end_word();
    unicode::append_utf8(words.text_, c);
    if (alone) end_word();
  }
  end_word();
}

WordpieceTokenizer::WordpieceTokenizer(const Vocabulary& vocabulary, std::size_t max_word_length)
    : vocabulary_(&vocabulary), max_word_length_(max_word_length), unknown_(vocabulary.id(kUnknown)) {}

void WordpieceTokenizer::append(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.size() > max_word_length_ && unicode::count_code_points(word) > max_word_length_) {
    ids.push_back(unknown_);
    return;
  }
  constexpr std::size_t kKept = 128;
  std::array<std::uint64_t, kKept> hashes;  // of the prefixes of what is left; longer ones are hashed when looked for
  const std::size_t before = ids.size();
  std::string_view prefix;
  while (!word.empty()) {
    const std::uint64_t start = Vocabulary::hash(prefix);
    std::size_t length = std::min(word.size(), vocabulary_->longest());
    std::uint64_t hash = start;
    for (std::size_t i = 0; i < std::min(length, kKept); ++i) hashes[i] = hash = Vocabulary::extend(hash, word[i]);
    std::int32_t found = -1;
    for (; length > 0; --length) {
      if (length < word.size() && (static_cast<unsigned char>(word[length]) & 0xC0) == 0x80) continue;  // inside a character
      const auto tried = word.substr(0, length);
      found = vocabulary_->find(tried, length <= kKept ? hashes[length - 1] : Vocabulary::hash(tried, start), prefix);
      if (found >= 0) break;
    }
    if (found < 0) {
      ids.resize(before);
      ids.push_back(unknown_);
      return;
    }
    ids.push_back(found);
    word.remove_prefix(length);
    prefix = kContinuation;
  }
}

Tokenizer::Tokenizer(const Vocabulary& vocabulary, const TokenizerOptions& options)
    : vocabulary_(&vocabulary),
      basic_(options),
      wordpiece_(vocabulary, options.max_word_length.value_or(options.variant == TokenizerVariant::google ? 200 : 100)),
      unknown_(vocabulary.id(kUnknown)),
      plain_shape_(vocabulary.find(kPlainShape)) {
  for (const std::string& token : options.protected_tokens) vocabulary.id(token);
}

std::int32_t Tokenizer::known_by_shape(std::string_view word) const {
  if (const std::int32_t id = vocabulary_->find(unicode::to_utf8(unicode::lower(unicode::to_utf32(word)))); id >= 0) return id;
  const std::int32_t id = vocabulary_->find(shape_token(word));
  return id >= 0 ? id : plain_shape_;
}

void Tokenizer::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  Words words;
  basic_.split(text, words);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words.is_protected(i)) {
      ids.push_back(vocabulary_->id(words[i]));
    } else {
      wordpiece_.append(words[i], ids);
      if (plain_shape_ >= 0 && ids.back() == unknown_) ids.back() = known_by_shape(words[i]);
    }
  }
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode(text, ids);
  return ids;
}

std::vector<std::string> Tokenizer::pieces(std::string_view text) const {
  std::vector<std::string> out;
  for (const std::int32_t id : encode(text)) out.push_back(vocabulary_->token(id));
  return out;
}

}  // namespace capstan::data
