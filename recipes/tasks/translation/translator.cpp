#include "recipes/tasks/translation/translator.h"

#include <utility>

#include "autograd/core/rng.h"

namespace capstan::translation {

Translator::Translator(const Network& network, const Vocabularies& vocabularies, const GenerationOptions& options)
    : vocabularies_(vocabularies),
      options_(options),
      search_(text::search_options(options, network.max_positions - 1, {vocabularies.target->end()})),  // behind [BOS]
      decoder_(network.decoder({.lines = options.lines,
                                .beams = options.beams,
                                .max_source = network.max_positions,
                                .max_length = search_.max_length + 1,
                                .weights = options.weights,
                                .cache = options.cache})) {}

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
