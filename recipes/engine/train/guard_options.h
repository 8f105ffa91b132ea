#pragma once
// Section guard: what is watched while a model trains, and what is done when something is wrong (guard.h).

#include <cstdint>

namespace capstan::engine {

/// What follows a step whose loss or gradient norm stands out from those before it.
enum class OnSpike {
  warn,    ///< it is said
  skip,    ///< the step updates nothing
  stop,    ///< the run ends with a NumericalError
  rewind,  ///< the run goes back to its last checkpoint and leaves the batches since then out
};

struct GuardOptions {
  double spike_threshold = 6;
  std::int64_t spike_window = 128;
  OnSpike on_spike = OnSpike::warn;
  std::int64_t layers_every = 100;

  template <class V>
  void visit(V& v) {
    v("spike_threshold", spike_threshold,
      "a loss or gradient norm so many standard deviations above the mean of the steps before it is a spike; 0: none is",
      V::non_negative());
    v("spike_window", spike_window, "steps that a loss and a gradient norm are compared with", V::between(8, 65536));
    v("on_spike", on_spike,
      "what a spike leads to. warn: a line in the log. skip: the step changes nothing. stop: the end of the run. rewind: the run goes back "
      "to "
      "its last checkpoint and leaves out the batches since then",
      {{"warn", OnSpike::warn}, {"skip", OnSpike::skip}, {"stop", OnSpike::stop}, {"rewind", OnSpike::rewind}});
    v("layers_every", layers_every,
      "optimiser steps between two rows of layers.jsonl: each parameter's largest weight and gradient, and how far a step moves it; 0: "
      "none",
      V::non_negative());
  }
};

}  // namespace capstan::engine
