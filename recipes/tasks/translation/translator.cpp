#include "recipes/tasks/translation/translator.h"

#include <algorithm>
#include <utility>

#include "autograd/core/rng.h"

namespace capstan::translation {

nn::GenerationOptions search_options(const GenerationOptions& o, std::int64_t max_positions, std::int64_t end) {
  const std::int64_t room = max_positions - 1;  // behind [BOS]
  return {.choice = {.temperature = o.temperature,
                     .repetition_penalty = o.repetition_penalty,
                     .presence_penalty = o.presence_penalty,
                     .top_k = o.top_k,
                     .top_p = o.top_p},
          .beams = o.beams,
          .hypotheses = o.hypotheses,
          .length_penalty = o.length_penalty,
          .diversity = o.diversity,
          .min_length = std::min(o.min_length, room),
          .max_length = std::min(o.max_length, room),
          .stop_tokens = {end}};
}

Translator::Translator(const Network& network, const Vocabularies& vocabularies, const GenerationOptions& options)
    : vocabularies_(vocabularies),
      options_(options),
      search_(search_options(options, network.max_positions, vocabularies.target->end())),
      decoder_(network.decoder({.lines = options.lines,
                                .beams = options.beams,
                                .max_source = network.max_positions,
                                .max_length = search_.max_length + 1,
                                .weights = options.weights})) {}

std::vector<std::vector<Translation>> Translator::operator()(std::span<const std::vector<std::int32_t>> sources,
                                                             std::span<const std::int64_t> numbers) {
  std::vector<std::vector<Translation>> out(sources.size());
  const auto deliver = [&](const nn::Generation& g) {
    for (const nn::Hypothesis& h : g.hypotheses) {
      const std::vector<std::int32_t> ids(h.tokens.begin(), h.tokens.end());
      out[static_cast<std::size_t>(g.request)].push_back({.text = vocabularies_.target->decode(ids), .score = h.score, .tokens = h.tokens});
    }
  };
  nn::Generator generator(*decoder_, {.deliver = deliver, .in_order = false});
  for (std::size_t i = 0; i < sources.size(); ++i) {
    generator.submit(
        {.source = {sources[i].begin(), sources[i].end()},
         .prompt = {vocabularies_.target->begin()},
         .options = search_,
         .seed = random_key(static_cast<std::uint64_t>(options_.seed), "translation", {static_cast<std::uint64_t>(numbers[i])})});
    while (generator.full()) generator.step();
  }
  generator.finish();
  return out;
}

}  // namespace capstan::translation
