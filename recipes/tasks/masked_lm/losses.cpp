#include "recipes/tasks/masked_lm/losses.h"

#include "autograd/ops/linear_cross_entropy.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/matmul.h"
#include "nn/weight.h"

namespace capstan::masked_lm {

std::array<Tensor, 2> loss_sums(const Network& network, const Batch& batch, const nn::Run& run, bool next_sentence) {
  const Tensor x = network.encode(batch.ids, batch.segments, batch.layout, run);
  const Tensor h = network.transformed(x, batch.masked);
  const Tensor masked_lm = linear_cross_entropy(h, nn::weight_for(network.decoder_weight, h), nn::weight_for(network.decoder_bias, h),
                                                batch.labels, {.reduction = Reduction::sum()})
                               .value;
  if (!next_sentence) return {masked_lm, Tensor::zeros({})};
  const Tensor logits = network.next_sentence_logits(x, batch.layout);
  return {masked_lm, cross_entropy(logits, batch.next, {.reduction = Reduction::sum()}).value};
}

Tensor vocabulary_logits(const Network& network, const Tensor& transformed) {
  return linear(transformed, nn::weight_for(network.decoder_weight, transformed), nn::weight_for(network.decoder_bias, transformed));
}

}  // namespace capstan::masked_lm
