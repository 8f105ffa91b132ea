#include "nn/models/lstm_seq2seq.h"

#include <utility>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "autograd/ops/activation.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/recurrent.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "nn/init.h"
#include "nn/weight.h"

namespace capstan::nn {
namespace {

Linear projection(const Scope& scope, std::int64_t in, std::int64_t out) { return Linear(scope, {.in = in, .out = out, .bias = false}); }

/// The numbers of the tokens of each step for random decisions, i64 [B] each: of run.token_ids, or of the places in the batch.
std::vector<Tensor> numbers_by_step(const Run& run, std::int64_t b, std::int64_t t) {
  std::vector<Tensor> out;
  for (std::int64_t step = 0; step < t; ++step) {
    Tensor numbers(Shape{b}, DType::i64);
    for (std::int64_t row = 0; row < b; ++row) {
      const std::int64_t place = row * t + step;
      numbers.data<std::int64_t>()[row] = run.token_ids.defined() ? run.token_ids.data<const std::int64_t>()[place] : place;
    }
    out.push_back(std::move(numbers));
  }
  return out;
}

}  // namespace

LstmSeq2Seq::LstmSeq2Seq(const Scope& scope, const Vocabularies& v, const LstmSeq2SeqOptions& o)
    : options_(o),
      sampling_place_((scope / "scheduled_sampling").key()),
      source_words_(scope / "source_embedding",
                    {.rows = v.source, .width = o.embedding, .init = normal(o.embedding_deviation), .padding = v.source_padding}),
      target_words_(scope / "target_embedding",
                    {.rows = v.target, .width = o.embedding, .init = normal(o.embedding_deviation), .padding = v.target_padding}),
      source_dropout_(scope / "source_embedding", o.embedding_dropout),
      target_dropout_(scope / "target_embedding", o.embedding_dropout),
      encoder_(scope / "encoder", {.cell = {.input = o.embedding, .hidden = o.hidden_size}, .bidirectional = true}),
      decoder_(scope / "decoder", o.embedding + o.decoder_width(), o.decoder_width(), /*gates=*/4, /*bias=*/true, /*state_bias=*/true,
               glorot_uniform()),
      h_projection_(projection(scope / "h_projection", 2 * o.hidden_size, o.decoder_width())),
      c_projection_(projection(scope / "c_projection", 2 * o.hidden_size, o.decoder_width())),
      attention_(scope / "attention", {.query = o.decoder_width(), .state = 2 * o.hidden_size, .inner = o.attention_size, .kind = o.score}),
      combined_(projection(scope / "combined", o.decoder_width() + 2 * o.hidden_size, o.decoder_width())),
      output_dropout_(scope / "combined", o.output_dropout),
      vocabulary_(projection(scope / "vocabulary", o.decoder_width(), v.target)) {}

LstmSeq2Seq::Encoded LstmSeq2Seq::encode(const Tensor& ids, const TokenLayout& layout, const Run& run) const {
  require(!layout.packed, "lstm_seq2seq: a recurrent network needs padded sources: ids ", ids);
  Tensor x = source_dropout_(source_words_(ids), run);
  x = reshape(x, {layout.sequences, layout.length, options_.embedding});  // [B, S, embedding]
  const auto [states, last] = encoder_(x, layout.lengths(), run);         // [B, S, 2 h]
  const Tensor h = h_projection_(concat({last[0].h, last[1].h}, -1));     // [B, d]
  const Tensor c = c_projection_(concat({last[0].c, last[1].c}, -1));     // [B, d]
  return {{states, attention_.keys(states), layout.padding}, {{h, c}, Tensor::zeros(h.shape(), h.dtype())}};
}

LstmSeq2Seq::Advanced LstmSeq2Seq::advanced(const Tensor& projection, const Tensor& feeding, const State& state, const Memory& memory,
                                            const Run& run) const {
  const Tensor gates = add(projection, linear(state.output, feeding));  // [B, 4 d]
  const auto [h, c] = lstm_cell(gates, state.cell.h, state.cell.c, weight_for(decoder_.weight, gates), weight_for(decoder_.bias, gates));
  const Tensor weights = attention_.weights(h, memory.keys, memory.mask);  // [B, S]
  const Tensor context = weighted_sum(weights, memory.states);             // [B, 2 h]
  const Tensor output = output_dropout_(tanh(combined_(concat({h, context}, -1))), run);
  return {{{h, c}, output}, weights};
}

// The word's share of the gates, W_y y + b, is one product for all steps; that of the fed output, W_o o, is one a step. Both read the
// parameter [W_y, W_o] in place, cut once, so that its gradient is made of two pieces and not of two a step.
LstmSeq2Seq::Decoded LstmSeq2Seq::decode(const Encoded& source, const Tensor& ids, const TokenLayout& layout, const Run& run) const {
  require(!layout.packed, "lstm_seq2seq: a recurrent network needs padded targets: ids ", ids);
  const std::int64_t b = layout.sequences, t = layout.length, e = options_.embedding, d = options_.decoder_width();
  require(source.memory.states.size(0) == b, "lstm_seq2seq: there must be a source for each target: sources ", source.memory.states,
          ", targets ", b);
  const Tensor weight = weight_for(decoder_.input->weight(), source.memory.states);
  const Tensor of_word = slice(weight, 1, 0, e), feeding = slice(weight, 1, e, d);  // [4 d, e], [4 d, d]
  const Tensor bias = weight_for(decoder_.input->bias(), source.memory.states);
  const std::vector<Tensor> numbers = numbers_by_step(run, b, t);
  const double sampling = run.training ? options_.scheduled_sampling : 0;

  std::vector<Tensor> projections;  // [B, 4 d] each
  if (sampling == 0) {
    const Tensor x = target_dropout_(target_words_(ids), run);                    // [B T, e]
    projections = split(reshape(linear(x, of_word, bias), {b, t, 4 * d}), 1, 1);  // [B, 1, 4 d] each
  }
  std::vector<Tensor> outputs, weights;
  State state = source.first;
  for (std::int64_t step = 0; step < t; ++step) {
    Run at = run;
    at.token_ids = numbers[static_cast<std::size_t>(step)];
    Tensor projected;
    if (sampling == 0) {
      projected = squeeze(projections[static_cast<std::size_t>(step)], 1);
    } else {
      Tensor words(Shape{b}, DType::i64), best;
      if (step > 0) {
        const NoGrad no_grad;
        best = argmax(logits(state.output.detach()), -1);  // [B]
      }
      const std::uint64_t key = run.dropout_key(sampling_place_);
      for (std::int64_t row = 0; row < b; ++row) {
        const auto number = static_cast<std::uint64_t>(at.token_ids.data<const std::int64_t>()[row]);
        const bool own = step > 0 && static_cast<double>(philox(key, number)[0]) < sampling * 0x1p32;
        words.data<std::int64_t>()[row] = own ? best.data<const std::int64_t>()[row] : ids.data<const std::int64_t>()[row * t + step];
      }
      projected = linear(target_dropout_(target_words_(words), at), of_word, bias);
    }
    auto [next, of_step] = advanced(projected, feeding, state, source.memory, at);
    outputs.push_back(next.output);
    weights.push_back(std::move(of_step));
    state = std::move(next);
  }
  return {stack(outputs, 1), stack(weights, 1)};
}

LstmSeq2Seq::Step LstmSeq2Seq::step(const Tensor& tokens, const State& state, const Memory& memory) const {
  const Tensor weight = weight_for(decoder_.input->weight(), state.output);
  const Tensor x = linear(target_words_(tokens), slice(weight, 1, 0, options_.embedding), weight_for(decoder_.input->bias(), state.output));
  auto [next, weights] = advanced(x, slice(weight, 1, options_.embedding, options_.decoder_width()), state, memory, {});
  return {logits(next.output), std::move(weights), std::move(next)};
}

LstmSeq2Seq::State rows_of(const LstmSeq2Seq::State& s, const Tensor& rows) {
  return {{index_select(s.cell.h, 0, rows), index_select(s.cell.c, 0, rows)}, index_select(s.output, 0, rows)};
}

LstmSeq2Seq::Memory rows_of(const LstmSeq2Seq::Memory& m, const Tensor& rows) {
  return {index_select(m.states, 0, rows), index_select(m.keys, 0, rows), index_select(m.mask, 0, rows)};
}

}  // namespace capstan::nn
