#pragma once
// Pretraining instances of BERT: pairs of text pieces with masked tokens, from a Corpus (data/text/corpus.h).
//
// Two makers of the same kind of instance:
//   make_pretraining_instances  the algorithm of create_pretraining_data (google-research/bert) with its random numbers: the same text,
//                               options and seed give the same instances, position by position;
//   DynamicPretraining          every (epoch, index) draws its pair and its mask anew, from nothing but (seed, epoch, index).
// Labels: next-sentence label 0 = B follows A, 1 = B is random.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "autograd/core/tensor.h"
#include "data/text/corpus.h"
#include "data/text/vocabulary.h"

namespace capstan::data {

struct PretrainingOptions {
  std::int64_t max_seq_length = 128;          ///< tokens with [CLS] and both [SEP]; at least 5
  std::int64_t max_predictions_per_seq = 20;  ///< 0: as many as masked_lm_prob asks for
  double masked_lm_prob = 0.15;
  double short_seq_prob = 0.1;  ///< share of documents (dynamic: of instances) that aim at a random shorter length
  bool whole_word_mask =
      false;  ///< a token "##...", or one with kContinuesWord, is masked together with those before it up to the word's start
  bool next_sentence = true;  ///< pairs; else an instance is [CLS] A [SEP], sentences one after another, and random_next is false
  int dupe_factor = 10;       ///< passes over the corpus; not used by DynamicPretraining
  std::uint64_t seed = 12345;
};

/// Throws ConfigError for options outside their ranges.
void require_valid(const PretrainingOptions& options);
/// Masked tokens of an instance at most.
std::int64_t most_predictions(const PretrainingOptions& options);

struct Instance {
  std::vector<std::int32_t> ids;        ///< [CLS] A [SEP] B [SEP] or [CLS] A [SEP], masked
  std::int32_t first_segment = 0;       ///< tokens of segment 0: [CLS] A [SEP]
  bool random_next = false;             ///< B does not follow A
  std::vector<std::int32_t> positions;  ///< of the masked tokens, ascending
  std::vector<std::int32_t> labels;     ///< the original ids at the positions
  bool operator==(const Instance&) const = default;
};

/// What masking needs of a vocabulary. DataError if it lacks [PAD], [CLS], [SEP] or [MASK].
struct PretrainingTokens {
  explicit PretrainingTokens(const Vocabulary& vocabulary);
  std::int32_t pad, cls, sep, mask;
  std::vector<std::int32_t> replacements;     ///< ids that a masked token may be replaced by: all distinct tokens
  std::vector<std::uint8_t> is_continuation;  ///< [ids] whether the token begins with "##"
};

/// Calls `sink` with each instance as it is made, so that memory does not grow with their number, and returns the final order: the
/// instance at place i is the order[i]-th one made. Pages of the corpus are given back on the way.
std::vector<std::uint32_t> make_pretraining_instances(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options,
                                                      const std::function<void(Instance&&)>& sink);
/// All instances in their final order.
std::vector<Instance> pretraining_instances(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options);

/// Instances of an epoch as a function of the index. The corpus is cut once into runs of sentences of one document that fill an
/// instance; index i is about run i. Differences from the original: where B is random, A is either the front or the back of the run,
/// with equal chances, since the rest of the run is not put back; B comes from another document whenever there is one; an
/// instance that aims short begins at any sentence of its run; where no whole word fits the number of predictions, pieces of one are
/// masked, so that there always is a prediction. Keeps references to the corpus; thread-safe.
class DynamicPretraining {
 public:
  DynamicPretraining(const Corpus& corpus, const Vocabulary& vocabulary, const PretrainingOptions& options);
  std::int64_t size() const { return static_cast<std::int64_t>(runs_.size()) - 1; }
  Instance get(std::int64_t epoch, std::int64_t index) const;
  const PretrainingTokens& tokens() const { return tokens_; }

 private:
  const Corpus* corpus_;
  PretrainingOptions options_;
  PretrainingTokens tokens_;
  std::vector<std::int64_t> runs_;  // first sentence of each, and the number of sentences
};

/// Instances as rows of fixed length, filled up with [PAD], 0 and weight 0.
struct PretrainingBatch {
  Tensor input_ids, segment_ids;        ///< i64 [rows, length]
  Tensor input_mask;                    ///< u8 [rows, length], 1 = a token
  Tensor masked_positions, masked_ids;  ///< i64 [rows, predictions], positions within a row
  Tensor masked_weights;                ///< f32 [rows, predictions], 1 = a prediction
  Tensor next_sentence_labels;          ///< i64 [rows], 1 = random
};
/// `length` and `predictions` are max_seq_length and max_predictions_per_seq of the instances, or more.
PretrainingBatch pad_instances(std::span<const Instance> instances, std::int64_t length, std::int64_t predictions, std::int32_t pad_id);

}  // namespace capstan::data
