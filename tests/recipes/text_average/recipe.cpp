#include "recipes/text_average/recipe.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "autograd/capstan.h"
#include "data/sampler.h"
#include "data/text/labelled_lines.h"
#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/metrics/classification.h"

namespace capstan::text_average {
namespace {

struct Config {
  std::string train, test;
  double held_out = 0.1, dropout = 0.5;
  std::int64_t split_seed = 1, min_count = 2, width = 64;

  template <class V>
  void visit(V& v) {
    v("data.train", train, "file of lines 'label text', relative to run.data").of_use();
    v("data.test", test, "the same for test; empty: none").of_use();
    v("data.held_out", held_out, "share of the training lines set aside for validation", V::fraction()).of_data();
    v("data.split_seed", split_seed, "which lines they are", V::non_negative()).of_data();
    v("data.min_count", min_count, "words and pairs of words that occur less often are left out", V::between(1, 1e6)).of_training();
    v("model.width", width, "numbers of a vector", V::between(1, 65536));
    v("model.dropout", dropout, "share of the average set to zero in training", V::fraction()).of_training();
  }
};

/// The words of a text, and each pair of neighbours.
std::vector<std::string> terms_of(const std::string& text) {
  std::vector<std::string> out;
  std::string word, before;
  for (std::istringstream words(text); words >> word; before = word) {
    out.push_back(word);
    if (!before.empty()) out.push_back(before + " " + word);
  }
  return out;
}

class TextAverage {
 public:
  static constexpr std::string_view name = "text_average";
  using Config = text_average::Config;
  using Evaluation = engine::Classification;
  using Query = std::string;
  struct Batch {
    Tensor terms, weights, labels, numbers;  // i64 [B, T], 0 at padding; f32 [B, T, 1], 1 / number of terms; i64 [B]; i64 [B], of the texts
  };

  TextAverage(const Config& c, const engine::Setup& setup, const nn::Scope& scope)
      : classes_(engine::stored_ids(setup.artifacts, "class")), terms_(engine::stored_ids(setup.artifacts, "term")) {
    if (setup.purpose != engine::Purpose::predict) read(c, setup);
    table_ = scope.parameter("terms", {terms_.size() + 1, c.width}, nn::with_zero_row(nn::normal(0.1)), {.sparse_gradient = true});
    dropout_.emplace(scope / "dropout", c.dropout);
    classifier_.emplace(scope / "classifier", nn::LinearOptions{.in = c.width, .out = classes_.size()});
  }

  std::int64_t size(engine::Split split) const { return texts_.at(split).size(); }
  Batch batch(const engine::Samples& s) const { return batch_of(texts_.at(s.split).at(s.indices), Tensor::from(s.indices, {s.size()})); }
  Tensor loss(const Batch& b, nn::Run run) const {
    run.token_ids = b.numbers;  // what is dropped out of a text does not depend on its place in the batch
    return cross_entropy(logits(b, run), b.labels, {.reduction = Reduction::sum()}).value;
  }
  Evaluation evaluation(engine::Split) const { return Evaluation(engine::names_of(classes_), {.f1 = true}); }
  void evaluate(const Batch& b, Evaluation& e, const nn::Run& run) const { e.add(logits(b, run), b.labels); }

  Query query(std::string line, std::int64_t number) const { return engine::not_blank(std::move(line), number); }
  std::vector<std::string> answer(std::span<const Query> q, const nn::Run& run) const {
    return engine::best_classes(logits(batch_of({{q.begin(), q.end()}, std::vector<std::int64_t>(q.size())}), run), classes_);
  }
  engine::NamedTensors artifacts() const {
    engine::NamedTensors out;
    engine::store_ids(out, "class", classes_);
    engine::store_ids(out, "term", terms_);
    return out;
  }

 private:
  void read(const Config& c, const engine::Setup& setup) {
    using engine::Split;
    const auto file = [&](std::string_view key, const std::string& path, data::NewLabels labels) {
      return engine::named_by(key, [&] { return read_labelled_lines(setup.data_path(path), classes_, labels); });
    };
    const data::LabelledTexts all = file("data.train", c.train, data::NewLabels::add);
    const data::HeldOut parts = data::hold_out(all.size(), c.held_out, static_cast<std::uint64_t>(c.split_seed));
    texts_ = {{Split::train, all.at(parts.kept)}, {Split::validation, all.at(parts.held)}, {Split::test, {}}};
    if (!c.test.empty()) texts_[Split::test] = file("data.test", c.test, data::NewLabels::refuse);
    if (terms_.size() > 0) return;  // those of the checkpoint
    std::map<std::string, std::int64_t> counts;
    for (const std::string& text : texts_[Split::train].texts)
      for (const std::string& term : terms_of(text))
        if (++counts[term] == c.min_count) terms_.add(term);
  }
  Batch batch_of(const data::LabelledTexts& texts, const Tensor& numbers = {}) const {
    std::vector<std::vector<std::int64_t>> known;
    std::size_t longest = 1;
    for (const std::string& text : texts.texts) {
      known.emplace_back();
      for (const std::string& term : terms_of(text))
        if (const std::int64_t id = terms_.find(term); id >= 0) known.back().push_back(id + 1);
      longest = std::max(longest, known.back().size());
    }
    const std::int64_t count = texts.size(), length = static_cast<std::int64_t>(longest);
    Batch out{Tensor::zeros({count, length}, DType::i64), Tensor(Shape{count, length, 1}), Tensor::from(texts.labels, {count}), numbers};
    for (std::size_t b = 0; b < known.size(); ++b) {
      std::ranges::copy(known[b], out.terms.data<std::int64_t>() + b * longest);
      std::fill_n(out.weights.data<float>() + b * longest, longest, 1 / std::max(1.f, static_cast<float>(known[b].size())));
    }
    return out;
  }
  Tensor logits(const Batch& b, const nn::Run& run) const {
    const Tensor vectors = embedding(table_.value(), b.terms, {.padding_index = 0, .sparse = true});  // [B, T, width]
    return (*classifier_)((*dropout_)(sum(vectors * b.weights, {1}), run));                           // [B, classes]
  }

  data::IdMap classes_, terms_;
  std::map<engine::Split, data::LabelledTexts> texts_;
  Parameter table_;  // [terms + 1, width], row 0 for padding
  std::optional<nn::Dropout> dropout_;
  std::optional<nn::Linear> classifier_;
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<TextAverage>(); }

}  // namespace capstan::text_average
