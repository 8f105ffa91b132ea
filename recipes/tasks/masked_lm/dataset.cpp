#include "recipes/tasks/masked_lm/dataset.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/text/unicode.h"

namespace capstan::masked_lm {
namespace {

constexpr std::int64_t kCountedTokens = 10'000'000;

using data::at;

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), share > 0 && share < 0.001 ? "%.2g %%" : "%.1f %%", 100 * share);
  return text.data();
}

bool is_ideograph(std::string_view token) {
  std::size_t end = 0;
  const char32_t c = token.empty() ? 0 : data::unicode::decode(token, end);
  return end == token.size() && c >= 0x4E00 && c <= 0x9FFF;
}

std::string_view name_of(data::TextForm form) {
  switch (form) {
    case data::TextForm::sentences: return "sentences";
    case data::TextForm::paragraphs: return "paragraphs";
    case data::TextForm::prose: return "prose";
    case data::TextForm::wikitext: return "wikitext";
  }
  return "";
}

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

data::DataReport Dataset::report(const DataOptions& data, const InstanceOptions& instances) const {
  using data::grouped;
  constexpr double kManyUnknown = 0.01, kManyBeyond = 0.05;
  data::DataReport report;
  const auto counts_of = [](const data::Corpus& c) {
    return join_text(grouped(c.documents()), " documents, ", grouped(c.sentences()), " sentences, ", grouped(c.token_count()), " tokens");
  };
  const auto named = [](const std::vector<std::string>& entries) {
    return join_text(entries.front(), entries.size() > 1 ? join_text(" and ", entries.size() - 1, " more") : "", ": ");
  };
  if (data.train.empty()) {
    report.fact("train", join_text(data.prepared, ", as it was prepared: ", counts_of(train_)));
  } else {
    report.fact("train", join_text(named(data.train), "read as ", name_of(data.form), ", ", counts_of(train_)));
  }
  report.fact("instances", join_text(grouped(size(engine::Split::train)), " an epoch, ",
                                     instances.next_sentence ? "pairs of texts" : "single texts", " of ", instances.max_length,
                                     " tokens at most, up to ", data::most_predictions(pretraining_options(instances)), " masked"));
  const auto add_held_out = [&](std::string_view name, const std::unique_ptr<const HeldOut>& text,
                                const std::vector<std::string>& entries) {
    report.fact(std::string(name), text == nullptr ? "none"
                                                   : join_text(entries.empty() ? "held out of the training files: " : named(entries),
                                                               counts_of(text->corpus)));
  };
  add_held_out("validation", validation_, data.validation);
  add_held_out("test", test_, data.test);

  const std::vector<std::int64_t> counts = token_counts();
  std::int64_t counted = 0, occurring = 0;
  for (const std::int64_t c : counts) counted += c, occurring += c > 0;
  const double unknown = static_cast<double>(counts[at(vocabulary_->id("[UNK]"))]) / static_cast<double>(counted);
  report.fact("vocabulary", join_text(grouped(vocabulary_->size()), " tokens", data.vocabulary.empty() ? "" : " of " + data.vocabulary,
                                      ", ", grouped(occurring), " of them in the text; [UNK] is ", percent(unknown), " of it"));
  if (unknown > kManyUnknown)
    report.warn(join_text(percent(unknown), " of the training tokens are [UNK]: characters or words that the vocabulary of ",
                          grouped(vocabulary_->size()), " tokens lacks",
                          data.form == data::TextForm::wikitext ? ", or <unk> in the text" : "",
                          "; raise data.vocab_size or data.alphabet, or give another data.vocabulary"));

  if (instances.whole_words) {
    std::int64_t ideographs = 0, marked = 0;
    for (std::size_t id = 0; id < counts.size(); ++id)
      if (is_ideograph(vocabulary_->token(static_cast<std::int32_t>(id)))) ideographs += counts[id];
    for (const std::int32_t t : train_.tokens().first(at(counted))) marked += t != data::id_of(t) ? 1 : 0;
    if (marked > 0)
      report.fact("words", join_text(percent(static_cast<double>(marked) / static_cast<double>(counted)),
                                     " of the tokens go on with a word, as blanks between ideographs say"));
    if (marked == 0 && ideographs * 10 > counted)
      report.warn(join_text("instances.whole_words: ", percent(static_cast<double>(ideographs) / static_cast<double>(counted)),
                            " of the tokens are ideographs and each is a word of its own, for no blanks part the words of a sentence; ",
                            "segment the text"));
  }

  // What an instance has room for of a single sentence: half of it beside another text, which is cut to the same length.
  const std::int64_t room = instances.next_sentence ? (instances.max_length - 3) / 2 : instances.max_length - 2;
  std::int64_t beyond = 0;
  const auto starts = train_.sentence_starts();
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) beyond += std::max<std::int64_t>(0, starts[s + 1] - starts[s] - room);
  const double share = static_cast<double>(beyond) / static_cast<double>(train_.token_count());
  report.fact("sentences", join_text(percent(share), " of the tokens stand beyond the ", room,
                                     " that an instance has room for of a sentence, and are rarely or never used"));
  if (share > kManyBeyond)
    report.warn(join_text(
        percent(share), " of the training tokens are rarely or never used: their sentences are longer than the ", room,
        " tokens that an instance has room for; ",
        data.form == data::TextForm::sentences ? std::string("divide the lines") : join_text("set data.longest_sentence = ", room),
        " or raise instances.max_length"));
  for (const Note& note : prepared_.notes) note.what.empty() ? report.warn(note.text) : report.fact(note.what, note.text);
  return report;
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

}  // namespace capstan::masked_lm
