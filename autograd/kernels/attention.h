#pragma once
// Scaled dot-product attention: out = dropout(softmax(scale * q k^T + bias)) v over the keys that mask, key padding and causality leave,
// one (sequence, head) at a time.
//
// Nothing of size query * key is kept between forward and backward: forward leaves the logarithm of each row's sum (lse), from which
// backward computes the probabilities anew, and the dropout mask comes again from its key. A row that may attend to nothing is 0 and
// passes no gradient; its lse is +infinity.
// No result depends on the number of threads.

#include <algorithm>
#include <array>
#include <cstdint>

#include "autograd/kernels/backend.h"
#include "autograd/kernels/dropout_mask.h"
#include "autograd/kernels/numeric.h"

namespace capstan::kernels {

/// Strides of [sequence, token, head, width] in elements. Packed batches have no use for `sequence`.
struct AttentionLayout {
  std::int64_t sequence = 0, token = 0, head = 0, width = 0;
};

/// How a table of [period, heads, queries, keys] lies, which stands for one of [sequences, heads, queries, keys]: its leading axis repeats,
/// sequence s reads entry s % period (windows of images), and an axis of stride 0 has one entry for all.
struct AttentionTable {
  std::int64_t period = 1;
  std::int64_t sequence = 0, head = 0, query = 0, key = 0;  ///< strides in elements

  /// Where the row of query i begins; its keys are `key` apart.
  std::int64_t row(std::int64_t s, std::int64_t h, std::int64_t i) const { return s % period * sequence + h * head + i * query; }
};

/// T: float, bfloat16, double.
template <class T>
struct AttentionProblem {
  const T *q = nullptr, *k = nullptr, *v = nullptr;
  AttentionLayout q_layout = {}, k_layout = {}, v_layout = {};
  std::int64_t sequences = 0, queries = 0, keys = 0;  ///< tokens of each sequence; of the longest one if packed
  std::int64_t heads = 0, key_heads = 0, width = 0;   ///< query head h reads key head h / (heads / key_heads)
  /// Null, or sequences + 1 offsets: sequence s is tokens [offsets[s], offsets[s + 1]) of queries, keys and values alike.
  const std::int64_t* offsets = nullptr;
  double scale = 1.0;
  bool causal = false;            ///< query i attends to keys 0 ... query_offset + i
  std::int64_t query_offset = 0;  ///< the position of the first query among the keys, >= 0
  const T* bias = nullptr;        ///< null, or added to the scores
  AttentionTable bias_table = {};
  const std::uint8_t* mask = nullptr;  ///< null, or 1 where attention is allowed
  AttentionTable mask_table = {};
  const std::uint8_t* key_padding = nullptr;  ///< null, or [sequences, keys]: 1 for a real key
  std::uint64_t key = 0;                      ///< of the dropout mask
  DropoutRate dropout = {};
  /// Both null, or one number >= 0 a token of queries and of keys, which names its row or its column of the dropout mask.
  const std::int64_t *query_ids = nullptr, *key_ids = nullptr;

  std::int64_t group() const { return heads / key_heads; }
  bool drops() const { return dropout.threshold != 0; }
  /// The number of keys that query i of a sequence of n keys may see by causality.
  std::int64_t visible(std::int64_t i, std::int64_t n) const { return causal ? std::min(n, query_offset + i + 1) : n; }
  /// The key of a head's dropout mask.
  std::uint64_t dropout_key(std::int64_t head) const { return mix_key(key, static_cast<std::uint64_t>(head)); }
};

/// One sequence of a problem.
struct AttentionSpan {
  std::int64_t queries = 0, keys = 0;
  std::int64_t first_query = 0, first_key = 0;  ///< numbers of the first tokens, counted through all sequences
  std::int64_t q = 0, k = 0, v = 0;             ///< offsets of the first tokens in the operands

  template <class T>
  AttentionSpan(const AttentionProblem<T>& p, std::int64_t s) {
    if (p.offsets != nullptr) {
      queries = keys = p.offsets[s + 1] - p.offsets[s];
      first_query = first_key = p.offsets[s];
      q = first_query * p.q_layout.token;
      k = first_query * p.k_layout.token;
      v = first_query * p.v_layout.token;
    } else {
      queries = p.queries;
      keys = p.keys;
      first_query = s * queries;
      first_key = s * keys;
      q = s * p.q_layout.sequence;
      k = s * p.k_layout.sequence;
      v = s * p.v_layout.sequence;
    }
  }
  /// The row of the dropout mask of query i, and the column of key j: ids where given; else the query's number and the key's place.
  template <class T>
  std::uint64_t dropout_row(const AttentionProblem<T>& p, std::int64_t i) const {
    return static_cast<std::uint64_t>(p.query_ids == nullptr ? first_query + i : p.query_ids[first_query + i]);
  }
  template <class T>
  std::int64_t dropout_column(const AttentionProblem<T>& p, std::int64_t j) const {
    return p.key_ids == nullptr ? j : p.key_ids[first_key + j];
  }
};

/// Pairs of a query of any head and a key that causality leaves.
template <class T>
double visible_pairs(const AttentionProblem<T>& p) {
  double pairs = 0;
  for (std::int64_t s = 0; s < p.sequences; ++s) {
    const AttentionSpan span(p, s);
    if (!p.causal) pairs += static_cast<double>(span.queries * span.keys);
    for (std::int64_t i = 0; p.causal && i < span.queries; ++i) pairs += static_cast<double>(p.visible(i, span.keys));
  }
  return pairs * static_cast<double>(p.heads);
}
/// Of `products` products of the attention's size: queries by keys, probabilities by values, and so on.
template <class T>
profile::Work attention_work(const AttentionProblem<T>& p, int products) {
  return {.flops = 2.0 * products * static_cast<double>(p.width) * visible_pairs(p)};
}

/// Where the gradients go, all contiguous: dq [query tokens, heads, width], dk and dv [key tokens, key_heads, width], and, null if not
/// wanted, dbias [bias_size]. bias_size[0] is the bias's period, and the others are 1 or heads, queries, keys: the gradient arrives summed
/// over what the bias repeats for.
template <class T>
struct AttentionGradients {
  T *dq = nullptr, *dk = nullptr, *dv = nullptr, *dbias = nullptr;
  std::array<std::int64_t, 4> bias_size = {1, 1, 1, 1};

  std::int64_t bias_numel() const { return bias_size[0] * bias_size[1] * bias_size[2] * bias_size[3]; }
};

/// out [query tokens, heads, width] contiguous, lse [query tokens, heads].
template <class T>
struct AttentionForward {
  static constexpr profile::Kind kind = profile::Kind::product;
  static profile::Work work(const AttentionProblem<T>& p, T*, Compute<T>*) { return attention_work(p, 2); }
  using Signature = void(const AttentionProblem<T>& p, T* out, Compute<T>* lse);
  static Signature fast, reference;
};
inline constexpr Kernel<AttentionForward, float, bfloat16, double> attention;

/// From what forward left and dy [query tokens, heads, width].
template <class T>
struct AttentionBackward {
  static constexpr profile::Kind kind = profile::Kind::product;
  /// The gradients of probabilities, values, queries and keys; the scores, which could have been kept, do not count.
  static profile::Work work(const AttentionProblem<T>& p, const Compute<T>*, const T*, const AttentionGradients<T>&) {
    return attention_work(p, 4);
  }
  using Signature = void(const AttentionProblem<T>& p, const Compute<T>* lse, const T* dy, const AttentionGradients<T>& to);
  static Signature fast, reference;
};
inline constexpr Kernel<AttentionBackward, float, bfloat16, double> attention_backward;

/// probabilities [sequences, heads, queries, keys] before dropout; p.offsets is null.
template <class T>
struct AttentionProbabilities {
  static constexpr profile::Kind kind = profile::Kind::product;
  static profile::Work work(const AttentionProblem<T>& p, T*) { return attention_work(p, 1); }
  using Signature = void(const AttentionProblem<T>& p, T* probabilities);
  static Signature fast, reference;
};
inline constexpr Kernel<AttentionProbabilities, float, bfloat16, double> attention_probabilities;

}  // namespace capstan::kernels
