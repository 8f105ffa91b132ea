#include "data/text/pretraining.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/at.h"
#include "data/text/python_random.h"

namespace capstan::data {
namespace {

/// [CLS] and one or two [SEP].
std::int64_t specials(const PretrainingOptions& o) { return o.next_sentence ? 3 : 2; }
using Text = std::span<const std::int32_t>;

std::int64_t length(Text text) { return static_cast<std::int64_t>(text.size()); }

/// From pairs of texts to instances. Random is PythonRandom or Rng; the draws are those of the original, in its order.
template <class Random>
class InstanceMaker {
 public:
  /// `always_masks`: pieces of a word rather than nothing, which the original may do.
  InstanceMaker(const PretrainingTokens& tokens, const PretrainingOptions& options, Random& random, bool always_masks)
      : tokens_(tokens), options_(options), random_(random), always_masks_(always_masks) {}

  Instance make(Text a, Text b, bool random_next) {
    truncate(a, b);
    Instance instance;
    instance.random_next = random_next;
    instance.first_segment = static_cast<std::int32_t>(a.size() + 2);
    auto& ids = instance.ids;
    ids.reserve(a.size() + b.size() + at(specials(options_)));
    ids.push_back(tokens_.cls);
    ids.insert(ids.end(), a.begin(), a.end());
    ids.push_back(tokens_.sep);
    if (options_.next_sentence) {
      ids.insert(ids.end(), b.begin(), b.end());
      ids.push_back(tokens_.sep);
    }
    mask(instance);
    return instance;
  }

 private:
  struct Group {
    std::size_t begin, end;  // in positions_
  };
  void mask(std::vector<std::int32_t>& ids, const Group& group) {
    for (std::size_t k = group.begin; k < group.end; ++k) {
      const std::size_t at = positions_[k];
      chosen_.emplace_back(static_cast<std::int32_t>(at), ids[at]);
      if (random_.uniform() < 0.8) {
        ids[at] = tokens_.mask;
      } else if (random_.uniform() >= 0.5) {
        ids[at] = tokens_.replacements[random_.below(tokens_.replacements.size())];
      }
    }
  }

  /// Takes tokens off either end of the longer text until both fit.
  void truncate(Text& a, Text& b) {
    while (length(a) + length(b) > options_.max_seq_length - specials(options_)) {
      Text& longer = a.size() > b.size() ? a : b;
      longer = random_.uniform() < 0.5 ? longer.subspan(1) : longer.first(longer.size() - 1);
    }
  }

  void mask(Instance& instance) {
    auto& ids = instance.ids;
    positions_.clear();
    groups_.clear();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool marked = ids[i] != id_of(ids[i]);
      ids[i] = id_of(ids[i]);
      if (ids[i] == tokens_.cls || ids[i] == tokens_.sep) continue;
      // A continuation at the beginning of the second text, where truncation has cut a word, joins the last word of the first.
      const bool joins = options_.whole_word_mask && !groups_.empty() && (marked || tokens_.is_continuation[at(ids[i])] != 0);
      if (!joins) groups_.push_back({positions_.size(), positions_.size()});
      positions_.push_back(i);
      groups_.back().end = positions_.size();
    }
    random_.shuffle(std::span(groups_));

    const auto wanted =
        static_cast<std::int64_t>(std::nearbyint(static_cast<double>(ids.size()) * options_.masked_lm_prob));  // half to even
    const auto limit = at(std::min(most_predictions(options_), std::max<std::int64_t>(1, wanted)));
    chosen_.clear();
    for (const Group& group : groups_) {
      if (chosen_.size() >= limit) break;
      if (chosen_.size() + (group.end - group.begin) > limit) continue;
      mask(ids, group);
    }
    if (always_masks_ && chosen_.empty() && !groups_.empty()) mask(ids, {groups_.front().begin, groups_.front().begin + limit});
    std::sort(chosen_.begin(), chosen_.end());
    for (const auto& [position, label] : chosen_) {
      instance.positions.push_back(position);
      instance.labels.push_back(label);
    }
  }

  const PretrainingTokens& tokens_;
  const PretrainingOptions& options_;
  Random& random_;
  bool always_masks_;
  std::vector<std::size_t> positions_;  // that may be masked
  std::vector<Group> groups_;           // that are masked together
  std::vector<std::pair<std::int32_t, std::int32_t>> chosen_;
};

/// Whole sentences from `first` on, up to `last`, until they have `enough` tokens; at least one.
std::int64_t end_of_run(const Corpus& corpus, std::int64_t first, std::int64_t last, std::int64_t enough) {
  std::int64_t end = first + 1;
  while (end < last && length(corpus.text(first, end)) < enough) ++end;
  return end;
}

/// The original algorithm over one corpus.
class OriginalMaker {
 public:
  OriginalMaker(const Corpus& corpus, const PretrainingTokens& tokens, const PretrainingOptions& options)
      : corpus_(corpus),
        options_(options),
        random_(options.seed),
        maker_(tokens, options_, random_, /*always_masks=*/false),
        documents_(at(corpus.documents())) {
    std::iota(documents_.begin(), documents_.end(), 0);
    random_.shuffle(std::span(documents_));
  }

  std::vector<std::uint32_t> run(const std::function<void(Instance&&)>& sink) {
    for (int pass = 0; pass < options_.dupe_factor; ++pass) {
      for (std::size_t place = 0; place < documents_.size(); ++place) {
        add_document(place, sink);
      }
    }
    std::vector<std::uint32_t> order(made_);
    std::iota(order.begin(), order.end(), 0u);
    random_.shuffle(std::span(order));
    return order;
  }

 private:
  std::pair<std::int64_t, std::int64_t> sentences_of(std::size_t place) const {
    const std::size_t d = at(documents_[place]);
    return {corpus_.document_starts()[d], corpus_.document_starts()[d + 1]};
  }

  void add_document(std::size_t place, const std::function<void(Instance&&)>& sink) {
    const auto [first, last] = sentences_of(place);
    const std::int64_t max_tokens = options_.max_seq_length - specials(options_);
    std::int64_t target = max_tokens;
    if (random_.uniform() < options_.short_seq_prob) target = random_.randint(2, max_tokens);
    for (std::int64_t begin = first; begin < last;) {
      const std::int64_t end = end_of_run(corpus_, begin, last, target);
      if (!options_.next_sentence) {
        emit(maker_.make(corpus_.text(begin, end), {}, false), sink);
        begin = end;
        continue;
      }
      const std::int64_t count = end - begin;
      const std::int64_t a_end = begin + (count >= 2 ? random_.randint(1, count - 1) : 1);
      const Text a = corpus_.text(begin, a_end);
      const bool random_next = count == 1 || random_.uniform() < 0.5;
      const Text b = random_next ? random_text(place, target - length(a)) : corpus_.text(a_end, end);
      emit(maker_.make(a, b, random_next), sink);
      begin = random_next ? a_end : end;  // sentences that a random text has replaced are put back
    }
  }

  void emit(Instance&& instance, const std::function<void(Instance&&)>& sink) {
    sink(std::move(instance));
    corpus_.note_visit();
    require<DataError>(++made_ <= std::numeric_limits<std::uint32_t>::max(), corpus_.path(), ": makes more instances than can be numbered");
  }

  /// Up to ten tries for another document; if all fail, the same one is still called random.
  Text random_text(std::size_t place, std::int64_t enough) {
    std::size_t other = place;
    for (int tries = 0; tries < 10 && other == place; ++tries)
      other = at(random_.randint(0, static_cast<std::int64_t>(documents_.size()) - 1));
    const auto [first, last] = sentences_of(other);
    const std::int64_t start = first + random_.randint(0, last - first - 1);
    return corpus_.text(start, end_of_run(corpus_, start, last, enough));
  }

  const Corpus& corpus_;
  const PretrainingOptions options_;
  PythonRandom random_;
  InstanceMaker<PythonRandom> maker_;
  std::vector<std::int64_t> documents_;  // shuffled
  std::uint64_t made_ = 0;
};

}  // namespace

void require_valid(const PretrainingOptions& o) {
  const auto probability = [](std::string_view name, double p) {
    require<ConfigError>(p >= 0 && p <= 1, "pretraining: ", name, " must be in [0, 1], got ", p);
  };
  const auto at_least = [](std::string_view name, std::int64_t value, std::int64_t least) {
    require<ConfigError>(value >= least, "pretraining: ", name, " must be at least ", least, ", got ", value);
  };
  at_least("max_seq_length", o.max_seq_length, 5);
  at_least("max_predictions_per_seq", o.max_predictions_per_seq, 0);
  at_least("dupe_factor", o.dupe_factor, 1);
  probability("masked_lm_prob", o.masked_lm_prob);
  probability("short_seq_prob", o.short_seq_prob);
}

std::int64_t most_predictions(const PretrainingOptions& o) {
  if (o.max_predictions_per_seq > 0) return o.max_predictions_per_seq;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::nearbyint(static_cast<double>(o.max_seq_length) * o.masked_lm_prob)));
}

PretrainingTokens::PretrainingTokens(const Vocabulary& vocabulary)
    : pad(vocabulary.id("[PAD]")),
      cls(vocabulary.id("[CLS]")),
      sep(vocabulary.id("[SEP]")),
      mask(vocabulary.id("[MASK]")),
      replacements(vocabulary.keys().begin(), vocabulary.keys().end()),
      is_continuation(at(vocabulary.size())) {
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) is_continuation[at(id)] = vocabulary.token(id).starts_with("##");
}

std::vector<std::uint32_t> make_pretraining_instances(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options,
                                                      const std::function<void(Instance&&)>& sink) {
  require_valid(options);
  corpus.require_vocabulary(vocabulary);
  const PretrainingTokens tokens(vocabulary);
  return OriginalMaker(corpus, tokens, options).run(sink);
}

std::vector<Instance> pretraining_instances(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options) {
  std::vector<Instance> made, ordered;
  const auto order = make_pretraining_instances(corpus, vocabulary, options, [&](Instance&& i) { made.push_back(std::move(i)); });
  ordered.reserve(made.size());
  for (const std::uint32_t i : order) ordered.push_back(std::move(made[i]));
  return ordered;
}

DynamicPretraining::DynamicPretraining(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options)
    : corpus_(&corpus), options_(options), tokens_(vocabulary) {
  require_valid(options);
  corpus.require_vocabulary(vocabulary);
  const auto documents = corpus.document_starts();
  for (std::size_t d = 0; d + 1 < documents.size(); ++d)
    for (std::int64_t first = documents[d]; first < documents[d + 1];) {
      runs_.push_back(first);
      first = end_of_run(corpus, first, documents[d + 1], options.max_seq_length - specials(options));
    }
  runs_.push_back(corpus.sentences());
}

Instance DynamicPretraining::get(std::int64_t epoch, std::int64_t i) const {
  require<InternalError>(i >= 0 && i < size(), "pretraining: instance ", i, " of ", size());
  corpus_->note_visit();
  Rng random(random_key(options_.seed, "pretraining instance", {static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(i)}));
  const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n))); };
  std::int64_t begin = runs_[at(i)], end = runs_[at(i) + 1];
  const std::int64_t max_tokens = options_.max_seq_length - specials(options_);
  std::int64_t target = max_tokens;
  if (random.uniform() < options_.short_seq_prob) {
    target = 2 + below(max_tokens - 1);
    begin += below(end - begin);
    end = end_of_run(*corpus_, begin, end, target);
  }
  InstanceMaker<Rng> maker(tokens_, options_, random, /*always_masks=*/true);
  if (!options_.next_sentence) return maker.make(corpus_->text(begin, end), {}, false);
  const std::int64_t count = end - begin;
  const std::int64_t middle = begin + (count >= 2 ? 1 + below(count - 1) : 1);
  const bool random_next = count == 1 || random.uniform() < 0.5;
  if (!random_next) return maker.make(corpus_->text(begin, middle), corpus_->text(middle, end), false);

  const bool back = count >= 2 && random.uniform() < 0.5;
  const Text a = back ? corpus_->text(middle, end) : corpus_->text(begin, middle);
  const auto starts = corpus_->document_starts();
  const auto document = std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin() - 1;
  std::int64_t other = 0;  // one of the other documents, by rank
  if (corpus_->documents() > 1) {
    other = below(corpus_->documents() - 1);
    other += other >= document;
  }
  const std::int64_t first = starts[at(other)], last = starts[at(other) + 1];
  const std::int64_t start = first + below(last - first);
  return maker.make(a, corpus_->text(start, end_of_run(*corpus_, start, last, target - length(a))), true);
}

PretrainingBatch pad_instances(std::span<const Instance> instances, std::int64_t length, std::int64_t predictions, std::int32_t pad_id) {
  const auto rows = static_cast<std::int64_t>(instances.size());
  PretrainingBatch batch;
  batch.input_ids = Tensor::full({rows, length}, pad_id, DType::i64);
  batch.segment_ids = Tensor::zeros({rows, length}, DType::i64);
  batch.input_mask = Tensor::zeros({rows, length}, DType::u8);
  batch.masked_positions = Tensor::zeros({rows, predictions}, DType::i64);
  batch.masked_ids = Tensor::zeros({rows, predictions}, DType::i64);
  batch.masked_weights = Tensor::zeros({rows, predictions});
  batch.next_sentence_labels = Tensor::zeros({rows}, DType::i64);
  for (std::int64_t r = 0; r < rows; ++r) {
    const Instance& x = instances[at(r)];
    const auto tokens = static_cast<std::int64_t>(x.ids.size()), masked = static_cast<std::int64_t>(x.positions.size());
    require<ShapeError>(tokens <= length && masked <= predictions, "pad_instances: an instance of ", tokens, " tokens and ", masked,
                        " predictions does not fit rows of ", length, " and ", predictions);
    std::copy(x.ids.begin(), x.ids.end(), batch.input_ids.data<std::int64_t>() + r * length);
    std::fill_n(batch.input_mask.data<std::uint8_t>() + r * length, tokens, std::uint8_t{1});
    std::fill_n(batch.segment_ids.data<std::int64_t>() + r * length + x.first_segment, tokens - x.first_segment, std::int64_t{1});
    std::copy(x.positions.begin(), x.positions.end(), batch.masked_positions.data<std::int64_t>() + r * predictions);
    std::copy(x.labels.begin(), x.labels.end(), batch.masked_ids.data<std::int64_t>() + r * predictions);
    std::fill_n(batch.masked_weights.data<float>() + r * predictions, masked, 1.0f);
    batch.next_sentence_labels.data<std::int64_t>()[r] = x.random_next ? 1 : 0;
  }
  return batch;
}

}  // namespace capstan::data
