#include "recipes/engine/checkpoint/checkpoint_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "autograd/core/nearest_name.h"
#include "data/file.h"
#include "recipes/engine/report/run_log.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-", kSuffix = ".h5", kUnverified = ".unverified";
constexpr double kReserve = 1.1;  // of the disk space a file needs

std::string system_reason() { return std::strerror(errno); }

std::int64_t step_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return -1;
  name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  std::int64_t step = -1;
  const auto r = std::from_chars(name.data(), name.data() + name.size(), step);
  return r.ec == std::errc() && r.ptr == name.data() + name.size() ? step : -1;
}

std::string path_in(const std::string& folder, std::int64_t step) {
  std::array<char, 48> name{};
  std::snprintf(name.data(), name.size(), "/step-%09lld.h5", static_cast<long long>(step));
  return folder + name.data();
}
std::string best_in(const std::string& folder) { return folder + "/best.h5"; }

/// Newest first.
std::vector<std::int64_t> steps_in(const std::string& folder) {
  std::vector<std::int64_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (const std::int64_t step = step_of(entry.path().filename().string()); step >= 0) found.push_back(step);
  std::sort(found.rbegin(), found.rend());
  return found;
}

/// A second name for a file: it costs no space, and where the file system knows none it is a copy.
void link_or_copy(const std::string& from, const std::string& to) {
  const std::string temporary = to + std::string(kUnverified);
  if (::link(from.c_str(), temporary.c_str()) == 0) {
    data::rename_durably(temporary, to);
  } else {
    data::write_file_durably(to, data::read_file(from));
  }
}

/// Whether a file is a sound checkpoint of this step.
bool is_of_step(const std::string& file, std::int64_t step) {
  try {
    return Checkpoint(file, Checkpoint::Reading::in_parts).step() == step;
  } catch (const Error&) {
    return false;
  }
}

std::vector<KeptCheckpoint> with_file(std::vector<KeptCheckpoint> files, const KeptCheckpoint& added) {
  std::erase_if(files, [&](const KeptCheckpoint& k) { return k.step == added.step; });
  files.push_back(added);
  return files;
}

}  // namespace

std::string checkpoint_file(const std::string& named, const std::string& run_directory, std::vector<std::string> other_words) {
  const bool best = named == "best";
  if (!best && named != "latest") {
    const std::string file = expand_home(named);
    other_words.insert(other_words.end(), {"best", "latest"});
    std::error_code error;
    require<IoError>(fs::status(file, error).type() != fs::file_type::not_found, file, ": no such file", suggestion(named, other_words));
    require<IoError>(!fs::is_directory(file), file,
                     ": is a directory; the checkpoint must be a file, or best or latest with run.dir = ", file);
    return file;
  }
  require<ConfigError>(!run_directory.empty(), "checkpoint: '", named,
                       "' means one of a run directory, and there is none to look in: set run.dir, or name the file");
  const std::string folder = run_directory + "/" + std::string(kCheckpointFolder);
  const std::vector<std::int64_t> steps = steps_in(folder);
  require<ConfigError>(best ? fs::exists(best_in(folder)) : !steps.empty(), "checkpoint: '", named, "': there is none in ", folder,
                       "; set run.dir, or name the file");
  return best ? best_in(folder) : path_in(folder, steps.front());
}

std::vector<std::string> checkpoints_of(const std::string& run_directory) {
  const std::string folder = run_directory + "/" + std::string(kCheckpointFolder);
  std::vector<std::string> paths;
  for (const std::int64_t step : steps_in(folder)) paths.push_back(path_in(folder, step));
  return paths;
}

RunLock::RunLock(const std::string& directory) {
  const std::string path = directory + "/run.lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  require<IoError>(fd_ >= 0, path, ": cannot open: ", system_reason());
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const auto n = ::read(fd_, holder.data(), holder.size() - 1);
    ::close(fd_);
    throw ConfigError(
        join_text(directory, ": is in use by process ", n > 0 ? holder.data() : "?", "; a run directory serves one process at a time"));
  }
  const std::string self = std::to_string(::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, self.data(), self.size(), 0) < 0) return;  // the number only serves the message above
}

RunLock::~RunLock() { ::close(fd_); }

CheckpointDirectory::CheckpointDirectory(std::string path, const CheckpointOptions& options, Goal goal)
    : path_(std::move(path)), options_(options), goal_(goal) {
  data::create_directories_durably(path_);
  data::remove_unfinished(path_);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error))
    if (entry.path().filename().string().ends_with(kUnverified)) fs::remove(entry.path(), error);
}

CheckpointDirectory::~CheckpointDirectory() {
  if (under_way_.valid()) under_way_.wait();
}

std::string CheckpointDirectory::file_of(std::int64_t step) const { return path_in(path_, step); }
std::string CheckpointDirectory::best_file() const { return best_in(path_); }
std::vector<std::int64_t> CheckpointDirectory::steps() const { return steps_in(path_); }

std::optional<Checkpoint> CheckpointDirectory::find_newest(const std::function<void(const Checkpoint&)>& check,
                                                           std::vector<Rejected>& rejected, Checkpoint::Reading reading) const {
  for (const std::int64_t step : steps()) {
    try {
      Checkpoint c(file_of(step), reading);
      c.verify();
      check(c);
      return c;
    } catch (const InternalError&) {
      throw;
    } catch (const Error& e) {
      rejected.push_back({file_of(step), e.what()});
    }
  }
  std::string reasons;
  for (const Rejected& r : rejected) reasons += join_text("\n  ", r.path, ": ", r.reason);
  require<CheckpointError>(rejected.empty(), "checkpoint: ", path_, ": no file can be resumed from:", reasons);
  return std::nullopt;
}

bool CheckpointDirectory::holds(const std::string& file) const {
  const fs::path folder = fs::path(file).has_parent_path() ? fs::path(file).parent_path() : ".";
  std::error_code error;
  return fs::equivalent(folder, path_, error);
}

void CheckpointDirectory::require_room_for(const std::string& file) const {
  const std::vector<std::int64_t> there = steps();
  require<ConfigError>(there.empty() || holds(file), path_, ": holds another run, up to step ", there.empty() ? 0 : there.front(),
                       ": to go on from ", file, " choose another run.dir; to go on with the run that is here use --resume auto");
}

bool CheckpointDirectory::name_best(const KeptCheckpoint& best, const std::string& resumed) {
  if (options_.keep_best == 0) return true;
  const std::string own = file_of(best.step), folder = fs::path(resumed).parent_path().string();
  std::error_code error;
  if (!fs::exists(own)) {
    if (is_of_step(best_file(), best.step)) return true;
    for (const std::string& file : {resumed, path_in(folder.empty() ? "." : folder, best.step), best_in(folder.empty() ? "." : folder)}) {
      if (!is_of_step(file, best.step)) continue;
      link_or_copy(file, own);
      kept_ = with_file(kept_, best);
      break;
    }
  }
  if (fs::exists(own)) {
    if (!fs::equivalent(own, best_file(), error)) link_or_copy(own, best_file());
    return true;
  }
  if (fs::exists(best_file())) data::rename_durably(best_file(), best_file() + ".superseded");
  return false;
}

void CheckpointDirectory::resume_at(const TrainState& state) {
  for (const std::int64_t step : steps())
    if (step > state.step) data::rename_durably(file_of(step), file_of(step) + ".superseded");
  kept_.clear();
  for (const KeptCheckpoint& k : state.kept)
    if (fs::exists(file_of(k.step))) kept_.push_back(k);
  describe_newest();
}

std::string CheckpointDirectory::latest_file() const { return path_ + "/LATEST.json"; }

std::string CheckpointDirectory::latest_text(std::int64_t step, double metric, const data::Digest& digest) const {
  JsonRow row{{"file", fs::path(file_of(step)).filename().string()},
              {"bytes", static_cast<std::int64_t>(digest.bytes)},
              {"digest", to_text(digest)},
              {"step", step}};
  if (!std::isnan(metric)) row.emplace_back("metric", metric);
  return to_json(row) + "\n";
}

void CheckpointDirectory::describe_newest() const {
  const std::vector<std::int64_t> there = steps();
  if (there.empty()) return;
  const auto kept = std::ranges::find(kept_, there.front(), &KeptCheckpoint::step);
  const double metric = kept == kept_.end() ? std::nan("") : kept->metric;
  const std::string text = latest_text(there.front(), metric, data::digest_file(file_of(there.front())));
  std::error_code error;
  if (!fs::exists(latest_file(), error) || data::read_text(latest_file()) != text)
    data::write_file_durably(latest_file(), std::string_view(text));
}

std::vector<KeptCheckpoint> CheckpointDirectory::kept_with(std::int64_t step, double metric) const {
  require<InternalError>(!under_way_.valid(), "checkpoint: the save before must be collected first");
  return with_file(kept_, {step, metric});
}

void CheckpointDirectory::save(CheckpointContent content, std::int64_t step, double metric, bool best, std::vector<std::int64_t> held) {
  require<InternalError>(!under_way_.valid(), "checkpoint: the save before must be collected first");
  held_ = std::move(held);
  if (content.write) {
    under_way_ = std::async(std::launch::async, [this, written = written(content, step), step, metric, best]() mutable {
      return publish(std::move(written), step, metric, best);
    });
    return;
  }
  under_way_ = std::async(std::launch::async, [this, image = std::move(content.image), step, metric, best] {
    return publish(written(image, step), step, metric, best);
  });
}

std::optional<SaveReport> CheckpointDirectory::collect(bool wait) {
  if (!under_way_.valid()) return std::nullopt;
  if (!wait && under_way_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return std::nullopt;
  SaveReport report = under_way_.get();
  failures_ = report.error.empty() ? 0 : failures_ + 1;
  require<IoError>(failures_ < kMaxFailures, "checkpoint: ", failures_, " saves in a row have failed, the last with: ", report.error);
  return report;
}

std::string CheckpointDirectory::unverified_of(std::int64_t step) const { return file_of(step).append(kUnverified); }

CheckpointDirectory::Written CheckpointDirectory::written(const CheckpointContent& content, std::int64_t step) {
  Written out;
  std::optional<data::Hdf5Writer> writer;
  try {
    make_room(content.bytes);
    out.file = std::make_unique<data::Replacement>(unverified_of(step));
    writer.emplace(out.file->descriptor(), out.file->temporary(), content.bytes);
  } catch (const std::exception& e) {
    out.error = e.what();
  }
  try {
    content.write(writer ? &*writer : nullptr);
    if (writer) out.digest = writer->finish_file();
  } catch (const IoError& e) {
    out.error = e.what();
  } catch (const DataError& e) {
    out.error = e.what();
  }
  if (!out.error.empty()) out.file.reset();
  return out;
}

CheckpointDirectory::Written CheckpointDirectory::written(const std::vector<std::byte>& image, std::int64_t step) {
  Written out;
  try {
    make_room(image.size());
    out.file = std::make_unique<data::Replacement>(unverified_of(step));
    data::write_all(out.file->descriptor(), image, out.file->temporary());
    out.digest = data::digest_of(image);
  } catch (const std::exception& e) {
    out.error = e.what();
  }
  return out;
}

SaveReport CheckpointDirectory::publish(Written written, std::int64_t step, double metric, bool best) {
  SaveReport report{.path = file_of(step), .step = step, .bytes = written.digest.bytes, .error = std::move(written.error)};
  if (!report.error.empty()) return report;
  const std::string unverified = unverified_of(step);
  try {
    written.file->commit();
    Checkpoint(unverified, Checkpoint::Reading::in_parts).verify();
    data::rename_durably(unverified, report.path);
    kept_ = with_file(kept_, {step, metric});
    data::write_file_durably(latest_file(), std::string_view(latest_text(step, metric, written.digest)));
    if (best && options_.keep_best > 0) link_or_copy(report.path, best_file());
    prune(options_.keep_last);
  } catch (const std::exception& e) {
    report.error = e.what();
    ::unlink(unverified.c_str());
  }
  return report;
}

void CheckpointDirectory::make_room(std::size_t bytes) {
  const auto available = [&] {
    struct statvfs disk {};
    require<IoError>(::statvfs(path_.c_str(), &disk) == 0, path_, ": cannot ask for the free space: ", system_reason());
    return static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  };
  const double needed = kReserve * static_cast<double>(bytes);
  if (available() >= needed) return;
  prune(1);  // the newest verified one always stays
  require<IoError>(available() >= needed, path_, ": disk full: a checkpoint needs ", bytes_text(needed), ", free are ",
                   bytes_text(available()));
}

void CheckpointDirectory::prune(std::int64_t keep_last) {
  std::vector<KeptCheckpoint> by_step = kept_, by_metric;
  std::sort(by_step.begin(), by_step.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(by_metric), [](const auto& k) { return !std::isnan(k.metric); });
  std::stable_sort(by_metric.begin(), by_metric.end(),
                   [&](const auto& a, const auto& b) { return goal_ == Goal::maximize ? a.metric > b.metric : a.metric < b.metric; });
  by_step.resize(std::min(by_step.size(), static_cast<std::size_t>(keep_last)));
  by_metric.resize(std::min(by_metric.size(), static_cast<std::size_t>(options_.keep_best)));

  const auto contains = [](const std::vector<KeptCheckpoint>& list, std::int64_t step) {
    return std::any_of(list.begin(), list.end(), [&](const auto& k) { return k.step == step; });
  };
  std::vector<KeptCheckpoint> left;
  for (const KeptCheckpoint& k : kept_) {
    if (contains(by_step, k.step) || contains(by_metric, k.step) || std::ranges::find(held_, k.step) != held_.end()) {
      left.push_back(k);
    } else {
      std::error_code ignored;  // a file that cannot be removed is only in the way
      fs::remove(file_of(k.step), ignored);
    }
  }
  kept_ = std::move(left);
}

}  // namespace capstan::engine
