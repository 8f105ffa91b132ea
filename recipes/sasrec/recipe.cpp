#include "recipes/sasrec/recipe.h"

#include <memory>
#include <vector>

#include "nn/models/sasrec.h"
#include "recipes/engine/erased_recipe.h"
#include "recipes/formats/sasrec.h"
#include "recipes/tasks/next_item/task.h"

namespace capstan::sasrec {
namespace {

struct Config : next_item::Options {
  nn::SasrecOptions model;

  template <class V>
  void visit(V& v) {
    v.section("model", model);
    next_item::Options::visit(v);
  }
};

next_item::Network network(const nn::SasrecOptions& options, const nn::Scope& scope, std::int64_t item_count, DType precision) {
  const auto model = std::make_shared<const nn::Sasrec>(scope, item_count, options, precision);
  return {.form = {.max_length = options.max_length, .packed = options.packed},
          .hidden = [model](const Tensor& items, const nn::TokenLayout& layout,
                            const nn::Run& run) { return model->hidden(items, layout, run); },
          .item_table = model->item_table(),
          .position_table = model->position_table()};
}

class Sasrec : public next_item::Task {
 public:
  static constexpr std::string_view name = "sasrec";
  using Config = sasrec::Config;

  Sasrec(const Config& config, const engine::Setup& setup, const nn::Scope& scope)
      : Task(config, setup, scope,
             [&](const nn::Scope& below, std::int64_t items) { return network(config.model, below, items, setup.precision); }) {}

  static std::vector<engine::ForeignForm> foreign_forms(const Config& config) { return formats::sasrec_forms(config.model); }
  static void defaults(engine::EngineOptions& o) {
    o.optimizer = engine::published(engine::OptimizerKind::adam_tensorflow);
    o.optimizer.beta2 = 0.98;
    o.evaluate.batch_size = 256;
    o.predict.batch_size = 256;
  }
};

}  // namespace

engine::RecipeEntry recipe() { return engine::entry<Sasrec>(); }

}  // namespace capstan::sasrec
