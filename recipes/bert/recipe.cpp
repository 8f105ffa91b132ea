#include "recipes/bert/recipe.h"

#include <memory>
#include <vector>

#include "nn/models/bert_heads.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/bert.h"
#include "recipes/tasks/masked_lm/task.h"

namespace capstan::bert {
namespace {

struct Config : masked_lm::Options {
  nn::BertOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    masked_lm::Options::visit(v);
  }
  void validate() const {
    model.validate();
    masked_lm::Options::validate(model.max_positions, model.layers);
  }
};

class Bert : public masked_lm::Task {
 public:
  static constexpr std::string_view name = "bert";
  using Config = bert::Config;

  Bert(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [&](const nn::Scope& below, std::int64_t vocab_size) { return network(config.model, below, vocab_size, setup.precision); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) {
    return formats::bert_forms(config.model, {.head = formats::BertHead::pretraining});
  }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::bert_adam);
    o.schedule.kind = engine::ScheduleKind::linear;
    o.schedule.warmup_share = 0.1;
  }
};

}  // namespace

masked_lm::Network network(const nn::BertOptions& options, const nn::Scope& scope, std::int64_t vocab_size, DType precision) {
  const auto model = std::make_shared<const nn::BertPretraining>(scope, vocab_size, options, precision);
  return {.packed = options.reads_packed(),
          .max_length = options.max_positions,
          .width = options.hidden_size,
          .encode = [model](const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout,
                            const nn::Run& run) { return model->encoder().encode(ids, segments, layout, run); },
          .all_layers = [model](const Tensor& ids, const Tensor& segments, const nn::TokenLayout& layout,
                                const nn::Run& run) { return model->encoder().all_layers(ids, segments, layout, run); },
          .transformed = [model](const Tensor& encoded, const Tensor& tokens) { return model->transformed(encoded, tokens); },
          .decoder_weight = model->word_table(),
          .decoder_bias = model->output_bias(),
          .pooler = (scope / "bert" / "pooler").path(),
          .next_sentence_head = (scope / "cls" / "seq_relationship").path(),
          .masked_lm_head = (scope / "cls" / "predictions").path(),
          .token_parameters = {model->word_table(), model->output_bias()},
          .pooled = [model](const Tensor& encoded, const nn::TokenLayout& layout) { return model->encoder().pooled(encoded, layout); },
          .next_sentence_logits = [model](const Tensor& encoded,
                                          const nn::TokenLayout& layout) { return model->next_sentence_logits(encoded, layout); }};
}

engine::RecipeEntry recipe() { return engine::entry<Bert>(); }

}  // namespace capstan::bert
