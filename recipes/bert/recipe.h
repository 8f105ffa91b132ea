#pragma once
// BERT pretraining: the task masked_lm with the network of nn/models/bert.h. README.md says how to use it.

#include "nn/models/bert.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/tasks/masked_lm/network.h"

namespace capstan::bert {

engine::RecipeEntry recipe();

/// The network as the task uses it, built below the scope. `precision` of the matrix work, f32 or bf16.
masked_lm::Network network(const nn::BertOptions& options, const nn::Scope& scope, std::int64_t vocab_size, DType precision);

}  // namespace capstan::bert
