// What the scripts of this folder need beside a shell.
//
//   fault_tool same A.h5 B.h5                      whether two checkpoints hold the same bits, but for which older files were kept
//   fault_tool power_loss RECORD ROOT SCRATCH EVERY COMMAND
//        goes through a record of shim.cpp, and at each point through the states in which a power cut may leave the disk; in each, the
//        newest sound checkpoint must be none older than the last save that was complete. Every EVERY-th state is also handed to COMMAND, a
//        line for the shell whose $1 is the folder.
//
// The model of a disk, after LevelDB's fault injection and ALICE (Pillai et al., OSDI 2014): the bytes of a file are there for certain only
// after a sync of the file, a name only after a sync of its folder. What is not synced may be there or not: bytes wholly, in part, or as
// zeros; names one by one.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"

namespace capstan::engine {
namespace {

namespace fs = std::filesystem;

// same

std::map<std::string, std::string> content_of(const std::string& path) {
  const data::Hdf5Reader reader(path);
  std::map<std::string, std::string> all;
  const auto add_attributes = [&](const std::string& name) {
    for (const auto& [key, value] : reader.attributes(name))
      all[name + "@" + key] = std::visit([](const auto& v) { return join_text(v); }, value);
  };
  for (const std::string& group : reader.groups()) add_attributes(group);
  for (const data::Hdf5Entry& e : reader.entries()) {
    if (e.name.starts_with("/train/kept_") || e.name == "/meta/config") continue;  // run.dir stands in the configuration
    if (e.is_text) {
      all[e.name] = reader.read_text(e.name);
      continue;
    }
    const Tensor t = reader.read(e.name);
    const auto bytes = static_cast<std::size_t>(t.numel()) * size_of(t.dtype());
    all[e.name].assign(reinterpret_cast<const char*>(t.storage().data()), bytes);
    add_attributes(e.name);
  }
  return all;
}

int same(const std::string& first, const std::string& second) {
  const auto a = content_of(first), b = content_of(second);
  std::set<std::string> names;
  for (const auto* all : {&a, &b})
    for (const auto& [name, value] : *all) names.insert(name);
  int different = 0;
  for (const std::string& name : names)
    if (!a.contains(name) || !b.contains(name) || a.at(name) != b.at(name)) {
      std::cout << "differs: " << name << "\n";
      ++different;
    }
  return different == 0 ? 0 : 1;
}

// power_loss

struct Operation {
  std::string call, path, to;
  std::size_t offset = 0;
  std::string bytes;
};

std::vector<Operation> read_record(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<Operation> all;
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t end = std::min(line.find('\t', at), line.size());
      fields.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    require<DataError>(fields.size() >= 2, path, ": a damaged record: ", line);
    Operation op{.call = fields[0], .path = fields[1], .to = fields.size() > 2 ? fields[2] : "", .bytes = {}};
    if (op.call == "write" || op.call == "truncate") op.offset = std::stoull(fields[2]);
    if (op.call == "write") {
      op.bytes.resize(std::stoull(fields[3]));
      in.read(op.bytes.data(), static_cast<std::streamsize>(op.bytes.size()));
    }
    all.push_back(std::move(op));
  }
  return all;
}

/// A file: what is written, and what of it is certain.
struct Node {
  std::string now, synced, before_last;  // before_last: without the last write
  bool folder = false;
};
using Names = std::map<std::string, std::shared_ptr<Node>>;

/// A change of names that is not certain yet.
struct Change {
  std::string call, path, to;
  std::shared_ptr<Node> node;
};

void apply_change(const Change& c, Names& names) {
  if (c.call == "create" || c.call == "mkdir") names[c.path] = c.node;
  if (c.call == "unlink") names.erase(c.path);
  if (c.call == "link" && names.contains(c.path)) names[c.to] = names[c.path];
  if (c.call == "rename" && names.contains(c.path)) {
    const auto node = names[c.path];
    names.erase(c.path);
    names[c.to] = node;
  }
}

std::string folder_of(const std::string& path) { return fs::path(path).parent_path().string(); }

class Disk {
 public:
  void run(const Operation& op) {
    if (op.call == "create" || op.call == "mkdir") {
      auto node = std::make_shared<Node>();
      node->folder = op.call == "mkdir";
      change({op.call, op.path, "", node});
    } else if (op.call == "rename" || op.call == "link" || op.call == "unlink") {
      change({op.call, op.path, op.to, nullptr});
    } else if (op.call == "sync") {
      const auto node = now_.find(op.path);
      if (node != now_.end() && !node->second->folder) node->second->synced = node->second->before_last = node->second->now;
      std::vector<Change> left;
      for (const Change& c : pending_) {
        if (folder_of(c.path) == op.path) {
          apply_change(c, certain_);
        } else {
          left.push_back(c);
        }
      }
      pending_ = std::move(left);
    } else if (now_.contains(op.path)) {
      Node& node = *now_[op.path];
      node.before_last = node.now;
      if (op.call == "truncate") node.now.resize(op.offset);
      if (op.call == "write") {
        node.now.resize(std::max(node.now.size(), op.offset + op.bytes.size()));
        node.now.replace(op.offset, op.bytes.size(), op.bytes);
      }
    }
  }

  /// The contents that a power cut may leave.
  std::vector<std::map<std::string, std::string>> states() const {
    std::vector<Names> spaces{certain_, now_};
    for (std::size_t skip = 0; skip < pending_.size(); ++skip) {
      Names without = certain_, until = certain_;
      for (std::size_t i = 0; i < pending_.size(); ++i) {
        if (i != skip) apply_change(pending_[i], without);
        if (i <= skip) apply_change(pending_[i], until);
      }
      spaces.push_back(without);
      spaces.push_back(until);
    }
    std::vector<std::map<std::string, std::string>> all;
    for (const Names& names : spaces)
      for (int kind = 0; kind < 4; ++kind) {
        std::map<std::string, std::string> state;
        for (const auto& [path, node] : names) {
          if (!has_folders(names, path)) continue;
          std::string bytes = kind == 0 ? node->synced : node->now;
          if (kind == 2) bytes.resize((node->before_last.size() + node->now.size()) / 2);
          if (kind == 3 && node->synced.size() < bytes.size())
            std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(node->synced.size()), bytes.end(), '\0');
          state[path] = node->folder ? std::string("folder") : "file " + bytes;
        }
        all.push_back(std::move(state));
      }
    return all;
  }

 private:
  void change(Change c) {
    apply_change(c, now_);
    pending_.push_back(std::move(c));
  }

  bool has_folders(const Names& names, const std::string& path) const {
    for (std::string folder = folder_of(path); folder.size() > 1 && now_.contains(folder); folder = folder_of(folder))
      if (!names.contains(folder)) return false;
    return true;
  }

  Names now_, certain_;
  std::vector<Change> pending_;
};

void materialise(const std::map<std::string, std::string>& state, const std::string& root, const std::string& to) {
  fs::remove_all(to);
  fs::create_directories(to);
  for (const auto& [path, what] : state) {
    const fs::path target = fs::path(to) / fs::path(path).lexically_relative(root);
    if (what == "folder") {
      fs::create_directories(target);
      continue;
    }
    fs::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary).write(what.data() + 5, static_cast<std::streamsize>(what.size() - 5));
  }
}

/// The step that a name step-N.h5 says, -1 for other names.
std::int64_t step_said(const std::string& path) {
  const std::string name = fs::path(path).filename();
  return name.starts_with("step-") && name.ends_with(".h5") ? std::stoll(name.substr(5)) : -1;
}

int power_loss(const std::string& record, const std::string& root, const std::string& scratch, std::size_t every,
               const std::string& command) {
  const std::vector<Operation> operations = read_record(record);
  Disk disk;
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  std::int64_t renamed = -1, complete = -1;  // steps of the last save that was given its name, and of the last complete one
  std::size_t states = 0, handed = 0, faults = 0;
  const std::string state_folder = scratch + "/state";
  for (std::size_t done = 0; done < operations.size(); ++done) {
    const Operation& op = operations[done];
    disk.run(op);
    if (op.call == "rename" && step_said(op.to) >= 0) renamed = std::max(renamed, step_said(op.to));
    if (op.call == "sync" && op.path.ends_with("/checkpoints")) complete = renamed;
    for (const auto& state : disk.states()) {
      std::string all;
      std::string checkpoints;
      for (const auto& [path, what] : state) {
        all.append(path).append("\n").append(std::to_string(what.size())).append(what);
        if (path.ends_with("/checkpoints")) checkpoints = path;
      }
      const data::Digest digest = data::digest_of(std::as_bytes(std::span(all.data(), all.size())));
      if (!seen.emplace(std::uint64_t{digest.crc32c} << 32 | digest.crc32, static_cast<std::uint64_t>(complete)).second) continue;
      ++states;
      materialise(state, root, state_folder);
      std::string wrong;
      std::int64_t found = -1;
      try {
        if (!checkpoints.empty()) {
          const std::string folder = state_folder + "/" + fs::path(checkpoints).lexically_relative(root).string();
          const CheckpointDirectory directory(folder, {}, Goal::minimize);
          std::vector<CheckpointDirectory::Rejected> rejected;
          const auto newest = directory.find_newest([](const Checkpoint&) {}, rejected);
          if (newest) found = newest->step();
        }
        if (found < complete) wrong = join_text("the newest sound checkpoint is of step ", found);
      } catch (const Error& e) {
        wrong = e.what();
      }
      if (wrong.empty() && every > 0 && states % every == 0) {
        materialise(state, root, state_folder);
        ++handed;
        if (std::system(("set -- '" + state_folder + "'; " + command).c_str()) != 0) wrong = "the command failed";
      }
      if (wrong.empty()) continue;
      ++faults;
      std::cout << "after operation " << done + 1 << " (" << op.call << " " << op.path << "), step " << complete
                << " being complete: " << wrong << std::endl;
      fs::remove_all(scratch + "/fault");
      materialise(state, root, scratch + "/fault");
      if (faults >= 10) break;
    }
    if (faults >= 10) break;
  }
  std::cout << operations.size() << " operations, " << states << " states of the disk, " << handed << " resumed to the end, " << faults
            << " faults" << std::endl;
  return faults == 0 ? 0 : 1;
}

int run(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "same" && arguments.size() == 3) return same(arguments[1], arguments[2]);
  if (command == "power_loss" && arguments.size() == 6)
    return power_loss(arguments[1], arguments[2], arguments[3], std::stoull(arguments[4]), arguments[5]);
  std::cerr << "usage: fault_tool same A.h5 B.h5 | power_loss RECORD ROOT SCRATCH EVERY COMMAND\n";
  return 2;
}

}  // namespace
}  // namespace capstan::engine

int main(int argc, char** argv) {
  try {
    return capstan::engine::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "fault_tool: " << e.what() << "\n";
    return 2;
  }
}
