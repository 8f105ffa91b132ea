#include "recipes/bert_spans/recipe.h"

#include <memory>
#include <vector>

#include "autograd/core/error.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/bert.h"
#include "recipes/tasks/span_extraction/task.h"

namespace capstan::bert_spans {
namespace {

struct Config : span_extraction::Options {
  nn::BertOptions model{.packed = false};

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    span_extraction::Options::visit(v);
  }
  void validate() const {
    model.validate();
    require<ConfigError>(!model.packed,
                         "bert_spans: model.packed must be false: the loss is over all positions of spans.max_length, padding among them");
    span_extraction::Options::validate(model.max_positions);
  }
};

class BertSpans : public span_extraction::Task {
 public:
  static constexpr std::string_view name = "bert_spans";
  using Config = bert_spans::Config;

  BertSpans(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [&](const nn::Scope& below, std::int64_t vocab_size) { return network(config.model, below, vocab_size, setup.precision); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::bert_forms(config.model, {.head = formats::BertHead::spans});
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::bert_adam);
    o.optimizer.learning_rate = 5e-5;
    o.schedule.kind = engine::ScheduleKind::google;
    o.schedule.warmup_share = 0.1;
    o.train.epochs = 3;
    o.train.batch_size = 32;
    o.train.clip_norm = 1;
    o.predict.format = engine::AnswerFormat::jsonl;
  }
};

}  // namespace

span_extraction::Network network(const nn::BertOptions& options, const nn::Scope& scope, std::int64_t vocab_size, DType precision) {
  const auto model = std::make_shared<const nn::BertSpans>(scope, vocab_size, options, precision);
  return {.logits = [model](const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout,
                            const nn::Run& run) { return model->logits(ids, segments, layout, run); },
          .token_parameters = {model->encoder().word_table()}};
}

engine::RecipeEntry recipe() { return engine::entry<BertSpans>(); }

}  // namespace capstan::bert_spans
