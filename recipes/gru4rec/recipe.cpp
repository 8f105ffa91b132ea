#include "recipes/gru4rec/recipe.h"

#include <memory>
#include <vector>

#include "nn/models/gru4rec.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/gru4rec.h"
#include "recipes/tasks/next_event/task.h"

namespace capstan::gru4rec {
namespace {

struct Config : next_event::Options {
  nn::Gru4RecOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    next_event::Options::visit(v);
  }
};

next_event::Network make_network(const nn::Gru4RecOptions& options, const nn::Scope& scope, std::int64_t item_count) {
  const auto model = std::make_shared<const nn::Gru4Rec>(scope, item_count, options);
  return {.step = [model](const Tensor& inputs, nn::Hidden& hidden, const nn::Run& run) { return model->step(inputs, hidden, run); },
          .start = [model](std::int64_t slots) { return model->start(slots); },
          .scores = [model](const Tensor& output) { return model->scores(output); },
          .table = model->table(),
          .bias = model->bias(),
          .item_parameters = model->item_parameters()};
}

class Gru4Rec : public next_event::Task {
 public:
  static constexpr std::string_view name = "gru4rec";
  using Config = gru4rec::Config;

  Gru4Rec(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [options = config.model](const nn::Scope& below, std::int64_t items) { return make_network(options, below, items); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) { return formats::gru4rec_forms(config.model); }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adagrad);
    o.optimizer.learning_rate = 0.05;
    o.evaluate.batch_size = 256;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<Gru4Rec>(); }

}  // namespace capstan::gru4rec
