#include "recipes/engine/selftest/run_checks.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/json.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/child_process.h"
#include "recipes/engine/command/command_line.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// The end of what a process said, indented below a message.
std::string last_words(const std::string& output) {
  std::istringstream lines(data::read_text(output));
  std::vector<std::string> last;
  for (std::string line; std::getline(lines, line);) {
    last.push_back(line);
    if (last.size() > 5) last.erase(last.begin());
  }
  std::string text;
  for (const std::string& line : last) text += "\n  " + line;
  return text.empty() ? "; it said nothing" : "; its last lines:" + text;
}

class Runs {
 public:
  explicit Runs(RunCheckOptions options) : o_(std::move(options)) {}

  void learns() const {
    finish("whole", {});
    std::vector<double> losses;
    std::istringstream rows(data::read_text(run("whole") + "/metrics.jsonl"));
    for (std::string line; std::getline(rows, line);) {
      const data::Json row = data::parse_json(line, "metrics.jsonl", data::NotFinite::null);
      if (row["split"].text() == "train") losses.push_back(row["loss"].number());
    }
    const auto count = static_cast<std::size_t>(o_.steps);
    require<CheckFailed>(losses.size() == count, "expected the loss of ", count, " steps in metrics.jsonl, got ", losses.size());
    const std::size_t part = std::max<std::size_t>(count / 4, 1);
    const auto mean = [&](std::size_t first) {
      double sum = 0;
      for (std::size_t i = 0; i < part; ++i) sum += losses[first + i];
      return sum / static_cast<double>(part);
    };
    const double before = mean(0), after = mean(count - part);
    require<CheckFailed>(after < before, "expected the loss to fall, got a mean of ", before, " over the first ", part, " steps and of ",
                         after, " over the last ", part);
  }

  void survives_kills() const {
    // A process that is not watched for a while may have come to its end; then another run is killed.
    constexpr int kAttempts = 3;
    for (int attempt = 1;; ++attempt) {
      require<CheckFailed>(attempt <= kAttempts, "expected to kill a run while it trains, but ", kAttempts, " ended before that");
      const std::string name = "killed-" + std::to_string(attempt);
      if (!std::ranges::all_of(o_.killed_from, [&](std::int64_t step) { return kill_midway(name, step); })) continue;
      finish(name, {"--resume", "auto"});
      require_same_tensors(newest(name), newest("whole"));
      return;
    }
  }

  void refuses_damage() const {
    constexpr std::size_t kPlaces = 24;
    const std::string path = newest("whole"), damaged = o_.directory + "/damaged.h5";
    const std::vector<std::byte> whole = data::read_file(path);
    std::vector<std::byte> bytes = whole;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      throw_if_stopped();
      const std::size_t place = whole.size() * i / kPlaces + i % 7;
      bytes[place] ^= std::byte{0x10};
      data::write_file_durably(damaged, bytes);
      bool refused = false;
      try {
        Checkpoint(damaged).verify();
      } catch (const CheckpointError&) {
        refused = true;
      }
      require<CheckFailed>(refused, "expected a checkpoint to be refused whose byte ", place, " of ", whole.size(),
                           " had been changed, got one that was read");
      if (i + 1 < kPlaces) bytes[place] = whole[place];
    }
    const std::string said = o_.directory + "/damaged.txt";
    const int code = wait_for(*started({"evaluate", "--checkpoint", damaged}, said));
    require<CheckFailed>(code == kBadCheckpoint, "expected capstan evaluate to end with ", static_cast<int>(kBadCheckpoint), ", got ", code,
                         last_words(said));
  }

 private:
  std::string run(const std::string& name) const { return o_.directory + "/" + name; }
  std::string said_by(const std::string& name) const { return run(name) + ".txt"; }
  std::string newest(const std::string& name) const {
    const std::vector<std::string> all = checkpoints_of(run(name));
    require<CheckFailed>(!all.empty(), "expected checkpoints in ", run(name), ", got none");
    return all.front();
  }
  std::int64_t newest_step(const std::string& name) const { return Checkpoint(newest(name)).step(); }

  std::unique_ptr<ChildProcess> start(const std::string& name, std::initializer_list<std::string> more) const {
    std::vector<std::string> arguments{"train",
                                       o_.config,
                                       "run.dir=" + run(name),
                                       "run.threads=" + std::to_string(o_.threads),
                                       "train.max_steps=" + std::to_string(o_.steps),
                                       "train.log_every=1",
                                       "checkpoint.every=1"};
    arguments.insert(arguments.end(), more);
    return started(std::move(arguments), said_by(name));
  }
  std::unique_ptr<ChildProcess> started(std::vector<std::string> arguments, const std::string& said) const {
    return std::make_unique<ChildProcess>([&] { return become(o_.program, arguments); }, said);
  }
  /// Its exit code. Throws StopRequested where a signal asks this process to stop.
  static int wait_for(ChildProcess& process) {
    while (!process.ended()) {
      throw_if_stopped();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return process.wait();
  }

  void finish(const std::string& name, std::initializer_list<std::string> more) const {
    const int code = wait_for(*start(name, more));
    require_success(code, name);
  }

  void require_success(int code, const std::string& name) const {
    if (code == kOk) return;
    const std::string words = last_words(said_by(name));
    require<IoError>(code != kIo, "selftest: a run could not write into the temporary directory", words);
    throw CheckFailed(join_text("expected capstan train to end with 0, got ", code, words));
  }

  /// Starts a run, or goes on with it, and kills it once it has saved this step; false if it ended before.
  bool kill_midway(const std::string& name, std::int64_t step) const {
    const auto process = start(name, {"--resume", "auto"});
    while (!process->ended()) {
      throw_if_stopped();
      // The names alone: files come and go while they are counted.
      const std::vector<std::string> all = checkpoints_of(run(name));
      if (!all.empty() && std::filesystem::path(all.front()).filename() >= step_name(step)) {
        process->signal(SIGKILL);
        return process->wait() == 128 + SIGKILL && newest_step(name) < o_.steps;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const int code = process->wait();
    require_success(code, name);
    return false;
  }

  static std::string step_name(std::int64_t step) {
    const std::string digits = std::to_string(step);
    return "step-" + std::string(9 - std::min<std::size_t>(digits.size(), 9), '0') + digits + ".h5";
  }

  RunCheckOptions o_;
};

}  // namespace

void require_same_tensors(const std::string& got, const std::string& expected) {
  const data::Hdf5Reader a(got), b(expected);
  const auto tensors = [](const data::Hdf5Reader& reader) {
    std::vector<std::string> names;
    for (const data::Hdf5Entry& e : reader.entries())
      for (const std::string_view group : {"/model/", "/weights/", "/optimizer/", "/train/recipe/"})
        if (e.name.starts_with(group)) names.push_back(e.name);
    return names;
  };
  const std::vector<std::string> names = tensors(b), found = tensors(a);
  require<CheckFailed>(!names.empty() && found == names, "expected the same ", names.size(), " tensors in ", got, " as in ", expected,
                       ", got ", found.size());
  for (const std::string& name : names) {
    const Tensor x = a.read(name), y = b.read(name);
    require<CheckFailed>(x.spec() == y.spec(), name, ": expected ", y, ", got ", x);
    const std::vector<double> left = x.to_vector(), right = y.to_vector();
    for (std::size_t i = 0; i < left.size(); ++i)
      require<CheckFailed>(std::bit_cast<std::uint64_t>(left[i]) == std::bit_cast<std::uint64_t>(right[i]), name, ", number ", i, " of ",
                           left.size(), ": expected ", right[i], " as in the run that was left alone, got ", left[i]);
  }
}

std::vector<SelfCheck> run_checks(const RunCheckOptions& options) {
  const auto runs = std::make_shared<const Runs>(options);
  return {
      {join_text("training: ", options.steps, " steps of ", options.config, ", the loss falls"), [runs] { runs->learns(); }},
      {join_text("resume: a run killed ", options.killed_from.size(), " times ends with the same bits as one left alone"),
       [runs] { runs->survives_kills(); }},
      {"checkpoints: one with a changed byte is refused, wherever it is", [runs] { runs->refuses_damage(); }},
  };
}

}  // namespace capstan::engine
