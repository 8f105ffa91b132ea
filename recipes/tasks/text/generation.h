#pragma once
// The section generation of every task that writes text, and the search as it says (nn/generation).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/inference/packed_weight.h"
#include "nn/generation/generator.h"

namespace capstan::text {

struct GenerationOptions {
  std::int64_t beams = 1, hypotheses = 1, lines = 32, min_length = 0, max_length = 128, seed = 1;
  double length_penalty = 1, diversity = 0, temperature = 1, repetition_penalty = 1, presence_penalty = 0, top_p = 1;
  std::int64_t top_k = 1;
  nn::EarlyStop early_stop = nn::EarlyStop::exact;
  WeightStorage weights = WeightStorage::f32;
  DType cache = DType::f32;

  template <class V>
  void visit(V& v) {
    v("beams", beams, "beams of the search; 1: greedy, or drawn where top_k is not 1", V::between(1, 1024));
    v("hypotheses", hypotheses, "texts given of a line, the best of the beams", V::between(1, 1024));
    v("length_penalty", length_penalty, "hypotheses are compared by log-probability / tokens^length_penalty", V::between(-10, 10));
    v("early_stop", early_stop,
      "when the search of a line ends. exact: none that could still come would be better, which with a length_penalty above 1 may be a "
      "text "
      "that repeats itself up to max_length; enough: as many texts as beams are finished (fairseq)",
      {{"exact", nn::EarlyStop::exact}, {"enough", nn::EarlyStop::enough}});
    v("diversity", diversity, "added to the score of a beam's candidates times their rank in it; negative: siblings are held back",
      V::between(-1e6, 1e6));
    v("min_length", min_length, "tokens written to a line at least", V::non_negative());
    v("max_length", max_length, "tokens written to a line at most", V::between(1, 1e7));
    v("temperature", temperature, "logits are divided by it", V::positive());
    v("top_k", top_k, "beams = 1: draw from the k likeliest tokens; 1: take the likeliest, 0: draw from all", V::between(0, 1e7));
    v("top_p", top_p, "of these draw from the likeliest that first reach this probability together", V::between(0, 1));
    v("repetition_penalty", repetition_penalty, "positive logits of tokens already written are divided by it, negative ones multiplied",
      V::positive());
    v("presence_penalty", presence_penalty, "subtracted from the logits of tokens already written", V::between(-1e6, 1e6));
    v("seed", seed, "of draws; line n of the input draws by (seed, n)", V::non_negative());
    v("weights", weights, "what the weights are kept in meanwhile: f32; bf16, half the bytes; int8, a quarter, with a scale a row",
      {{"f32", WeightStorage::f32}, {"bf16", WeightStorage::bf16}, {"int8", WeightStorage::int8}});
    v("cache", cache, "what keys and values of the tokens so far are kept in: f32; bf16, half the bytes",
      {{"f32", DType::f32}, {"bf16", DType::bf16}});
    v("lines", lines, "lines written side by side; the answers do not depend on it", V::between(1, 4096)).of_machine();
  }
  /// Throws ConfigError; `task` begins the message.
  void validate(std::string_view task) const;
};

/// The search, writing at most `room` tokens and ending at these.
nn::GenerationOptions search_options(const GenerationOptions& options, std::int64_t room, std::vector<std::int64_t> stop_tokens);

/// A text that was written, and by what it is compared with others.
struct Written {
  std::string text;
  double score = 0;
};
/// The answer of predict to a line: the best text, or all with their scores where several are asked for. Columns with tabs between them,
/// line ends and tabs of texts as blanks; or JSON objects whose text is called `name`.
std::string answer(const std::vector<Written>& best, std::string_view name, bool json, bool several);

}  // namespace capstan::text
