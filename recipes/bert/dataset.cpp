#include "recipes/bert/dataset.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "data/sampler.h"

namespace capstan::bert {
namespace {

constexpr std::string_view kVocabulary = "vocabulary", kLowerCase = "lower_case", kTokenizer = "tokenizer";
constexpr std::int64_t kCountedTokens = 10'000'000;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::optional<data::Corpus> open(const std::string& path) {
  return path.empty() ? std::optional<data::Corpus>() : std::make_optional<data::Corpus>(path);
}

}  // namespace

Dataset::Dataset(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup)
    : options_(instances),
      seed_(setup.seed),
      prepared_(prepare_data(data, instances, setup, nullptr)),
      vocabulary_(std::make_shared<data::Vocabulary>(data::load_vocabulary(prepared_.vocabulary, prepared_.tokenizer.variant))),
      train_(prepared_.train),
      validation_(open(prepared_.validation)),
      test_(open(prepared_.test)) {
  for (const data::Corpus* corpus : {&train_, validation_ ? &*validation_ : &train_, test_ ? &*test_ : &train_})
    corpus->require_vocabulary(*vocabulary_);
  if (options_.kind == InstanceKind::dynamic) {
    dynamic_.emplace(train_, *vocabulary_, pretraining_options(options_));
    return;
  }
  require<DataError>(!prepared_.instances.empty(), "bert: ", data.prepared,
                     " holds no instances of create_pretraining_data: prepare it with instances.kind = original");
  original_.emplace(prepared_.instances, *vocabulary_);
  require<DataError>(original_->longest() <= options_.max_length, "bert: ", data.prepared,
                     " holds an instance longer than instances.max_length: ", original_->longest(), " tokens, ", options_.max_length);
}

std::int64_t Dataset::size() const { return dynamic_ ? dynamic_->size() : original_->size(); }

std::shared_ptr<const Dataset::Order> Dataset::order_of(std::int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  if (!order_ || order_->epoch != epoch)
    order_ = std::make_shared<Order>(Order{epoch, data::shuffled(size(), seed_, static_cast<std::uint64_t>(epoch))});
  return order_;
}

std::vector<data::Instance> Dataset::training(std::int64_t epoch, std::int64_t first, std::int64_t count) const {
  const auto order = order_of(epoch);
  std::vector<data::Instance> out;
  for (std::int64_t place = first; place < std::min(first + count, size()); ++place) {
    const std::int64_t i = order->places[at(place)];
    out.push_back(dynamic_ ? dynamic_->get(epoch, i) : original_->get(i));
  }
  return out;
}

std::vector<data::Instance> Dataset::evaluation(engine::Split split, std::int64_t limit) const {
  std::vector<data::Instance> out;
  const auto& corpus = held_out(split);
  if (!corpus) return out;
  const data::DynamicPretraining all(*corpus, *vocabulary_, pretraining_options(options_));
  const std::int64_t count = limit > 0 ? std::min(limit, all.size()) : all.size();
  for (std::int64_t i = 0; i < count; ++i) out.push_back(all.get(0, i * all.size() / count));
  return out;
}

std::vector<std::int64_t> Dataset::token_counts() const {
  std::vector<std::int64_t> counts(at(vocabulary_->size()));
  for (const std::int32_t id : train_.tokens().first(at(std::min(kCountedTokens, train_.token_count())))) ++counts[at(id)];
  return counts;
}

std::string Dataset::summary() const {
  const auto part = [](std::string_view name, const data::Corpus& c) {
    return join_text(name, " ", c.documents(), " documents, ", c.token_count(), " tokens");
  };
  std::string out = join_text(vocabulary_->size(), " kinds of tokens; ", part("train", train_), ", ", size(), " instances an epoch");
  if (validation_) out += "; " + part("validation", *validation_);
  if (test_) out += "; " + part("test", *test_);
  return out;
}

engine::NamedTensors vocabulary_artifacts(const data::Vocabulary& vocabulary, const data::TokenizerOptions& tokenizer) {
  std::string text;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) text += vocabulary.token(id) + "\n";
  return {{std::string(kVocabulary), engine::text_tensor(text)},
          {std::string(kLowerCase), engine::text_tensor(tokenizer.lower_case ? "yes" : "no")},
          {std::string(kTokenizer), engine::text_tensor(std::string(name_of(tokenizer.variant)))}};
}

std::shared_ptr<const data::Vocabulary> vocabulary_of(const engine::NamedTensors& artifacts) {
  const auto found = artifacts.find(kVocabulary);
  if (found == artifacts.end()) return nullptr;
  const std::string text = engine::tensor_text(found->second);
  std::vector<std::string> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    tokens.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return std::make_shared<data::Vocabulary>(std::move(tokens), "vocabulary of the checkpoint");
}

data::TokenizerOptions tokenizer_of(const engine::NamedTensors& artifacts) {
  data::TokenizerOptions options;  // checkpoints without these are of the original tokenizer, uncased
  if (const auto found = artifacts.find(kLowerCase); found != artifacts.end())
    options.lower_case = engine::tensor_text(found->second) == "yes";
  if (const auto found = artifacts.find(kTokenizer); found != artifacts.end()) {
    const std::string name = engine::tensor_text(found->second);
    const auto variant = data::variant_named(name);
    require<CheckpointError>(variant.has_value(), "bert: the checkpoint was made with a tokenizer that is not known here: '", name, "'");
    options.variant = *variant;
  }
  return options;
}

}  // namespace capstan::bert
