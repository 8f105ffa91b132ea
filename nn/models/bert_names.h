#pragma once
// What the tensors of BERT (bert.h, bert_heads.h) are called by others.
//
// Hugging Face transformers: BertModel and its heads (BertForPreTraining, BertForMaskedLM, BertForSequenceClassification,
// BertForQuestionAnswering, ...). Older files say gamma and beta for weight and bias of a normalisation; a bare BertModel has no prefix
// "bert.". The original release (TensorFlow) has its matrices [in, out]: tensors of such a checkpoint, saved under their own names, are
// turned.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/bert.h"

namespace capstan::nn {

/// Whether a file with tensors of these names is one.
bool is_hugging_face_bert(std::span<const std::string> names);
bool is_google_bert(std::span<const std::string> names);

/// Which spelling counts is seen from the file's names; none: that of today. `layers` and positions are of the options.
ForeignNames hugging_face_names(const BertOptions& options, std::span<const std::string> names = {});
ForeignNames google_names(const BertOptions& options, std::span<const std::string> names);

}  // namespace capstan::nn
