#pragma once
// CheckpointDirectory: puts checkpoints on the disk so that at any moment, crash or power cut included, a whole one is there.
//
// One save is: room is made or refused; the bytes go to step-N.h5.unverified (written, synced, renamed: data/file.h); that file is read
// back through the loader; it becomes step-N.h5; the directory is synced; LATEST.json names it; only then are older ones removed. The
// best one has a second name, best.h5. A save runs on its own thread on a copy of the content, at most one at a time. Content that is
// written while the state stands still (CheckpointContent) goes to the file at once, and what follows is done on that thread. A failed one
// leaves every older file as it was, and training goes on; the third failure in a row is an IoError.
// One process at a time: RunLock.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/config/options.h"

namespace capstan::engine {

inline constexpr std::string_view kRunConfig = "config.cfg", kCheckpointFolder = "checkpoints";  ///< in a run directory

/// The file that --checkpoint or --resume names: for the word best or latest the best or newest one of a run directory, else itself.
/// Throws ConfigError if the directory is empty, which means that there is none, or holds no such file; IoError, with the nearest of these
/// words and `other_words` that the caller knows, if there is no file of this name.
std::string checkpoint_file(const std::string& named, const std::string& run_directory, std::vector<std::string> other_words = {});
/// The checkpoints of a run directory, the newest first; none if there is no such directory.
std::vector<std::string> checkpoints_of(const std::string& run_directory);

/// Keeps a second process out of a run directory until destroyed. Throws ConfigError naming the holder.
class RunLock {
 public:
  explicit RunLock(const std::string& directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

struct SaveReport {
  std::string path;
  std::int64_t step = 0;
  std::size_t bytes = 0;
  std::string error;  ///< empty: the file is there and verified
};

class CheckpointDirectory {
 public:
  static constexpr int kMaxFailures = 3;

  /// Creates the directory and removes what killed saves left. The caller holds the RunLock.
  CheckpointDirectory(std::string path, const CheckpointOptions& options, Goal goal);
  ~CheckpointDirectory();  ///< waits for a save under way
  CheckpointDirectory(const CheckpointDirectory&) = delete;
  CheckpointDirectory& operator=(const CheckpointDirectory&) = delete;

  struct Rejected {
    std::string path, reason;
  };
  /// The newest file that opens, verifies and passes `check` (which throws what is wrong); nothing if there is no file at all. Throws
  /// CheckpointError with all reasons if there are files but none is usable. `rejected` gets those passed over.
  std::optional<Checkpoint> find_newest(const std::function<void(const Checkpoint&)>& check, std::vector<Rejected>& rejected,
                                        Checkpoint::Reading reading = Checkpoint::Reading::whole) const;

  /// Whether a file lies in this directory.
  bool holds(const std::string& file) const;
  /// Refuses to go on from a file of another place where this directory has checkpoints already. Throws ConfigError.
  void require_room_for(const std::string& file) const;
  /// After a resume: of the checkpoint's list of kept files those that are here count. Later files, of a run that was given up, are renamed
  /// to *.superseded, so that a later resume does not jump back to them. LATEST.json names the newest one that is left.
  void resume_at(const TrainState& state);
  /// Makes best.h5 name the checkpoint of a step after a resume from `resumed`, beside which it is looked for if it is not here, and
  /// brought from there. False if it is nowhere: what best.h5 named, of a run that was given up, becomes best.h5.superseded. Nothing to do
  /// where no best one is kept.
  bool name_best(const KeptCheckpoint& best, const std::string& resumed);

  /// The list to store in the checkpoint to be saved at `step`.
  std::vector<KeptCheckpoint> kept_with(std::int64_t step, double metric) const;
  /// Starts a save; waits for the one before. `best`: give this file the name best.h5. `held`: steps whose files stay besides.
  void save(CheckpointContent content, std::int64_t step, double metric, bool best, std::vector<std::int64_t> held = {});
  /// The result of the last save if it is done (or `wait`), once. Throws IoError at the third failure in a row.
  std::optional<SaveReport> collect(bool wait);
  /// That failure has come.
  bool given_up() const { return failures_ >= kMaxFailures; }

  std::string file_of(std::int64_t step) const;
  std::string best_file() const;
  const std::string& path() const { return path_; }
  /// Steps of the files that are there, newest first.
  std::vector<std::int64_t> steps() const;

 private:
  /// A file in which the content of a step comes together.
  struct Written {
    std::unique_ptr<data::Replacement> file;
    data::Digest digest;
    std::string error;  // empty: the content is there
  };
  std::string unverified_of(std::int64_t step) const;
  Written written(const CheckpointContent& content, std::int64_t step);
  Written written(const std::vector<std::byte>& image, std::int64_t step);
  SaveReport publish(Written written, std::int64_t step, double metric, bool best);
  std::string latest_file() const;
  std::string latest_text(std::int64_t step, double metric, const data::Digest& digest) const;
  /// Makes LATEST.json name the newest file: the run before may have ended between saving it and saying so.
  void describe_newest() const;
  void make_room(std::size_t bytes);
  void prune(std::int64_t keep_last);

  std::string path_;
  CheckpointOptions options_;
  Goal goal_;
  std::vector<KeptCheckpoint> kept_;  // verified files, oldest first; used by the save under way, else by the caller
  std::future<SaveReport> under_way_;
  std::vector<std::int64_t> held_;
  int failures_ = 0;
};

}  // namespace capstan::engine
