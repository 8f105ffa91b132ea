#include "recipes/tasks/language_modelling/dataset.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/prepared.h"
#include "data/synthetic/grammar.h"

namespace capstan::language_modelling {
namespace {

using engine::Purpose;
using engine::Split;

Text read_text(const DataOptions& data, const std::string& path) {
  Text out{.path = path, .text = {}};
  data::LineReader reader(path);
  for (std::string_view line; reader.next(line);) {
    out.text.append(line);
    out.text.push_back('\n');
  }
  out.not_utf8 = reader.not_utf8();
  require<DataError>(!out.text.empty(), path, ": is empty");
  require<DataError>(data.tokens != TokenKind::character || out.not_utf8.lines == 0, path,
                     ": characters need UTF-8 (data.tokens = byte reads anything): ", data::to_text(out.not_utf8));
  return out;
}

Text named_text(const DataOptions& data, const engine::Setup& setup, Split split, const std::string& file) {
  return engine::named_by(join_text("data.", engine::name_of(split)), [&] { return read_text(data, setup.data_path(file)); });
}

Text generated(const DataOptions& data, Split split) {
  const std::int64_t sentences = split == Split::train ? data.generated : data.generated / 10;
  return {.path = "generated", .text = data::grammar_text(sentences, static_cast<std::uint64_t>(split) + 1)};
}

std::int64_t count_words(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::int64_t words = std::ranges::count(text, '\n');
  for (std::size_t i = 0; i < text.size(); ++i) words += !blank(text[i]) && (i == 0 || blank(text[i - 1])) ? 1 : 0;
  return words;
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string options_text(const DataOptions& data) {
  return join_text(static_cast<int>(data.origin), " ", data.generated, " ", data.validation.empty() ? data.held_out : 0.0);
}

}  // namespace

TrainingText read_training_text(const DataOptions& data, const engine::Setup& setup) {
  if (data.origin == Origin::generated) return {.kept = generated(data, Split::train), .held_out = {}, .vocabulary_key = {}};
  require<ConfigError>(!data.train.empty(), "language_modelling: data.train names no file");
  TrainingText out{.kept = named_text(data, setup, Split::train, data.train), .held_out = {}, .vocabulary_key = {}};
  const std::string path = out.kept.path;
  if (data.validation.empty() && data.held_out > 0) {
    std::string& text = out.kept.text;
    auto cut = static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - data.held_out));
    while (cut < text.size() && continues_character(text[cut])) ++cut;
    out.held_out = {.path = join_text(path, ", the end"), .text = text.substr(cut)};
    text.resize(cut);
  }
  out.vocabulary_key = data::prepared_key(
      std::vector{path}, join_text("language_modelling vocabulary 1\n", options_text(data), "\n", text::to_text(data.subwords)));
  return out;
}

Dataset::Dataset(const Options& options, const engine::Setup& setup) {
  const DataOptions& data = options.data;
  const bool generates = data.origin == Origin::generated;
  // An evaluation needs the training text for baselines, and for what is held out of it.
  const bool has_training = setup.purpose != Purpose::evaluate || !data.train.empty() || data.validation.empty();
  TrainingText training = has_training ? read_training_text(data, setup) : TrainingText{};
  vocabulary_ = choose_vocabulary(data, setup, training.kept.text, training.vocabulary_key);
  std::vector<std::string> files;
  if (has_training && !generates) files.push_back(training.kept.path);
  digest_ = data::prepared_key(files, join_text("language_modelling 1 ", options_text(data), " ", data.length));

  if (has_training) read(Split::train, std::move(training.kept), options);
  if (generates) {
    read(Split::validation, generated(data, Split::validation), options);
  } else if (!data.validation.empty()) {
    read(Split::validation, named_text(data, setup, Split::validation, data.validation), options);
  } else if (data.held_out > 0) {
    read(Split::validation, std::move(training.held_out), options);
  }
  if (setup.purpose != Purpose::evaluate) return;
  if (generates) {
    read(Split::test, generated(data, Split::test), options);
  } else if (!data.test.empty()) {
    read(Split::test, named_text(data, setup, Split::test, data.test), options);
  } else {
    parts_[static_cast<std::size_t>(Split::test)] = parts_[static_cast<std::size_t>(Split::validation)];
  }
}

void Dataset::read(Split split, Text text, const Options& options) {
  const Vocabulary& v = *vocabulary_.vocabulary;
  Part part{.path = std::move(text.path),
            .tokens = v.encode(text.text),
            .bytes = std::ssize(text.text),
            .words = count_words(text.text),
            .not_utf8 = text.not_utf8};
  if (v.unknown() >= 0) part.unknown = std::ranges::count(part.tokens, v.unknown());
  const std::int64_t least = split == Split::train ? options.data.length + 1 : 2;
  require<DataError>(std::ssize(part.tokens) >= least, "data.", engine::name_of(split), ": ", part.path, ": has ", part.tokens.size(),
                     " tokens, too few: ", least, " are needed", split == Split::train ? ", data.length and one more" : "");
  parts_[static_cast<std::size_t>(split)] = std::make_shared<const Part>(std::move(part));
}

data::DataReport Dataset::report() const {
  data::DataReport out;
  out.fact("vocabulary", join_text(vocabulary()->description(), ", ", vocabulary_.origin));
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const Part* const p = part(split);
    if (p == nullptr) continue;
    const std::string name(engine::name_of(split));
    if (split == Split::test && p == part(Split::validation)) {
      out.fact(name, "the validation part");
      continue;
    }
    std::string text = join_text(p->path, ": ", data::grouped(std::ssize(p->tokens)), " tokens, ", data::grouped(p->bytes), " bytes, ",
                                 data::grouped(p->words), " words and line ends");
    if (p->unknown > 0) text += join_text(", ", data::grouped(p->unknown), " tokens are [UNK]");
    out.fact(name, std::move(text));
    if (p->not_utf8.lines > 0 && vocabulary()->unknown() >= 0) out.warn(join_text(p->path, ": ", data::to_text(p->not_utf8)));
  }
  return out;
}

}  // namespace capstan::language_modelling
