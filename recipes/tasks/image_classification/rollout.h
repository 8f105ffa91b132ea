#pragma once
// Attention rollout (Abnar and Zuidema, "Quantifying attention flow in transformers", 2020): how much each token of the last layer comes
// from each patch, if attention were all that moves information.
//
// A layer's attention is the mean over heads, plus the identity for the residual connection, each row divided by its sum; the rollout is
// the product of the layers, last one leftmost. It is a picture of attention, not an attribution: values and MLPs do not enter.

#include <span>

#include "autograd/core/tensor.h"

namespace capstan::image_classification {

/// Probabilities of all layers, first one first, each [B, H, T, T] -> [B, T, T]; rows sum to 1. A constant.
Tensor attention_rollout(std::span<const Tensor> probabilities);

/// What the class token (token 0) draws from each patch, divided by the largest of the image: rollout [B, T, T] -> [B, T - 1].
Tensor rollout_mask(const Tensor& rollout);

}  // namespace capstan::image_classification
