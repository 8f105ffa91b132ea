#include "recipes/tasks/text/vocabulary.h"

#include <string_view>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::text {
namespace {

constexpr std::string_view kVocabulary = "vocabulary", kLowerCase = "lower_case", kTokenizer = "tokenizer", kStripAccents = "strip_accents";

}  // namespace

engine::NamedTensors vocabulary_artifacts(const data::Vocabulary& vocabulary, const data::TokenizerOptions& tokenizer) {
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) tokens.push_back(vocabulary.token(id));
  engine::NamedTensors out{{std::string(kLowerCase), engine::text_tensor(tokenizer.lower_case ? "yes" : "no")},
                           {std::string(kTokenizer), engine::text_tensor(std::string(name_of(tokenizer.variant)))}};
  if (tokenizer.strip_accents) out.emplace(kStripAccents, engine::text_tensor(*tokenizer.strip_accents ? "yes" : "no"));
  engine::store_lines(out, kVocabulary, tokens);
  return out;
}

std::vector<std::string> tokens_of(const engine::NamedTensors& artifacts) { return engine::stored_lines(artifacts, kVocabulary); }

std::shared_ptr<const data::Vocabulary> vocabulary_of(const engine::NamedTensors& artifacts) {
  std::vector<std::string> tokens = tokens_of(artifacts);
  return tokens.empty() ? nullptr : std::make_shared<data::Vocabulary>(std::move(tokens), "vocabulary of the checkpoint");
}

data::TokenizerOptions tokenizer_of(const engine::NamedTensors& artifacts) {
  data::TokenizerOptions options;  // checkpoints without these are of the original tokenizer, uncased
  if (const auto found = artifacts.find(kLowerCase); found != artifacts.end())
    options.lower_case = engine::tensor_text(found->second) == "yes";
  if (const auto found = artifacts.find(kStripAccents); found != artifacts.end())
    options.strip_accents = engine::tensor_text(found->second) == "yes";
  if (const auto found = artifacts.find(kTokenizer); found != artifacts.end()) {
    const std::string name = engine::tensor_text(found->second);
    const auto variant = data::variant_named(name);
    require<CheckpointError>(variant.has_value(), "the checkpoint was made with a tokenizer that is not known here: '", name, "'");
    options.variant = *variant;
  }
  return options;
}

TextReader text_reader(const VocabularyKeys& keys, const engine::Setup& setup, const std::function<data::Vocabulary()>& learn) {
  if (auto own = vocabulary_of(setup.artifacts)) return {std::move(own), tokenizer_of(setup.artifacts)};
  if (setup.resumed)
    if (auto own = vocabulary_of(setup.initial)) return {std::move(own), tokenizer_of(setup.initial)};
  if (!keys.vocabulary.empty())
    return engine::named_by("data.vocabulary", [&]() -> TextReader {
      return {std::make_shared<data::Vocabulary>(data::load_vocabulary(setup.data_path(keys.vocabulary), keys.tokenizer)), keys.options()};
    });
  auto initial = vocabulary_of(setup.initial);
  if (!initial && learn) return {std::make_shared<data::Vocabulary>(learn()), keys.options()};
  require<ConfigError>(initial != nullptr, "data.vocabulary: name a vocab.txt, or in init.from a model that has one");
  return {std::move(initial), tokenizer_of(setup.initial)};
}

}  // namespace capstan::text
