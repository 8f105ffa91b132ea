#include "recipes/engine/erased_recipe.h"

namespace capstan {

struct Recipe {
  static constexpr std::string_view name = "mine";
  struct Config {
    template <class V>
    void visit(V&) {}
  };
  struct Batch {};
  struct Evaluation {
    std::vector<engine::Accumulator*> accumulators() { return {}; }
  };
  struct Query {};
  Recipe(const Config&, const engine::Setup&, const nn::Scope&) {}
  std::int64_t size(engine::Split) const { return 0; }
  Batch batch(const engine::Samples&) const { return {}; }
#ifndef BROKEN
  Tensor loss(const Batch&, const nn::Run&) { return {}; }
#endif
  void evaluate(const Batch&, Evaluation&, const nn::Run&) {}
  Query query(const std::string&, std::int64_t) { return {}; }
  std::vector<std::string> answer(std::span<const Query>, const nn::Run&) { return {}; }
};

engine::RecipeEntry recipe() { return engine::entry<Recipe>(); }

}  // namespace capstan
