#pragma once
// Choosing the next token from logits: pure functions of one row. The order is FasterTransformer's:
//     logits / temperature -> penalties on tokens already written -> blocked tokens -> choose
// A draw is a function of (seed, position), so what a line writes depends on no other line.

#include <cstdint>
#include <span>
#include <vector>

namespace capstan::nn {

struct ChoiceOptions {
  double temperature = 1;  ///< logits are divided by it; > 0
  /// Of each token written: a positive logit is divided by it, a negative one multiplied (Keskar et al. 2019). > 0; 1: none
  double repetition_penalty = 1;
  double presence_penalty = 0;  ///< subtracted from the logit of each token written
  std::int64_t top_k = 1;       ///< draws from the k likeliest; 1: takes the likeliest (greedy), 0: draws from all
  /// Of those, draws from the likeliest ones whose probabilities first reach it together (nucleus: Holtzman et al. 2020). (0, 1]
  double top_p = 1;

  bool draws() const { return top_k != 1; }
};
/// Throws ArgumentError, naming the option, for a value outside its range.
void check(const ChoiceOptions& options);

void apply_temperature(std::span<float> logits, double temperature);
/// Penalises each of the tokens once, however often it is there.
void apply_penalties(std::span<float> logits, std::span<const std::int64_t> written, const ChoiceOptions& options);
/// These tokens cannot be chosen.
void block(std::span<float> logits, std::span<const std::int64_t> tokens);

struct Candidate {
  std::int64_t token = 0;
  double probability = 0;  ///< of all candidates they add up to 1
};
/// What top_k and, of the rest renormalised, top_p leave. The token with which the probabilities reach top_p is among them, whole, and all
/// are renormalised (the form of transformers). In falling order, equal ones by rising token; where nothing is left out, in the tokens'
/// order. `found` is overwritten.
void find_candidates(std::span<const float> logits, std::int64_t top_k, double top_p, std::vector<Candidate>& found);
/// The same for logits and tokens that are the k largest already, falling.
void find_candidates(std::span<const float> logits, std::span<const std::int32_t> tokens, double top_p, std::vector<Candidate>& found);

/// A number of [0, 1) for a line's seed and a position.
double uniform_at(std::uint64_t seed, std::int64_t position);
/// The first candidate with which the sum of probabilities passes `uniform`.
std::int64_t draw(std::span<const Candidate> candidates, double uniform);

/// What hypotheses are compared by: sum / length^penalty, the sum of the log-probabilities of `length` tokens. Penalty 0 or length 1: the
/// sum (FasterTransformer; Wu et al. 2016 have another denominator).
double hypothesis_score(double sum, std::int64_t length, double penalty);

}  // namespace capstan::nn
