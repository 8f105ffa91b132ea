#include "recipes/tasks/language_modelling/vocabulary.h"

#include <algorithm>
#include <array>
#include <utility>

#include "autograd/core/error.h"
#include "data/text/unicode.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/language_modelling/tokenizer_vocabulary.h"

namespace capstan::language_modelling {
namespace {

namespace unicode = data::unicode;

constexpr std::string_view kKind = "token_kind", kContent = "vocabulary";  // artifacts
constexpr std::string_view kByte = "byte", kCharacter = "character", kSubword = "subword";
constexpr std::string_view kHex = "0123456789ABCDEF";

std::string hex_text(std::uint32_t value, int digits) {
  std::string out;
  for (int d = digits - 1; d >= 0; --d) out.push_back(kHex[(value >> (4 * d)) & 15]);
  return out;
}

class Bytes final : public Vocabulary {
 public:
  std::int64_t size() const override { return 256; }
  std::string description() const override { return "256 bytes"; }
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> out;
    out.reserve(text.size());
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    return out;
  }
  void append(std::int32_t token, std::string& text) const override { text.push_back(static_cast<char>(token)); }
  std::string name(std::int32_t token) const override { return "0x" + hex_text(static_cast<std::uint32_t>(token), 2); }
  std::int32_t line_end() const override { return '\n'; }
  std::string_view kind() const override { return kByte; }
  std::string content() const override { return ""; }
};

/// 0 is [UNK]; the others are in the order of their code points.
class Characters final : public Vocabulary {
 public:
  explicit Characters(std::u32string characters) : characters_(std::move(characters)) {
    require<CheckpointError>(std::ranges::adjacent_find(characters_, std::ranges::greater_equal()) == characters_.end(),
                             "vocabulary: characters must ascend, each once");
  }
  static Characters of_text(std::string_view text) {
    std::u32string found;
    std::vector<bool> seen(0x110000);
    for (std::size_t at = 0; at < text.size();) seen[unicode::decode(text, at)] = true;
    for (char32_t c = 0; c < seen.size(); ++c)
      if (seen[c]) found.push_back(c);
    return Characters(std::move(found));
  }

  std::int64_t size() const override { return std::ssize(characters_) + 1; }
  std::string description() const override { return join_text(characters_.size(), " characters and [UNK]"); }
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> out;
    for (std::size_t at = 0; at < text.size();) out.push_back(token_of(unicode::decode(text, at)));
    return out;
  }
  void append(std::int32_t token, std::string& text) const override {
    unicode::append_utf8(text, token == 0 ? unicode::kReplacement : characters_[static_cast<std::size_t>(token - 1)]);
  }
  std::string name(std::int32_t token) const override {
    std::string out;
    if (token == 0) return "[UNK]";
    append(token, out);
    return out;
  }
  std::int32_t unknown() const override { return 0; }
  std::int32_t line_end() const override { return token_of('\n') == 0 ? -1 : token_of('\n'); }
  std::string_view kind() const override { return kCharacter; }
  std::string content() const override { return unicode::to_utf8(characters_); }

 private:
  std::int32_t token_of(char32_t c) const {
    const auto found = std::ranges::lower_bound(characters_, c);
    return found == characters_.end() || *found != c ? 0 : static_cast<std::int32_t>(found - characters_.begin()) + 1;
  }
  std::u32string characters_;
};

/// Lines are cut by themselves; [EOS] is a line end. Runs of blanks, and those at the ends of lines, are lost.
class Subwords final : public Vocabulary {
 public:
  explicit Subwords(text::SharedSubwords model) : model_(std::move(model)) {
    require<DataError>(model_->end() >= 0, "language_modelling: a vocabulary of subwords needs a piece for the end of a line, [EOS]");
  }
  std::int64_t size() const override { return model_->size(); }
  std::string description() const override { return join_text(model_->size(), " pieces"); }
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> out;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::vector<std::int32_t> line = model_->encode(text.substr(begin, end - begin));
      out.insert(out.end(), line.begin(), line.end());
      if (end < text.size()) out.push_back(model_->end());
      begin = end + 1;
    }
    return out;
  }
  void append(std::int32_t token, std::string& text) const override {
    constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581
    if (token == model_->end()) {
      text.push_back('\n');
    } else if (token == model_->unknown()) {
      unicode::append_utf8(text, unicode::kReplacement);
    } else if (const int byte = model_->byte(token); byte >= 0) {
      text.push_back(static_cast<char>(byte));
    } else if (token != model_->begin() && token != model_->padding()) {
      const std::string piece = model_->piece(token);
      for (std::size_t at = 0; at < piece.size();) {
        const bool blank = piece.compare(at, kBlank.size(), kBlank) == 0;
        if (!blank) text.push_back(piece[at]);
        if (blank && !text.empty() && text.back() != '\n') text.push_back(' ');  // a line's first piece begins with one
        at += blank ? kBlank.size() : 1;
      }
    }
  }
  std::string name(std::int32_t token) const override { return model_->piece(token); }
  std::int32_t unknown() const override { return model_->unknown(); }
  std::int32_t line_end() const override { return model_->end(); }
  std::string_view kind() const override { return kSubword; }
  std::string content() const override { return model_->bytes(); }

 private:
  text::SharedSubwords model_;
};

std::string_view name_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::byte: return kByte;
    case TokenKind::character: return kCharacter;
    case TokenKind::subword: return kSubword;
    case TokenKind::byte_bpe: return kByteBpe;
    case TokenKind::sentencepiece: return kSentencepiece;
  }
  throw InternalError("language_modelling: unknown kind of tokens");
}

text::SharedSubwords learned(const DataOptions& data, std::string_view training_text) {
  std::size_t begin = 0;
  return std::make_shared<const data::SubwordModel>(data::SubwordModel::learned(data.subwords, [&](std::string_view& line) {
    while (begin < training_text.size()) {
      const std::size_t end = std::min(training_text.find('\n', begin), training_text.size());
      line = unicode::strip(training_text.substr(begin, end - begin));
      begin = end + 1;
      if (!line.empty()) return true;
    }
    return false;
  }));
}

/// That of data.tokenizer.
ChosenVocabulary named_tokenizer(const DataOptions& data, const engine::Setup& setup) {
  require<ConfigError>(!data.tokenizer.empty(), "language_modelling: data.tokens = ", name_of(data.tokens),
                       " is a tokenizer made elsewhere: that of a model directory in init.from, or one that data.tokenizer names");
  const std::string path = setup.data_path(data.tokenizer);
  return engine::named_by("data.tokenizer", [&]() -> ChosenVocabulary {
    if (data.tokens == TokenKind::byte_bpe) return {byte_bpe_vocabulary(data::ByteBpe::read(path)), path};
    return {sentencepiece_vocabulary(data::SubwordModel::read(path)), path};
  });
}

}  // namespace

std::vector<std::int64_t> Vocabulary::encode_prompt(std::string_view prompt) const {
  if (const std::size_t bad = unicode::first_invalid(prompt); bad != std::string_view::npos)
    throw DataError(
        join_text("the prompt is not UTF-8: its byte ", bad + 1, " is 0x", hex_text(static_cast<unsigned char>(prompt[bad]), 2)));
  const std::vector<std::int32_t> tokens = encode(prompt);
  if (unknown() >= 0 && std::ranges::find(tokens, unknown()) != tokens.end())
    for (std::size_t at = 0; at < prompt.size();) {
      const std::size_t begin = at;
      const char32_t c = unicode::decode(prompt, at);
      const std::vector<std::int32_t> alone = encode(prompt.substr(begin, at - begin));
      require<DataError>(std::ranges::find(alone, unknown()) == alone.end(), "the prompt has the character '",
                         prompt.substr(begin, at - begin), "' (U+", hex_text(c, c > 0xFFFF ? 6 : 4),
                         "), which no token of the model stands for");
    }
  std::vector<std::int64_t> out(tokens.begin(), tokens.end());
  if (begin_of_text() >= 0) out.insert(out.begin(), begin_of_text());
  return out;
}

std::int64_t Vocabulary::start() const {
  const std::int32_t token = end_of_text() >= 0 ? end_of_text() : line_end();
  require<DataError>(token >= 0, "the prompt must not be empty: the model has no token that a text begins behind, such as a line end");
  return token;
}

std::string Vocabulary::decode(std::span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t t : tokens) append(t, text);
  return text;
}

SharedVocabulary make_vocabulary(const DataOptions& data, std::string_view training_text) {
  switch (data.tokens) {
    case TokenKind::byte: return std::make_shared<const Bytes>();
    case TokenKind::character: return std::make_shared<const Characters>(Characters::of_text(training_text));
    case TokenKind::subword: return std::make_shared<const Subwords>(learned(data, training_text));
    case TokenKind::byte_bpe:
    case TokenKind::sentencepiece: break;  // nothing is learned
  }
  throw InternalError("language_modelling: unknown kind of tokens");
}

SharedVocabulary character_vocabulary(std::u32string characters) { return std::make_shared<const Characters>(std::move(characters)); }

ChosenVocabulary choose_vocabulary(const DataOptions& data, const engine::Setup& setup, std::string_view training_text,
                                   const std::string& key) {
  const auto chosen = [&]() -> ChosenVocabulary {
    if (auto own = of_artifacts(setup.artifacts)) return {std::move(own), "the checkpoint's"};
    if (auto initial = of_artifacts(setup.initial)) return {std::move(initial), setup.resumed ? "the run's" : "of the model in init.from"};
    if (data.tokens == TokenKind::byte_bpe || data.tokens == TokenKind::sentencepiece) return named_tokenizer(data, setup);
    if (data.tokens == TokenKind::subword && !data.prepared.empty() && data.origin == Origin::files)
      return prepared_vocabulary(data, training_text, key);
    return {make_vocabulary(data, training_text), "of the training text"};
  };
  ChosenVocabulary out = chosen();
  require<ConfigError>(out.vocabulary->kind() == name_of(data.tokens), "language_modelling: data.tokens is ", name_of(data.tokens),
                       ", but the vocabulary, ", out.origin, ", is of kind ", out.vocabulary->kind());
  return out;
}

ChosenVocabulary prepared_vocabulary(const DataOptions& data, std::string_view training_text, const std::string& key) {
  require<ConfigError>(data.tokens == TokenKind::subword && data.origin == Origin::files,
                       "language_modelling: there is nothing to prepare but for data.tokens = subword of files");
  require<ConfigError>(!data.prepared.empty(), "language_modelling: data.prepared names no directory to keep the vocabulary in");
  const std::string directory = engine::expand_home(data.prepared);
  const text::PreparedSubwords kept =
      text::prepared_subwords(directory, {"subwords.model"}, key, [&] { return std::vector{learned(data, training_text)}; });
  return {std::make_shared<const Subwords>(kept.models.front()),
          kept.learned ? "learned from the training text" : join_text("prepared, ", directory)};
}

void store(const Vocabulary& v, engine::NamedTensors& artifacts) {
  artifacts.insert_or_assign(std::string(kKind), engine::text_tensor(v.kind()));
  if (!v.content().empty()) artifacts.insert_or_assign(std::string(kContent), engine::text_tensor(v.content()));
}

SharedVocabulary of_artifacts(const engine::NamedTensors& artifacts) {
  const auto kind = artifacts.find(kKind), content = artifacts.find(kContent);
  if (kind == artifacts.end()) return nullptr;
  const std::string name = engine::tensor_text(kind->second),
                    bytes = content == artifacts.end() ? "" : engine::tensor_text(content->second);
  if (name == kByte) return std::make_shared<const Bytes>();
  if (name == kCharacter) return character_vocabulary(unicode::to_utf32(bytes));
  if (auto made = tokenizer_vocabulary(name, bytes)) return made;
  require<CheckpointError>(name == kSubword, "language_modelling: the model's tokens are of an unknown kind: '", name, "'");
  return std::make_shared<const Subwords>(std::make_shared<const data::SubwordModel>(bytes, kContent));
}

std::vector<std::string> token_names(const engine::NamedTensors& artifacts) {
  std::vector<std::string> out;
  if (const SharedVocabulary v = of_artifacts(artifacts))
    for (std::int64_t i = 0; i < v->size(); ++i) out.push_back(v->name(static_cast<std::int32_t>(i)));
  return out;
}

}  // namespace capstan::language_modelling
