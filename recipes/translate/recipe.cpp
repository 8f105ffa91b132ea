#include "recipes/translate/recipe.h"

#include <cmath>
#include <memory>
#include <vector>

#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "nn/generation/transformer_decoder.h"
#include "nn/models/transformer.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/transformer.h"
#include "recipes/tasks/translation/task.h"

namespace capstan::translate {
namespace {

namespace task = translation;

struct Config : task::Options {
  nn::TransformerModelOptions model;

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

nn::TransformerModel::Tokens tokens(const task::Side& side) { return {.ids = side.ids, .real = side.real, .keys = side.keys}; }

std::unique_ptr<nn::Decoder> decoder(const nn::TransformerModel& model, const task::DecoderSize& size) {
  const double scale = std::sqrt(static_cast<double>(model.options().hidden_size));
  return std::make_unique<nn::TransformerDecoder>(
      model.encoder(),
      nn::TransformerTables{.embedding = model.source_table().value(), .scale = scale, .positions = model.source_positions()},
      model.decoder(),
      nn::TransformerTables{.embedding = model.target_table().value(),
                            .scale = scale,
                            .positions = model.target_positions(),
                            .output = model.output_table().value()},
      nn::TransformerDecoderOptions{.lines = size.lines,
                                    .beams = size.beams,
                                    .max_length = size.max_length,
                                    .max_source = size.max_source,
                                    .weights = size.weights,
                                    .cache = size.cache});
}

task::Network network(const nn::TransformerModelOptions& options, const nn::Scope& scope, std::int64_t source_vocabulary,
                      std::int64_t target_vocabulary, DType precision) {
  const auto model = std::make_shared<const nn::TransformerModel>(
      scope, nn::TransformerModel::Vocabularies{source_vocabulary, target_vocabulary}, options, precision);
  const bool joint = options.tied == nn::TiedTables::all;
  task::Network out{.hidden =
                        [model](const task::Batch& batch, const nn::Run& run) {
                          const nn::TransformerModel::Tokens source = tokens(batch.source);
                          const Tensor h = model->decode(tokens(batch.target), model->encode(source, run), source, run);  // [B, T, H]
                          return index_select(flatten(h, 0, 1), 0, batch.tokens);                                         // [N, H]
                        },
                    .output_weight = model->output_table(),
                    .source_parameters = {model->source_table()},
                    .max_positions = options.max_positions,
                    .decoder = [model](const task::DecoderSize& size) { return decoder(*model, size); },
                    .attention =
                        [model](const task::Batch& batch) {
                          const nn::TransformerModel::Tokens source = tokens(batch.source);
                          const auto both = model->decode_with_attention(tokens(batch.target), model->encode(source, {}), source, {});
                          return select(mean(both.second, {1}), 0, 0);  // [T, S]
                        }};
  if (!joint) {
    out.target_parameters = {model->target_table()};
    if (options.tied == nn::TiedTables::none) out.target_parameters.push_back(model->output_table());
  }
  return out;
}

class Translate : public task::Task {
 public:
  static constexpr std::string_view name = "translate";
  using Config = translate::Config;

  Translate(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope, [&](const nn::Scope& below, std::int64_t source_vocabulary, std::int64_t target_vocabulary) {
          return network(config.model, below, source_vocabulary, target_vocabulary, setup.precision);
        }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) { return formats::transformer_forms(config.model); }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adam);
    o.optimizer.learning_rate = 1e-3;
    o.optimizer.beta2 = 0.98;
    o.optimizer.epsilon = 1e-9;
    o.schedule.kind = engine::ScheduleKind::inverse_sqrt;
    o.schedule.warmup_steps = 600;
    o.train.batch_size = 1500;
    o.train.epochs = 10;
    o.train.clip_norm = 1;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<Translate>(); }

}  // namespace capstan::translate
