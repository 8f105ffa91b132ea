#include "recipes/lstm_translate/decoder.h"

#include <algorithm>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/ops/shape_ops.h"
#include "autograd/tape/tape.h"
#include "nn/token_layout.h"

namespace capstan::lstm_translate {
namespace {

/// Row `from` of one tensor becomes row `to` of another, whose rows may be longer: what is beyond is `rest`.
template <class T>
void copy_row(const Tensor& source, std::int64_t from, const Tensor& target, std::int64_t to, T rest) {
  const Tensor dense = source.contiguous();
  const std::int64_t n = dense.numel() / dense.size(0), width = target.numel() / target.size(0);
  T* const row = target.data<T>() + to * width;
  std::copy_n(dense.data<const T>() + from * n, n, row);
  std::fill(row + n, row + width, rest);
}

nn::LstmSeq2Seq::State empty_state(const nn::LstmSeq2Seq::State& like, std::int64_t rows) {
  const auto zeros = [rows](const Tensor& t) { return Tensor::zeros(t.shape().with(0, rows), t.dtype()); };
  return {{zeros(like.cell.h), zeros(like.cell.c)}, zeros(like.output)};
}

void copy_state(const nn::LstmSeq2Seq::State& source, std::int64_t from, const nn::LstmSeq2Seq::State& target, std::int64_t to) {
  copy_row<float>(source.cell.h, from, target.cell.h, to, 0);
  copy_row<float>(source.cell.c, from, target.cell.c, to, 0);
  copy_row<float>(source.output, from, target.output, to, 0);
}

}  // namespace

LstmDecoder::LstmDecoder(std::shared_ptr<const nn::LstmSeq2Seq> model, const Vocabularies& vocabularies,
                         const translation::DecoderSize& size)
    : model_(std::move(model)), vocabularies_(vocabularies), size_(size), tokens_({size.lines * size.beams}, DType::i64) {
  require<ConfigError>(size.weights == WeightStorage::f32 && size.cache == DType::f32,
                       "lstm_translate: generation.weights and generation.cache must be f32");
}

void LstmDecoder::begin(std::span<const Line> lines) {
  for (const Line& line : lines) {
    require<ArgumentError>(line.place >= 0 && line.place < size_.lines, "lstm_translate: there are ", size_.lines, " places: place ",
                           line.place);
    require<ArgumentError>(!line.source.empty() && std::ssize(line.source) <= size_.max_source, "lstm_translate: a source must have 1 to ",
                           size_.max_source, " tokens: ", line.source.size());
    require<ArgumentError>(std::ssize(line.before) < size_.max_length, "lstm_translate: a line has ", size_.max_length,
                           " tokens at most: ", line.before.size(), " stand before it");
  }
  const NoGrad no_grad;
  for (const Line& line : lines) {
    const std::int64_t length = std::ssize(line.source);
    const Tensor ids = Tensor::from(line.source, {length});
    const nn::TokenLayout layout = nn::token_layout(std::span(&length, 1), length, /*packed=*/false, nn::Align::left);
    auto [memory, state] = model_->encode(ids, layout, {});
    for (const std::int64_t token : line.before) state = model_->step(Tensor::from(std::span(&token, 1), {1}), state, memory).state;
    if (!memory_.states.defined()) {
      const auto room = [&](const Tensor& t) { return Tensor::zeros(t.shape().with(0, size_.lines).with(1, size_.max_source), t.dtype()); };
      memory_ = {room(memory.states), room(memory.keys), room(memory.mask)};
      std::fill_n(memory_.mask.data<std::uint8_t>(), memory_.mask.numel(), std::uint8_t{1});  // of places that nobody has had
      first_ = empty_state(state, size_.lines);
      last_ = empty_state(state, rows());
    }
    copy_row<float>(memory.states, 0, memory_.states, line.place, 0);
    copy_row<float>(memory.keys, 0, memory_.keys, line.place, 0);
    copy_row<std::uint8_t>(memory.mask, 0, memory_.mask, line.place, 0);
    copy_state(state, 0, first_, line.place);
  }
}

std::span<float> LstmDecoder::step(std::span<const Row> asked) {
  require<ArgumentError>(std::ssize(asked) <= rows(), "lstm_translate: a step has at most ", rows(), " rows: ", asked.size());
  const NoGrad no_grad;
  std::vector<std::int64_t> places(static_cast<std::size_t>(rows()), 0);
  State state = empty_state(last_, rows());
  for (std::size_t r = 0; r < asked.size(); ++r) {
    const Row& row = asked[r];
    const auto to = static_cast<std::int64_t>(r);
    places[r] = row.place;
    tokens_.data<std::int64_t>()[r] = row.token;
    row.from == kBegin ? copy_state(first_, row.place, state, to) : copy_state(last_, row.from, state, to);
  }
  std::fill(tokens_.data<std::int64_t>() + asked.size(), tokens_.data<std::int64_t>() + rows(), 0);
  nn::LstmSeq2Seq::Step next = model_->step(tokens_, state, rows_of(memory_, Tensor::from(places, {rows()})));
  last_ = std::move(next.state);
  logits_ = next.logits.contiguous();
  return {logits_.data<float>(), asked.size() * static_cast<std::size_t>(vocabulary())};
}

}  // namespace capstan::lstm_translate
