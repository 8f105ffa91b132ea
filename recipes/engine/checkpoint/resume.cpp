#include "recipes/engine/checkpoint/resume.h"

#include <algorithm>
#include <array>

#include "autograd/core/error.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

// A change of these would make the position inside an epoch, or the numbers drawn, mean something else.
constexpr std::array<std::string_view, 3> kFixedKeys{"run.seed", "train.batch_size", "train.micro_batch_size"};
// These belong to one run, not to the model.
constexpr std::array<std::string_view, 2> kFreeKeys{"run.dir", "recipe"};

}  // namespace

std::vector<std::string> compare_for_resume(const Checkpoint& checkpoint, const CheckpointMeta& own, const OptionTable& table) {
  const CheckpointMeta& stored = checkpoint.meta();
  require<CheckpointError>(stored.data_digest == own.data_digest, "checkpoint: ", checkpoint.path(), ": was trained on other data: digest ",
                           stored.data_digest, ", the data here has ", own.data_digest);
  std::string faults;
  std::vector<std::string> differences;
  for (const Assignment& a : translated(parse_config(stored.config, checkpoint.path() + ":/meta/config"))) {
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
