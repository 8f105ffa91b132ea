#include "data/prepared.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"

namespace capstan::data {
namespace {

constexpr auto kKey = "/prepared/key", kReport = "/prepared/report";

template <class T>
Tensor as_tensor(const std::vector<T>& values) {
  return Tensor::from(values, Shape{static_cast<std::int64_t>(values.size())});
}

template <class T>
std::vector<T> as_vector(const Tensor& t) {
  const auto values = t.span<T>();
  return {values.begin(), values.end()};
}

void write_ids(Hdf5Writer& to, const std::string& prefix, const IdMap& ids) {
  const auto& names = ids.names();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(names.data());
  to.write(prefix + "/names", Tensor::from(std::span(bytes, names.size()), Shape{static_cast<std::int64_t>(names.size())}));
  to.write(prefix + "/ends", as_tensor(ids.ends()));
}

std::shared_ptr<const IdMap> read_ids(const Hdf5Reader& from, const std::string& prefix) {
  const auto names = as_vector<std::uint8_t>(from.read(prefix + "/names"));
  const std::string_view text(reinterpret_cast<const char*>(names.data()), names.size());
  auto ids = std::make_shared<IdMap>();
  std::int64_t begin = 0;
  for (const auto end : as_vector<std::int64_t>(from.read(prefix + "/ends"))) {
    require<DataError>(begin <= end && end <= static_cast<std::int64_t>(text.size()), from.path(), ": ", prefix,
                       ": ends are not ascending");
    ids->add(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
    begin = end;
  }
  require<DataError>(ids->size() == from.find(prefix + "/ends")->spec.shape.numel(), from.path(), ": ", prefix, ": an id occurs twice");
  return ids;
}

// A report as text: a line each, "what <tab> text"; warnings have no `what`.
std::string as_lines(const DataReport& report) {
  std::string out;
  for (const DataReport::Fact& f : report.facts) out += f.what + "\t" + f.text + "\n";
  for (const std::string& w : report.warnings) out += "\t" + w + "\n";
  return out;
}

void add_lines(std::string_view lines, DataReport& to) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    const auto tab = line.find('\t');
    if (tab == 0) {
      to.warn(std::string(line.substr(1)));
    } else if (tab != line.npos) {
      to.fact(std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)));
    }
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  }
}

}  // namespace

std::string prepared_key(std::span<const std::string> sources, std::string_view options) {
  std::string key = "capstan prepared data 1\n";
  for (const auto& path : sources) {
    key += join_text("source ", std::filesystem::path(path).filename().string(), " ", digest_file(path), "\n");
  }
  return key.append(options);
}

std::optional<Hdf5Reader> open_prepared(const std::string& path, std::string_view key, std::string* why) {
  std::string reason;
  std::error_code unknown;  // a folder that cannot be looked into is told by the reader
  if (!std::filesystem::exists(path, unknown) && !unknown) {
    reason = "there was none";
  } else {
    try {
      Hdf5Reader file(path);
      if (file.read_text(kKey) == key) return file;
      reason = path + ": was made from other sources or options";
    } catch (const Error& e) {
      reason = e.what();
    }
  }
  if (why != nullptr) *why = reason;
  return std::nullopt;
}

void write_prepared(const std::string& path, std::string_view key, Hdf5Writer content) {
  content.write_text(kKey, key);
  write_file_durably(path, content.finish());
}

void write_interactions(Hdf5Writer& to, const std::string& prefix, const Interactions& x) {
  to.write(prefix + "/offsets", as_tensor(x.offsets));
  to.write(prefix + "/items", as_tensor(x.items));
  to.write(prefix + "/times", as_tensor(x.times));
  to.write(prefix + "/users", as_tensor(x.users));
  write_ids(to, prefix + "/user_ids", *x.user_ids);
  write_ids(to, prefix + "/item_ids", *x.item_ids);
}

Interactions read_interactions(const Hdf5Reader& from, const std::string& prefix) {
  Interactions x;
  x.offsets = as_vector<std::int64_t>(from.read(prefix + "/offsets"));
  x.items = as_vector<std::int32_t>(from.read(prefix + "/items"));
  x.times = as_vector<double>(from.read(prefix + "/times"));
  x.users = as_vector<std::int32_t>(from.read(prefix + "/users"));
  x.user_ids = read_ids(from, prefix + "/user_ids");
  x.item_ids = read_ids(from, prefix + "/item_ids");
  const auto within = [](const std::vector<std::int32_t>& indices, const IdMap& ids) {
    return std::all_of(indices.begin(), indices.end(), [&](auto i) { return i >= 0 && i < ids.size(); });
  };
  const bool fits = x.offsets.size() == x.users.size() + 1 && x.offsets.front() == 0 && x.offsets.back() == x.events() &&
                    std::is_sorted(x.offsets.begin(), x.offsets.end()) && (x.times.empty() || x.times.size() == x.items.size()) &&
                    within(x.items, *x.item_ids) && within(x.users, *x.user_ids);
  require<DataError>(fits, from.path(), ": ", prefix, ": the arrays do not fit together");
  return x;
}

PreparationLock::PreparationLock(const std::string& path) : path_(path + ".lock") {
  for (;;) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) return;
    int code;
    do code = ::flock(fd_, LOCK_EX);
    while (code != 0 && errno == EINTR);
    // Whoever held it has removed the file: the next ones lock a new one.
    struct stat mine {
    }, present{};
    if (code != 0 || (::fstat(fd_, &mine) == 0 && ::stat(path_.c_str(), &present) == 0 && mine.st_ino == present.st_ino)) return;
    ::close(fd_);
  }
}

PreparationLock::~PreparationLock() {
  if (fd_ < 0) return;
  ::unlink(path_.c_str());
  ::close(fd_);
}

Interactions prepared_interactions(const std::string& path, std::string_view key, const std::function<Interactions()>& make,
                                   std::string* why, KeepPrepared keep, DataReport* report) {
  if (why != nullptr) why->clear();
  if (path.empty()) {
    if (why != nullptr) *why = "no file for prepared data";
    return make();
  }
  std::string reason;
  const auto found = [&]() -> std::optional<Interactions> {
    try {
      if (const auto file = open_prepared(path, key, &reason)) {
        Interactions x = read_interactions(*file, "/interactions");
        if (report != nullptr) add_lines(file->read_text(kReport), *report);
        return x;
      }
    } catch (const DataError& e) {
      reason = e.what();
    }
    return std::nullopt;
  };
  if (auto there = found()) return *std::move(there);
  if (keep == KeepPrepared::no) {
    if (why != nullptr) *why = reason;
    return make();
  }
  const PreparationLock lock(path);
  if (auto there = found()) return *std::move(there);
  DataReport before;
  if (report != nullptr) before = std::exchange(*report, {});
  Interactions x = make();
  Hdf5Writer writer;
  write_interactions(writer, "/interactions", x);
  if (report != nullptr) {
    const std::string lines = as_lines(*report);
    writer.write_text(kReport, lines);
    *report = std::move(before);
    add_lines(lines, *report);
  }
  write_prepared(path, key, std::move(writer));
  if (why != nullptr) *why = reason;
  return x;
}

}  // namespace capstan::data
