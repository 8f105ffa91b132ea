#pragma once
// BERT in the files of others: Hugging Face transformers, whose directories say everything about model and tokenizer, and the original
// release, of which only the tensors are read.

#include <vector>

#include "nn/models/bert.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// The head of a recipe.
enum class BertHead { pretraining, classification, spans };

struct BertHeadForm {
  BertHead head = BertHead::pretraining;
  const double* dropout = nullptr;  ///< of classification
};

/// The forms of a BERT with this head. `options` and what the head points to must outlive them: they are read when they are used.
std::vector<engine::ForeignForm> bert_forms(const nn::BertOptions& options, const BertHeadForm& head);

}  // namespace capstan::formats
