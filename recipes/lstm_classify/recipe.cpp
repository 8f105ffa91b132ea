#include "recipes/lstm_classify/recipe.h"
#include "recipes/engine/report/answer_pictures.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/error.h"
#include "data/figure.h"
#include "data/text/word_vectors.h"
#include "nn/models/lstm_classifier.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/engine/system.h"
#include "recipes/tasks/text/attention_picture.h"
#include "recipes/tasks/text_classification/task.h"

namespace capstan::lstm_classify {
namespace {

namespace task = text_classification;

struct ModelOptions : nn::LstmClassifierOptions {
  std::string word_vectors;

  template <class V>
  void visit(V& v) {
    nn::LstmClassifierOptions::visit(v);
    v("word_vectors", word_vectors,
      "file of word vectors that training starts from, relative to run.data: text in the form of GloVe or word2vec, plain or .gz, "
      "model.embedding numbers a word; empty: random ones")
        .of_training();
  }
};

struct PredictOptions {
  std::string pictures;

  template <class V>
  void visit(V& v) {
    v("pictures", pictures, "directory that a picture of attention (SVG) of every line is written to; empty: none");
  }
};

struct Config : task::Options {
  ModelOptions model;
  task::WordKeys words;
  PredictOptions predict;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    task::Options::visit(v);
    v.section("data", words);
    v.section("predict", predict, V::of_use());
  }
  void validate() const { task::Options::validate(/*max_positions=*/data.max_length); }
};

task::Network network_of(const ModelOptions& options, const nn::Scope& scope, const task::Tokens& tokens, std::int64_t outputs,
                         DType precision) {
  const auto model = std::make_shared<const nn::LstmClassifier>(
      scope, tokens.count, options, nn::LstmClassifier::Head{.classes = outputs, .unknown = tokens.unknown, .precision = precision});
  return {
      .packed = false,
      .logits = [model](const text::TokenBatch& batch, const nn::Run& run) { return (*model)(batch.ids, batch.layout, run).logits; },
      .attention = [model](const text::TokenBatch& batch, const nn::Run& run) { return (*model)(batch.ids, batch.layout, run).weights; },
      .token_parameters = {model->word_table()},
      .class_parameters = {model->classifier().weight(), model->classifier().bias()}};
}

class LstmClassify : public task::Task {
 public:
  static constexpr std::string_view name = "lstm_classify";
  using Config = lstm_classify::Config;

  LstmClassify(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [&](const nn::Scope& below, const task::Tokens& tokens, std::int64_t outputs) {
               return network_of(config.model, below, tokens, outputs, setup.precision);
             },
             {.frame = task::Frame::bare, .words = config.words}),
        pictures_(setup.purpose == engine::Purpose::predict ? engine::expand_home(config.predict.pictures) : "") {
    engine::make_picture_directory(pictures_);
    if (!config.model.word_vectors.empty() && setup.purpose == engine::Purpose::train && !setup.resumed)
      take_word_vectors(config.model, setup);
  }

  data::DataReport data_report() const {
    data::DataReport report = Task::data_report();
    if (!word_vectors_.empty()) report.fact("word vectors", word_vectors_);
    return report;
  }

  std::vector<std::string> answer(std::span<const Query> queries, const nn::Run& run) const {
    std::vector<std::string> answers = Task::answer(queries, run);
    if (!pictures_.empty()) draw(queries, answers, run);
    return answers;
  }

  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adam);
    o.optimizer.learning_rate = 1e-3;
    o.train.epochs = 20;
    o.train.clip_norm = 5;
    o.predict.format = engine::AnswerFormat::jsonl;
  }

 private:
  void take_word_vectors(const ModelOptions& options, const engine::Setup& setup) {
    require<ConfigError>(setup.initial.empty(), "model.word_vectors: a run that starts from init.from has the word vectors of that model");
    const std::string path = setup.data_path(options.word_vectors);
    const data::WordVectors found =
        engine::named_by("model.word_vectors", [&] { return data::load_word_vectors(path, *vocabulary(), options.embedding); });
    const auto table = text_network().token_parameters.front().write().span<float>();
    const auto width = static_cast<std::size_t>(found.width);
    for (std::size_t i = 0; i < found.tokens.size(); ++i)
      std::ranges::copy_n(found.values.begin() + static_cast<std::ptrdiff_t>(i * width), found.width,
                          table.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(found.tokens[i]) * width));
    word_vectors_ = join_text(path, ": ", data::grouped(found.lines), " words, of which ", data::grouped(std::ssize(found.tokens)),
                              " are among the ", data::grouped(vocabulary()->size()), " tokens; the others start at random");
  }

  /// Each line's words with their weights, and its answer.
  void draw(std::span<const Query> queries, std::span<const std::string> answers, const nn::Run& run) const {
    const text::TokenBatch batch = token_batch(queries);
    const std::vector<double> weights = text_network().attention(batch, run).to_vector();
    for (std::size_t i = 0; i < queries.size(); ++i) {
      data::MatrixFigure figure{
          .title = answers[i], .columns_title = "words", .rows_title = "", .columns = {}, .rows = {"attention"}, .values = {}};
      const auto first = static_cast<std::size_t>(batch.layout.length) * i;
      for (const std::int32_t id : queries[i].tokens[0].ids) {
        figure.values.push_back(static_cast<float>(weights[first + figure.columns.size()]));
        figure.columns.push_back(vocabulary()->token(id));
      }
      text::draw_attention(pictures_, queries[i].line, figure);
    }
  }

  std::string pictures_;      // a directory; empty: none are drawn
  std::string word_vectors_;  // what was found, in words
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<LstmClassify>(); }

}  // namespace capstan::lstm_classify
