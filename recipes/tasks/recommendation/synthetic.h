#pragma once
// The section `synthetic` of recommenders: sequences of a Markov chain (data/synthetic/markov.h), for data.source = synthetic.

#include <cstdint>

#include "data/interactions.h"
#include "data/synthetic/markov.h"

namespace capstan::recommendation {

struct SyntheticOptions {
  std::int64_t sequences = 2000, items = 200, min_length = 8, max_length = 20, branches = 4, seed = 1;
  double noise = 0.1, decay = 0.6;

  template <class V>
  void visit(V& v) {
    v("sequences", sequences, "training sequences (users, sessions) to generate", V::between(1, 1e8));
    v("items", items, "states of the Markov chain", V::between(2, 1e7));
    v("min_length", min_length, "shortest sequence", V::between(1, 1e6));
    v("max_length", max_length, "longest sequence", V::between(1, 1e6));
    v("branches", branches, "probable successors of an item", V::between(1, 1e6));
    v("noise", noise, "probability of any item instead of a successor", V::fraction());
    v("decay", decay, "weight of each successor relative to the one before", V::between(1e-6, 1));
    v("seed", seed, "seed of the generator", V::non_negative());
  }

  data::MarkovChain chain() const {
    return data::MarkovChain(
        {.items = items, .branches = static_cast<int>(branches), .noise = noise, .decay = decay, .seed = static_cast<std::uint64_t>(seed)});
  }
  /// `count` sequences of a chain() of these options. Throws ConfigError.
  data::Interactions generate(const data::MarkovChain& from, std::int64_t count) const {
    require<ConfigError>(min_length <= max_length, "synthetic.min_length must be at most synthetic.max_length, got ", min_length, " and ",
                         max_length);
    return from.sequences(count, static_cast<int>(min_length), static_cast<int>(max_length), static_cast<std::uint64_t>(seed));
  }
};

}  // namespace capstan::recommendation
