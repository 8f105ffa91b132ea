#pragma once
// Question answering with BERT: the task span_extraction with the network BertSpans of nn/models/bert_heads.h. README.md says how to use
// it.

#include "nn/models/bert_heads.h"
#include "recipes/engine/any_recipe.h"
#include "recipes/tasks/span_extraction/network.h"

namespace capstan::bert_spans {

engine::RecipeEntry recipe();

/// The network as the task uses it, built below the scope. `precision` of the matrix work, f32 or bf16.
span_extraction::Network network(const nn::BertOptions& options, const nn::Scope& scope, std::int64_t vocab_size, DType precision);

}  // namespace capstan::bert_spans
