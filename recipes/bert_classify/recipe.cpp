#include "recipes/bert_classify/recipe.h"

#include <memory>
#include <vector>

#include "nn/models/bert_heads.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/bert.h"
#include "recipes/tasks/text_classification/task.h"

namespace capstan::bert_classify {
namespace {

namespace task = text_classification;

struct ModelOptions : nn::BertOptions {
  double classifier_dropout = 0.1;

  template <class V>
  void visit(V& v) {
    nn::BertOptions::visit(v);
    v("classifier_dropout", classifier_dropout, "share of the pooled vector set to zero in training", V::fraction()).of_training();
  }
};

struct Config : task::Options {
  ModelOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    task::Options::visit(v);
  }
  void validate() const {
    model.validate();
    task::Options::validate(model.max_positions);
  }
};

task::Network network(const ModelOptions& options, const nn::Scope& scope, std::int64_t vocab_size, std::int64_t outputs, DType precision) {
  const auto model = std::make_shared<const nn::BertClassifier>(
      scope, vocab_size, options,
      nn::BertClassifier::Head{.classes = outputs, .dropout = options.classifier_dropout, .precision = precision});
  return {.packed = options.reads_packed(),
          .logits = [model](const text::TokenBatch& batch,
                            const nn::Run& run) { return model->logits(batch.ids, batch.segments, batch.layout, run); },
          .token_parameters = {model->encoder().word_table()},
          .class_parameters = {model->classifier().weight(), model->classifier().bias()}};
}

class BertClassify : public task::Task {
 public:
  static constexpr std::string_view name = "bert_classify";
  using Config = bert_classify::Config;

  BertClassify(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope, [&](const nn::Scope& below, const task::Tokens& tokens, std::int64_t outputs) {
          return network(config.model, below, tokens.count, outputs, setup.precision);
        }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::bert_forms(config.model, {.head = formats::BertHead::classification, .dropout = &config.model.classifier_dropout});
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adamw);
    o.optimizer.learning_rate = 5e-5;
    o.optimizer.weight_decay = 0.01;
    o.schedule.kind = engine::ScheduleKind::linear;
    o.schedule.warmup_share = 0.1;
    o.train.epochs = 3;
    o.train.clip_norm = 1;
    o.predict.format = engine::AnswerFormat::jsonl;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<BertClassify>(); }

}  // namespace capstan::bert_classify
