#include "recipes/engine/config/renamed_keys.h"

#include <array>
#include <string>
#include <utility>

namespace capstan::engine {
namespace {

using Names = std::pair<std::string_view, std::string_view>;  // before, today

constexpr auto kRenamed = std::to_array<Names>({
    {"optimizer.schedule", "schedule.kind"},
    {"optimizer.warmup_steps", "schedule.warmup_steps"},
    {"optimizer.warmup_share", "schedule.warmup_share"},
    {"optimizer.warmup_epochs", "schedule.warmup_epochs"},
    {"optimizer.final_rate", "schedule.final_rate"},
    {"optimizer.steps", "schedule.steps"},
    {"synthetic.users", "synthetic.sequences"},
    {"synthetic.sessions", "synthetic.sequences"},
    {"data.holdout", "data.held_out"},
    {"model.checkpoint", "train.checkpoint_activations"},
    {"model.checkpoint_activations", "train.checkpoint_activations"},
});

}  // namespace

std::string_view renamed_key(std::string_view key) {
  for (const auto& [before, now] : kRenamed)
    if (before == key) return now;
  return {};
}

std::vector<Assignment> translated(std::vector<Assignment> stored) {
  for (Assignment& a : stored)
    if (const std::string_view now = renamed_key(a.key); !now.empty()) a.key = std::string(now);
  return stored;
}

}  // namespace capstan::engine
