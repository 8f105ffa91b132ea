#pragma once
// What an evaluation of a language model shows beside its metrics: how texts go on, and how the loss falls with what has been read.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "recipes/engine/report/finding.h"
#include "recipes/tasks/language_modelling/network.h"

namespace capstan::language_modelling {

/// A prompt from the text, and what the model wrote behind it.
struct Continuation {
  std::string prompt, written;
};

/// Mean losses by how many tokens of its window were read before: of some windows at equal distances in the text, all of whose predictions
/// count. Points (tokens before, loss). Empty where the text is shorter than a window.
std::vector<std::pair<double, double>> loss_by_position(const Network& network, const std::vector<std::int32_t>& text, std::int64_t length);

std::vector<engine::Finding> findings_of(const std::vector<Continuation>& continuations, std::vector<std::pair<double, double>> losses);

}  // namespace capstan::language_modelling
