#include "recipes/language_model/recipe.h"

#include <memory>
#include <vector>

#include "autograd/ops/shape_ops.h"
#include "nn/generation/transformer_decoder.h"
#include "nn/models/language_model.h"
#include "nn/models/language_model_names.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/language_model.h"
#include "recipes/tasks/language_modelling/task.h"

namespace capstan::language_model {
namespace {

namespace task = language_modelling;

struct Config : task::Options {
  nn::LanguageModelOptions model;

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

std::unique_ptr<nn::Decoder> decoder(const nn::LanguageModel& model, const task::DecoderSize& size) {
  return std::make_unique<nn::TransformerDecoder>(
      model.layers(),
      nn::TransformerTables{.embedding = model.embedding().value(), .positions = model.positions(), .output = model.output_table().value()},
      nn::TransformerDecoderOptions{
          .lines = size.lines, .beams = size.beams, .max_length = size.max_length, .weights = size.weights, .cache = size.cache});
}

task::Network network(const nn::LanguageModelOptions& options, const nn::Scope& scope, std::int64_t vocabulary, DType precision) {
  const auto model = std::make_shared<const nn::LanguageModel>(scope, vocabulary, options, precision);
  task::Network out{.hidden =
                        [model](const task::Batch& batch, const nn::Run& run) {
                          const Tensor h = flatten(model->hidden(batch.ids, batch.keys, run), 0, 1);   // [B * T, H]
                          return batch.predicted.defined() ? index_select(h, 0, batch.predicted) : h;  // [N, H]
                        },
                    .output_weight = model->output_table(),
                    .token_parameters = {model->embedding()},
                    .max_positions = options.max_positions,
                    .cache_numbers = nn::cache_numbers(options),
                    .decoder = [model](const task::DecoderSize& size) { return decoder(*model, size); }};
  if (!options.tied) out.token_parameters.push_back(model->output_table());
  return out;
}

class LanguageModel : public task::Task {
 public:
  static constexpr std::string_view name = "language_model";
  using Config = language_model::Config;

  LanguageModel(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [&](const nn::Scope& below, std::int64_t vocabulary) { return network(config.model, below, vocabulary, setup.precision); }),
        model_(config.model) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) { return formats::language_model_forms(config.model); }
  nn::ForeignNames own_names() const { return nn::own_names(model_); }

  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adamw);
    o.optimizer.learning_rate = 1e-3;
    o.optimizer.beta2 = 0.99;
    o.optimizer.weight_decay = 0.1;
    o.schedule.kind = engine::ScheduleKind::cosine;
    o.schedule.warmup_steps = 100;
    o.schedule.final_rate = 0.1;
    o.train.batch_size = 16;
    o.train.epochs = 5;
    o.train.clip_norm = 1;
  }

 private:
  nn::LanguageModelOptions model_;
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<LanguageModel>(); }

}  // namespace capstan::language_model
