#pragma once
// Scaled dot-product attention: out = dropout(softmax(scale * q k^T + mask)) v, one (sequence, head) at a time.
//
// Nothing of size query * key is kept between forward and backward: forward leaves the logarithm of each row's sum (lse), from which
// backward computes the probabilities anew, and the dropout mask comes again from its key. A row that may attend to nothing is 0 and
// passes no gradient; its lse is +infinity.

#include <array>
#include <cstdint>

#include "autograd/kernels/numeric.h"
#include "autograd/kernels/dropout_mask.h"

namespace capstan::kernels {

/// Strides of [sequence, token, head, width] in elements. Packed batches have no use for `sequence`.
struct AttentionLayout {
  std::int64_t sequence = 0, token = 0, head = 0, width = 0;
};

struct AttentionProblem {
  std::int64_t sequences = 0, queries = 0, keys = 0;  ///< tokens of each sequence; of the longest one if packed
  std::int64_t heads = 0, key_heads = 0, width = 0;   ///< query head h reads key head h / (heads / key_heads)
  /// Null, or sequences + 1 offsets: sequence s is tokens [offsets[s], offsets[s + 1]) of queries, keys and values alike.
  const std::int64_t* offsets = nullptr;
  AttentionLayout q = {}, k = {}, v = {};
  double scale = 1.0;
  bool causal = false;  ///< query i attends to keys 0 ... i
  const void* add = nullptr;           ///< null, or added to the scores; elements of q's type
  const std::uint8_t* keep = nullptr;  ///< null, or 1 where attention is allowed
  std::array<std::int64_t, 4> add_strides{}, keep_strides{};  ///< [sequence, head, query, key]; 0 repeats
  const std::uint8_t* key_keep = nullptr;  ///< null, or [sequences, keys]: 1 for a real key
  std::uint64_t key = 0;
  DropoutRate dropout = {};
  const std::int64_t* ids = nullptr;  ///< null, or one number >= 0 a token, which names its row and column of the dropout mask

  std::int64_t group() const { return heads / key_heads; }
  bool drops() const { return dropout.threshold != 0; }
};

/// One sequence of a problem.
struct AttentionSpan {
  std::int64_t queries = 0, keys = 0;
  std::int64_t first_query = 0, first_key = 0;  ///< numbers of the first tokens, counted through all sequences
  std::int64_t q = 0, k = 0, v = 0;             ///< offsets of the first tokens in the operands

  AttentionSpan(const AttentionProblem& p, std::int64_t s) {
    if (p.offsets != nullptr) {
      queries = keys = p.offsets[s + 1] - p.offsets[s];
      first_query = first_key = p.offsets[s];
      q = first_query * p.q.token;
      k = first_query * p.k.token;
      v = first_query * p.v.token;
    } else {
      queries = p.queries;
      keys = p.keys;
      first_query = s * queries;
      first_key = s * keys;
      q = s * p.q.sequence;
      k = s * p.k.sequence;
      v = s * p.v.sequence;
    }
  }
  /// The row of the dropout mask of query i, and the column of key j: ids where given; else the query's number and the key's place.
  std::uint64_t dropout_row(const AttentionProblem& p, std::int64_t i) const {
    return static_cast<std::uint64_t>(p.ids == nullptr ? first_query + i : p.ids[first_query + i]);
  }
  std::int64_t dropout_column(const AttentionProblem& p, std::int64_t j) const { return p.ids == nullptr ? j : p.ids[first_key + j]; }
};

/// The key of a head's dropout mask.
constexpr std::uint64_t dropout_key(const AttentionProblem& p, std::int64_t head) { return mix_key(p.key, static_cast<std::uint64_t>(head)); }

/// out [tokens, heads, width] contiguous, lse [tokens, heads]. T: float, bfloat16, double.
template <class T>
void attention(const AttentionProblem& p, const T* q, const T* k, const T* v, T* out, Compute<T>* lse);

/// dq [query tokens, heads, width], dk and dv [key tokens, key_heads, width], all contiguous, as is dy. dmask (null if not wanted)
/// [sequences, heads, queries, keys] receives the gradient of the scores.
template <class T>
void attention_backward(const AttentionProblem& p, const T* q, const T* k, const T* v, const Compute<T>* lse, const T* dy, T* dq, T* dk, T* dv,
                        T* dmask);

/// probabilities [sequences, heads, queries, keys] before dropout; p.offsets is null.
template <class T>
void attention_probabilities(const AttentionProblem& p, const T* q, const T* k, T* probabilities);

}  // namespace capstan::kernels
