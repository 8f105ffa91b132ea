#include "recipes/engine/run_recipe.h"

#include <array>

namespace capstan::engine {
namespace {

// A change of these would make the position inside an epoch, or the numbers drawn, mean something else.
constexpr std::array<std::string_view, 3> kFixedKeys{"run.seed", "train.batch_size", "train.micro_batch_size"};
// These belong to one run, not to the model.
constexpr std::array<std::string_view, 2> kFreeKeys{"run.dir", "recipe"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

}  // namespace

PredictFiles::PredictFiles(const std::string& input, const std::string& output, const Console& console) : console_(console) {
  if (input != "-") {
    input_ = std::make_unique<std::ifstream>(input, std::ios::binary);
    require<IoError>(input_->is_open(), input, ": cannot open for reading");
  }
  if (output != "-") {
    output_path_ = output;
    output_ = std::make_unique<std::ofstream>(output + ".tmp", std::ios::binary | std::ios::trunc);
    require<IoError>(output_->is_open(), output, ".tmp: cannot open for writing");
  }
}

PredictFiles::~PredictFiles() {
  if (output_) std::remove((output_path_ + ".tmp").c_str());
}

void PredictFiles::finish() {
  out().flush();
  if (!output_) return;
  output_->close();
  const bool ok = output_->good() && std::rename((output_path_ + ".tmp").c_str(), output_path_.c_str()) == 0;
  require<IoError>(ok, output_path_, ": could not be written completely");
  output_.reset();
}

Split split_named(std::string_view name) {
  if (name == "validation") return Split::validation;
  require<ConfigError>(name == "test", "--split must be validation or test, got '", name, "'");
  return Split::test;
}

void print_metrics(const Metrics& metrics, std::string_view split, const Checkpoint& checkpoint, bool json, std::ostream& out) {
  if (json) {
    JsonRow row{{"step", checkpoint.step()}, {"split", std::string(split)}, {"checkpoint", checkpoint.path()}};
    for (const Metric& m : metrics) row.emplace_back(m.name, m.value);
    out << to_json(row) << "\n";
    return;
  }
  for (const Metric& m : metrics) out << m.name << "  " << join_text(m.value) << "\n";
}

std::vector<std::string> compare_for_resume(const Checkpoint& checkpoint, const CheckpointMeta& own, const OptionTable& table) {
  const CheckpointMeta& stored = checkpoint.meta();
  require<CheckpointError>(stored.data_digest == own.data_digest, "checkpoint: ", checkpoint.path(), ": was trained on other data: digest ",
                           stored.data_digest, ", the data here has ", own.data_digest);
  std::string faults;
  std::vector<std::string> differences;
  for (const Assignment& a : parse_config(stored.config, checkpoint.path() + ":/meta/config")) {
    const Option* option = table.find(a.key);
    const std::string_view value = engine::detail::unquoted(a.value);
    if (option == nullptr) {
      differences.push_back(join_text(a.key, " = ", value, " is not known here"));
    } else if (option->get() != value && !contains(kFreeKeys, a.key)) {
      const std::string text = join_text(a.key, " was ", value, ", is ", option->get());
      contains(kFixedKeys, a.key) ? (void)(faults += "\n  " + text) : differences.push_back(text);
    }
  }
  require<CheckpointError>(faults.empty(), "checkpoint: ", checkpoint.path(), ": a run cannot go on with another", faults);
  if (stored.threads != own.threads)
    differences.push_back(
        join_text("threads were ", stored.threads, ", are ", own.threads, ": results agree within rounding, not to the bit"));
  return differences;
}

}  // namespace capstan::engine
