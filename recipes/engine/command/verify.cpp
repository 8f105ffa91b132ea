#include "recipes/engine/command/verify.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/json.h"
#include "data/line_reader.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/safetensors.h"
#include "data/streamed_file.h"
#include "data/text/byte_bpe.h"
#include "data/text/corpus.h"
#include "data/text/subword.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/stored_config.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSupersededEnd = ".superseded", kUnverifiedEnd = ".unverified", kTemporaryMark = ".tmp.";

bool is_temporary(std::string_view name) { return name.ends_with(kUnverifiedEnd) || name.find(kTemporaryMark) != std::string_view::npos; }

std::string beside(const std::string& folder, std::string_view name) { return (fs::path(folder) / name).string(); }

std::string file_size_text(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? "unknown size" : bytes_text(static_cast<double>(bytes));
}

/// "3 files", "1 file".
std::string count_text(std::size_t count, std::string_view what) { return join_text(count, " ", what, count == 1 ? "" : "s"); }

/// The names of what lies in a folder, sorted. Throws IoError.
std::vector<std::string> sorted_names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) names.push_back(entries->path().filename().string());
  require<IoError>(!error, folder, ": cannot list it: ", error.message());
  std::ranges::sort(names);
  return names;
}

/// The kind of a file by what it begins with; empty: too short for any.
std::string beginning_of(const std::string& path, std::size_t count) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require<IoError>(fd >= 0, path, ": cannot open: ", std::generic_category().message(errno));
  std::string bytes(count, '\0');
  const auto got = ::read(fd, bytes.data(), bytes.size());
  ::close(fd);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

/// Who holds the lock of a run directory, by what the file says; nothing: nobody does.
std::optional<std::string> holder_of(const std::string& lock) {
  const int fd = ::open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  if (!held) return std::nullopt;
  return beginning_of(lock, 20);
}

/// Whether a damaged HDF5 file was a checkpoint: no other file of ours has an attribute of this name.
bool was_checkpoint(const std::string& path) {
  constexpr std::string_view kMark = "data_digest";
  constexpr std::size_t kPart = std::size_t{1} << 22;
  const data::MappedFile file(path);
  const std::string_view all(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  for (std::size_t at = 0; at < all.size(); at += kPart) {
    if (all.substr(at, kPart + kMark.size()).find(kMark) != std::string_view::npos) return true;
    file.release();
  }
  return false;
}

/// A checkpoint whose file is whole: what else it must be.
struct SoundCheckpoint {
  std::int64_t step = 0, best_step = -1;
  bool resumes = false;
  std::string text;  ///< what it is
};

class Verification {
 public:
  Verification(std::span<const RecipeEntry> recipes, std::ostream& out) : recipes_(recipes), out_(out) {}

  void path(const std::string& path) {
    std::error_code error;
    if (fs::is_directory(path, error)) return folder(path);
    if (!fs::exists(path, error)) return bad(path, IoError(error ? error.message() : "there is no such file"));
    require<ConfigError>(file(path), "verify: ", path,
                         ": is no file of a known kind; known are checkpoints and data (.h5), corpora, weights (.safetensors, .npz, .npy), "
                         "indexes of these, JSON, and folders of runs and models");
  }

  /// The last line; the exit code.
  int finish() {
    out_ << count_text(files_, "file") << ": " << files_ - bad_ << " ok, " << bad_ << " BAD\n";
    return bad_checkpoint_ ? kBadCheckpoint : bad_data_ ? kData : bad_ > 0 ? kIo : kOk;
  }

 private:
  void ok(const std::string& path, std::string_view what) {
    ++files_;
    out_ << "ok   " << path << ": " << what << std::endl;
  }

  void bad(const std::string& path, const Error& error) {
    ++files_;
    ++bad_;
    const int code = exit_code_of(error);
    bad_checkpoint_ |= code == kBadCheckpoint;
    bad_data_ |= code != kBadCheckpoint && code != kIo;
    std::string reason = error.what();
    for (const std::string& known : {std::string("checkpoint: "), std::string("safetensors: "), path + ": "})
      if (reason.starts_with(known)) reason.erase(0, known.size());
    out_ << "BAD  " << path << ": " << reason << std::endl;
  }

  /// A file for which `check` returns what it is, or throws what is wrong. True if it is sound.
  bool look(const std::string& path, const std::function<std::string()>& check) {
    std::string what;
    try {
      what = check();
    } catch (const InternalError&) {
      throw;
    } catch (const Error& e) {
      bad(path, e);
      return false;
    }
    ok(path, what);
    return true;
  }

  void folder(const std::string& path) {
    std::error_code error;
    if (ModelDirectory::is(path)) return model(path);
    const std::string checkpoints = beside(path, kCheckpointFolder);
    for (const std::string& sign : {checkpoints, beside(path, kRunConfig), beside(path, "run.lock")})
      if (fs::exists(sign, error)) return run(path, checkpoints);
    const std::vector<std::string> names = sorted_names_in(path);
    const auto is_step = [](const std::string& name) { return name.starts_with("step-") && name.ends_with(".h5"); };
    if (std::ranges::any_of(names, is_step)) {
      const std::optional<std::string> holder = holder_of(beside(fs::absolute(path).parent_path().string(), "run.lock"));
      return run_checkpoints(path, holder.has_value());
    }
    std::size_t known = 0;
    for (const std::string& name : names) {
      const std::string inside = beside(path, name);
      if (fs::is_regular_file(inside, error)) known += file(inside) ? 1 : 0;
    }
    require<ConfigError>(known > 0, "verify: ", path, ": is neither a run nor a model directory, and none of its ", names.size(),
                         " entries is a file of a known kind");
  }

  /// A run directory.
  void run(const std::string& path, const std::string& checkpoints) {
    const std::optional<std::string> holder = holder_of(beside(path, "run.lock"));
    if (holder)
      ok(beside(path, "run.lock"), "process " + *holder + " is at work here: what it writes now may be told of otherwise a moment later");
    std::error_code error;
    if (const std::string config = beside(path, kRunConfig); fs::exists(config, error)) look(config, [&] { return run_config(config); });
    if (fs::is_directory(checkpoints, error)) run_checkpoints(checkpoints, holder.has_value());
    if (const std::string rows = beside(path, "metrics.jsonl"); fs::exists(rows, error)) look(rows, [&] { return rows_of(rows); });
    if (const std::string dump = beside(path, "nan_dump.h5"); fs::exists(dump, error)) hdf5(dump);
    leftovers(path, holder.has_value());
  }

  /// Parses as what its recipe takes.
  std::string run_config(const std::string& path) {
    const std::vector<Assignment> assignments = read_config_file(path);
    const auto named = std::ranges::find(assignments, "recipe", &Assignment::key);
    require<DataError>(named != assignments.end(), path, ": names no recipe");
    const std::unique_ptr<AnyConfig> config = recipe(named->value, path).configuration();
    try {
      assign(config->table(), assignments);
    } catch (const ConfigError& e) {
      throw DataError(e.what());
    }
    return join_text("configuration of ", named->value, ", ", assignments.size(), " settings");
  }

  const RecipeEntry& recipe(std::string_view name, const std::string& where) const {
    const auto found = std::ranges::find(recipes_, name, &RecipeEntry::name);
    require<CheckpointError>(found != recipes_.end(), where, ": belongs to the recipe ", name, ", which this program does not have");
    return *found;
  }

  SoundCheckpoint checkpoint(const std::string& path) const {
    const Checkpoint c(path, Checkpoint::Reading::in_parts);
    c.verify();
    SoundCheckpoint sound{.step = c.step(), .resumes = !c.optimizer_name().empty(), .text = {}};
    try {
      const std::unique_ptr<AnyConfig> config = recipe(c.meta().recipe, path).configuration();
      assign_stored(config->table(), {.text = c.meta().config, .place = path + ":/meta/config", .path = path}, {}, false);
    } catch (const ConfigError& e) {
      throw CheckpointError(join_text("checkpoint: ", path, ": its configuration: ", e.what()));
    }
    if (sound.resumes) {
      const TrainState state = c.train_state();
      require<CheckpointError>(state.step == c.step(), "checkpoint: ", path, ": two steps, ", state.step, " and ", c.step());
      sound.best_step = state.best_step;
      (void)c.optimizer_steps();
    }
    sound.text = join_text("checkpoint of ", c.meta().recipe, ", step ", sound.step, sound.resumes ? "" : ", weights only", ", ",
                           file_size_text(path));
    return sound;
  }

  /// The checkpoint, if it is sound.
  std::optional<SoundCheckpoint> look_at_checkpoint(const std::string& path, std::optional<std::int64_t> named_step) {
    SoundCheckpoint found;
    const bool sound = look(path, [&] {
      found = checkpoint(path);
      require<CheckpointError>(!named_step || *named_step == found.step, "checkpoint: ", path, ": is of step ", found.step);
      return found.text;
    });
    return sound ? std::optional(found) : std::nullopt;
  }

  /// The folder of a run's checkpoints.
  void run_checkpoints(const std::string& path, bool at_work) {
    std::error_code error;
    std::optional<SoundCheckpoint> newest;  // that is sound
    std::string newest_file;
    for (const std::string& name : sorted_names_in(path)) {
      const std::string inside = beside(path, name);
      const bool superseded = name.ends_with(kSupersededEnd);
      const std::string_view plain = std::string_view(name).substr(0, name.size() - (superseded ? kSupersededEnd.size() : 0));
      if (!plain.ends_with(".h5") || plain == "best.h5" || is_temporary(name)) continue;
      const auto sound = look_at_checkpoint(inside, step_in_name(plain));
      if (sound && !superseded && (!newest || sound->step > newest->step)) newest = sound, newest_file = name;
    }
    if (const std::string best = beside(path, "best.h5"); fs::exists(best, error)) look_at_best(best, newest);
    const std::string latest = beside(path, "LATEST.json");
    if (fs::exists(latest, error)) look(latest, [&] { return latest_of(latest, path, newest_file); });
    leftovers(path, at_work);
  }

  static std::optional<std::int64_t> step_in_name(std::string_view name) {
    constexpr std::string_view kStart = "step-";
    if (!name.starts_with(kStart)) return std::nullopt;
    std::int64_t step = 0;
    for (const char c : name.substr(kStart.size(), name.size() - kStart.size() - 3)) {
      if (c < '0' || c > '9' || step > (std::int64_t{1} << 58)) return std::nullopt;
      step = 10 * step + (c - '0');
    }
    return step;
  }

  void look_at_best(const std::string& path, const std::optional<SoundCheckpoint>& newest) {
    std::error_code error;
    const std::string folder = fs::path(path).parent_path().string();
    for (const std::string& name : sorted_names_in(folder.empty() ? "." : folder))
      if (name.starts_with("step-") && name.ends_with(".h5") && fs::equivalent(beside(folder, name), path, error))
        return ok(path, "another name of " + name);
    const auto best = look_at_checkpoint(path, std::nullopt);
    if (best && newest && newest->best_step >= 0 && newest->best_step != best->step)
      out_ << "     the newest checkpoint says that step " << newest->best_step << " is the best one: a resume puts that right\n";
  }

  /// What LATEST.json says, against the file that it names. A run may end between a save and the writing of it.
  static std::string latest_of(const std::string& path, const std::string& folder, const std::string& newest) {
    const data::Json json = data::read_json(path);
    const std::string name(json["file"].text()), file = beside(folder, name);
    const std::uint64_t bytes = json["bytes"].natural();
    const std::string_view digest = json["digest"].text();
    const std::int64_t step = json["step"].integer();
    std::error_code error;
    if (!fs::exists(file, error)) {
      require<CheckpointError>(fs::exists(file + std::string(kSupersededEnd), error), path, ": names ", name, ", which is not there");
      return join_text("names ", name, ", which was superseded; the next save names another");
    }
    require<CheckpointError>(step_in_name(name).value_or(step) == step, path, ": says that ", name, " is of step ", step);
    const data::Digest found = data::digest_file(file);
    const bool same = found.bytes == bytes && data::to_text(found) == digest;
    require<CheckpointError>(same || name == newest, path, ": says that ", name, " has ", bytes, " bytes and the digest ", digest,
                             ", it has ", found.bytes, " and ", data::to_text(found));
    if (!same) return join_text("of an earlier save of ", name, ": the run ended within a save; a resume puts that right");
    if (name != newest && !newest.empty()) return join_text("names ", name, "; ", newest, " is newer: the run ended within its save");
    return "names " + name;
  }

  /// The rows of a run's metrics.
  static std::string rows_of(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char last = '\n';
    const auto end = ::lseek(fd, 0, SEEK_END);
    const bool read = fd >= 0 && (end <= 0 || ::pread(fd, &last, 1, end - 1) == 1);
    ::close(fd);
    require<IoError>(read, path, ": cannot read its end");
    data::LineReader lines(path);
    std::int64_t rows = 0;
    for (std::string_view line; lines.next(line); ++rows) {
      const std::string where = join_text(path, ":", lines.line_number());
      try {
        (void)data::parse_json(line, where)["step"].integer();
      } catch (const DataError&) {
        if (last != '\n' && !lines.next(line)) break;
        throw;
      }
    }
    require<DataError>(last == '\n', path, ":", lines.line_number(), ": the row is cut short; a resume leaves it out");
    return count_text(static_cast<std::size_t>(rows), "row");
  }

  /// What killed processes left of files that they were writing.
  void leftovers(const std::string& folder, bool at_work) {
    for (const std::string& name : sorted_names_in(folder))
      if (const std::string inside = beside(folder, name); is_temporary(name) && fs::is_regular_file(inside))
        ok(inside,
           join_text("an unfinished file, ", file_size_text(inside),
                     at_work ? ": being written, or left by a killed process" : ": left by a killed process; the next run removes it"));
  }

  /// A model as the Hugging Face world keeps it.
  void model(const std::string& path) {
    for (const std::string_view name : {"config.json", "tokenizer_config.json", "preprocessor_config.json", "special_tokens_map.json",
                                        "added_tokens.json", "generation_config.json"}) {
      const std::string inside = beside(path, name);
      std::error_code error;
      if (fs::exists(inside, error)) look(inside, [&] { return json(inside); });
    }
    try {
      const ModelDirectory directory(path);
      file(directory.weights());
      tokenizer(path, directory);
    } catch (const InternalError&) {
      throw;
    } catch (const Error& e) {
      if (data_is_read(path)) bad(path, e);
    }
  }

  /// False if config.json is what is wrong, of which a line says so already.
  static bool data_is_read(const std::string& path) {
    try {
      (void)data::read_json(beside(path, "config.json"));
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void tokenizer(const std::string& path, const ModelDirectory& directory) {
    if (directory.has("vocab.txt")) {
      const std::string file = beside(path, "vocab.txt");
      look(file, [&] { return tokens_text(data::Vocabulary::load(file).size(), "vocabulary"); });
    }
    if (directory.has("tokenizer.json")) {
      const std::string file = beside(path, "tokenizer.json");
      look(file, [&] {
        const data::Json json = data::read_json(file);
        const auto model = json.find("model");
        const auto type = model ? model->find("type") : std::nullopt;
        const std::string_view kind = type ? type->text() : std::string_view();
        if (kind == "WordPiece")
          return tokens_text(data::load_vocabulary(file, data::TokenizerVariant::hf_fast).size(), "WordPiece tokenizer");
        if (kind == "BPE" && !directory.has("tokenizer.model")) return tokens_text(data::ByteBpe::read(file).size(), "byte-level BPE");
        return join_text("JSON of a tokenizer", kind.empty() ? "" : " of kind ", kind);
      });
    }
    if (directory.has("tokenizer.model")) {
      const std::string file = beside(path, "tokenizer.model");
      look(file, [&] { return tokens_text(data::SubwordModel::read(file).size(), "subword model"); });
    }
    if (directory.has("vocab.json") && directory.has("merges.txt")) {
      const std::string file = beside(path, "vocab.json");
      look(file,
           [&] { return tokens_text(data::ByteBpe::read(file, beside(path, "merges.txt")).size(), "byte-level BPE with merges.txt"); });
    }
  }

  static std::string tokens_text(std::int64_t count, std::string_view what) { return join_text(what, " of ", count, " tokens"); }

  static std::string json(const std::string& path) {
    (void)data::read_json(path);
    return "JSON, " + file_size_text(path);
  }

  /// A file of a known kind. False: it is of none.
  bool file(const std::string& path) {
    if (path.ends_with(".safetensors.index.json")) {
      look(path, [&] {
        const data::SafetensorsSet set(path);
        return "set of " + count_text(set.tensors().size(), "tensor");
      });
    } else if (path.ends_with(".safetensors")) {
      look(path, [&] {
        const data::SafetensorsReader reader(path, {.allow_trailing_bytes = true});
        const bool checked = reader.metadata().contains(std::string(data::kSafetensorsChecksum));
        return join_text(count_text(reader.entries().size(), "tensor"), ", ", file_size_text(path),
                         checked ? "" : "; it has no checksum of the numbers");
      });
    } else if (path.ends_with(".npz")) {
      look(path, [&] { return npz(path); });
    } else if (path.ends_with(".npy")) {
      look(path, [&] {
        return join_text("array, ", bytes_text(static_cast<double>(data::read_npy_header(path).bytes)), "; this format has no checksum");
      });
    } else if (path.ends_with(".json")) {
      look(path, [&] { return json(path); });
    } else {
      std::string start;
      try {
        start = beginning_of(path, 8);
      } catch (const IoError& e) {
        bad(path, e);
        return true;
      }
      const bool is_hdf5 = start.starts_with("\x89HDF") || path.ends_with(".h5") || path.ends_with(".hdf5");
      if (is_hdf5) {
        hdf5(path);
      } else if (start == "CAPSCORP") {
        look(path, [&] {
          const data::Corpus corpus(path);
          return join_text("corpus of ", corpus.documents(), " documents, ", corpus.token_count(), " tokens");
        });
      } else {
        return false;
      }
    }
    return true;
  }

  static std::string npz(const std::string& path) {
    const data::NpzReader reader(path);
    for (const data::NpzEntry& e : reader.entries()) (void)reader.read(e.name);
    return join_text(count_text(reader.entries().size(), "array"), ", ", file_size_text(path));
  }

  /// A checkpoint or data.
  void hdf5(const std::string& path) {
    bool is_checkpoint = false;
    try {
      // The name counts where the content says nothing any more.
      is_checkpoint = step_in_name(fs::path(path).filename().string()).has_value() || was_checkpoint(path);
    } catch (const IoError& e) {
      return bad(path, e);
    }
    if (is_checkpoint) {
      look_at_checkpoint(path, std::nullopt);
      return;
    }
    look(path, [&] {
      const data::Hdf5Reader reader(path, {.mapped = true});
      std::size_t held = 0;
      for (const data::Hdf5Entry& e : reader.entries()) {
        e.is_text ? (void)reader.read_text(e.name) : (void)reader.read(e.name);
        held += e.stored_bytes;
        if (held >= kHeldWhileVerifying) reader.release(), held = 0;
      }
      return join_text("data, ", count_text(reader.entries().size(), "dataset"), ", ", file_size_text(path));
    });
  }

  static constexpr std::size_t kHeldWhileVerifying = std::size_t{1} << 22;

  std::span<const RecipeEntry> recipes_;
  std::ostream& out_;
  std::size_t files_ = 0, bad_ = 0;
  bool bad_checkpoint_ = false, bad_data_ = false;
};

}  // namespace

int verify_files(std::span<const RecipeEntry> recipes, std::span<const std::string> arguments, const Console& console) {
  require<ConfigError>(!arguments.empty(), "verify: needs a file or a folder\nusage: capstan verify FILE|DIR...");
  for (const std::string& a : arguments)
    require<ConfigError>(!a.starts_with("-"), "verify: knows no ", a, "; its arguments are files and folders");
  Verification verification(recipes, console.out);
  for (const std::string& a : arguments) verification.path(expand_home(a));
  return verification.finish();
}

}  // namespace capstan::engine
