#pragma once
// What the tensors of language models (language_model.h) are called by others: Hugging Face transformers, LlamaForCausalLM and
// GPT2LMHeadModel with what keeps its names. GPT-2's matrices are [in, out], query, key and value in one.
//
// Files with more heads of keys and values than the model has become its own by the mean of each group of neighbouring heads (Ainslie et
// al. 2023), weights and biases, where one number divides the other.

#include <cstdint>
#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/language_model.h"

namespace capstan::nn {

/// Whether a file with tensors of these names is one.
bool is_hugging_face_language_model(std::span<const std::string> names);
/// Whether a model is of GPT-2's kind, or of Llama's, so that transformers has it as it is configured.
bool is_gpt2(const LanguageModelOptions& options);
bool is_llama(const LanguageModelOptions& options);

/// GPT-2's or Llama's, as the file's names say; none: as the options say. A bare GPT2Model or LlamaModel has no prefix.
ForeignNames hugging_face_names(const LanguageModelOptions& options, std::span<const std::string> names = {});
/// Our own names, of a model with another number of heads of keys and values.
ForeignNames own_names(const LanguageModelOptions& options);

/// Keys or values, weight [heads * head_width, ...] or bias, of fewer heads: means of groups of neighbouring heads. Undefined where theirs
/// are no multiple of ours.
Tensor averaged_heads(const Tensor& theirs, const Shape& ours, std::int64_t head_width);

}  // namespace capstan::nn
