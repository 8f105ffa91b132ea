#include "recipes/tasks/masked_lm/dataset.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::masked_lm {
namespace {

constexpr std::string_view kVocabulary = "vocabulary", kLowerCase = "lower_case", kTokenizer = "tokenizer", kStripAccents = "strip_accents";
constexpr std::int64_t kCountedTokens = 10'000'000;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

Dataset::HeldOut::HeldOut(const std::string& path, const data::Vocabulary& vocabulary, const data::PretrainingOptions& options)
    : corpus(path), instances(corpus, vocabulary, options) {}

Dataset::Dataset(const DataOptions& data, const InstanceOptions& instances, std::int64_t held_out, const engine::Setup& setup)
    : limit_(held_out),
      prepared_(prepare_data(data, instances, setup, nullptr)),
      vocabulary_(std::make_shared<data::Vocabulary>(data::load_vocabulary(prepared_.vocabulary, prepared_.tokenizer.variant))),
      train_(prepared_.train) {
  train_.require_vocabulary(*vocabulary_);
  const data::PretrainingOptions options = pretraining_options(instances);
  const auto open = [&](const std::string& path) {
    return path.empty() ? nullptr : std::make_unique<const HeldOut>(path, *vocabulary_, options);
  };
  validation_ = open(prepared_.validation);
  test_ = open(prepared_.test);
  if (instances.kind == InstanceKind::dynamic) {
    dynamic_.emplace(train_, *vocabulary_, options);
    return;
  }
  require<DataError>(!prepared_.instances.empty(), "masked_lm: ", data.prepared,
                     " holds no instances of create_pretraining_data: prepare it with instances.kind = original");
  original_.emplace(prepared_.instances, *vocabulary_);
  require<DataError>(original_->longest() <= instances.max_length, "masked_lm: ", data.prepared,
                     " holds an instance longer than instances.max_length: ", original_->longest(), " tokens, ", instances.max_length);
}

std::int64_t Dataset::size(engine::Split split) const {
  if (split == engine::Split::train) return dynamic_ ? dynamic_->size() : original_->size();
  const auto& text = held_out(split);
  if (!text) return 0;
  return limit_ > 0 ? std::min(limit_, text->instances.size()) : text->instances.size();
}

data::Instance Dataset::instance(engine::Split split, std::int64_t epoch, std::int64_t index) const {
  if (split == engine::Split::train) return dynamic_ ? dynamic_->get(epoch, index) : original_->get(index);
  const data::DynamicPretraining& all = held_out(split)->instances;
  return all.get(0, index * all.size() / size(split));
}

std::vector<std::int64_t> Dataset::token_counts() const {
  std::vector<std::int64_t> counts(at(vocabulary_->size()));
  for (const std::int32_t t : train_.tokens().first(at(std::min(kCountedTokens, train_.token_count())))) ++counts[at(data::id_of(t))];
  return counts;
}

std::string Dataset::summary() const {
  const auto part = [](std::string_view name, const data::Corpus& c) {
    return join_text(name, " ", c.documents(), " documents, ", c.token_count(), " tokens");
  };
  std::string out =
      join_text(vocabulary_->size(), " kinds of tokens; ", part("train", train_), ", ", size(engine::Split::train), " instances an epoch");
  if (validation_) out += "; " + part("validation", validation_->corpus);
  if (test_) out += "; " + part("test", test_->corpus);
  return out;
}

engine::NamedTensors vocabulary_artifacts(const data::Vocabulary& vocabulary, const data::TokenizerOptions& tokenizer) {
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) tokens.push_back(vocabulary.token(id));
  engine::NamedTensors out{{std::string(kLowerCase), engine::text_tensor(tokenizer.lower_case ? "yes" : "no")},
                           {std::string(kTokenizer), engine::text_tensor(std::string(name_of(tokenizer.variant)))}};
  if (tokenizer.strip_accents) out.emplace(kStripAccents, engine::text_tensor(*tokenizer.strip_accents ? "yes" : "no"));
  engine::store_lines(out, kVocabulary, tokens);
  return out;
}

std::shared_ptr<const data::Vocabulary> vocabulary_of(const engine::NamedTensors& artifacts) {
  std::vector<std::string> tokens = engine::stored_lines(artifacts, kVocabulary);
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
    require<CheckpointError>(variant.has_value(), "masked_lm: the checkpoint was made with a tokenizer that is not known here: '", name,
                             "'");
    options.variant = *variant;
  }
  return options;
}

}  // namespace capstan::masked_lm
