#pragma once
// Language models in the directories of Hugging Face transformers: LlamaForCausalLM, MistralForCausalLM without a sliding window, and
// GPT2LMHeadModel, with a byte-level BPE (tokenizer.json, vocab.json and merges.txt) or a sentencepiece model (tokenizer.model).
//
// What a config.json asks for and the model here does not compute (scaled rotary positions, other head widths, biases of some projections
// alone) is refused by its name.

#include <vector>

#include "nn/models/language_model.h"
#include "recipes/engine/pretrained/foreign_form.h"

namespace capstan::formats {

/// `options` must outlive the forms, which read it when they are used.
std::vector<engine::ForeignForm> language_model_forms(const nn::LanguageModelOptions& options);

}  // namespace capstan::formats
