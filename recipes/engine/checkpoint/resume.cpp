#include "recipes/engine/checkpoint/resume.h"

#include <algorithm>
#include <array>

#include "autograd/core/error.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

// A change of these would make the position inside an epoch, the numbers drawn, or what is held out mean something else.
constexpr std::array<std::string_view, 5> kFixedKeys{"run.seed", "train.batch_size", "train.micro_batch_size", "data.held_out",
                                                     "data.split_seed"};
// These belong to one run, not to the model.
constexpr std::array<std::string_view, 2> kFreeKeys{"run.dir", "recipe"};

std::vector<Assignment> stored_config(const Checkpoint& checkpoint) {
  return translated(parse_config(checkpoint.meta().config, checkpoint.path() + ":/meta/config"));
}

}  // namespace

std::string stored_value(const Checkpoint& checkpoint, std::string_view key) {
  for (const Assignment& a : stored_config(checkpoint))
    if (a.key == key) return std::string(unquoted(a.value));
  return "";
}

std::vector<std::string> compare_for_resume(const Checkpoint& checkpoint, const CheckpointMeta& own, const OptionTable& table) {
  const CheckpointMeta& stored = checkpoint.meta();
  require<CheckpointError>(stored.data_digest == own.data_digest, "checkpoint: ", checkpoint.path(), ": was trained on other data: digest ",
                           stored.data_digest, ", the data here has ", own.data_digest);
  std::string faults;
  std::vector<std::string> differences;
  std::vector<Assignment> before = stored_config(checkpoint);
  for (const std::string_view key : kFixedKeys)  // of which an earlier version knew but the default
    if (const Option* option = table.find(key); option != nullptr && std::ranges::find(before, key, &Assignment::key) == before.end())
      before.push_back({option->key, option->default_text, {}});
  for (const Assignment& a : before) {
    const Option* option = table.find(a.key);
    const std::string_view value = unquoted(a.value);
    if (option == nullptr) {
      differences.push_back(join_text(a.key, " = ", value, " is not known here"));
    } else if (option->get() != value && std::ranges::find(kFreeKeys, a.key) == kFreeKeys.end()) {
      const std::string text = join_text(a.key, " was ", value, ", is ", option->get());
      const bool fixed = std::ranges::find(kFixedKeys, a.key) != kFixedKeys.end();
      fixed ? (void)(faults += "\n  " + text) : differences.push_back(text);
    }
  }
  require<CheckpointError>(faults.empty(), "checkpoint: ", checkpoint.path(), ": a run cannot go on with another", faults);
  if (stored.threads != own.threads)
    differences.push_back(
        join_text("threads were ", stored.threads, ", are ", own.threads, ": results agree within rounding, not to the bit"));
  return differences;
}

}  // namespace capstan::engine
