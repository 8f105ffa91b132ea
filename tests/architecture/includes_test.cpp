// The diamond of folders, enforced: who may include whom, and which folder may name a vendor library.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace capstan {
namespace {

namespace fs = std::filesystem;

struct Rule {
  std::string folder;                // the files below it
  std::vector<std::string> allowed;  // prefixes of project headers they may include
  std::vector<std::string> except;   // of those, prefixes they may not
};

// The first rule whose folder is a prefix of the file's path applies.
const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {
      {"autograd/core/gradient.cpp", {"autograd/core/", "autograd/kernels/accumulate.h", "autograd/kernels/indexed_rows.h"}, {}},
      {"autograd/core/parameter.cpp", {"autograd/core/", "autograd/kernels/accumulate.h"}, {}},
      {"autograd/core/", {"autograd/core/"}, {}},
      {"autograd/kernels/", {"autograd/core/", "autograd/kernels/"}, {}},
      {"autograd/tape/", {"autograd/core/", "autograd/kernels/", "autograd/tape/"}, {}},
      {"autograd/ops/", {"autograd/core/", "autograd/kernels/", "autograd/tape/", "autograd/ops/"}, {}},
      {"autograd/inference/", {"autograd/core/", "autograd/kernels/", "autograd/ops/", "autograd/inference/"}, {}},
      {"nn/generation/", {"autograd/core/", "autograd/inference/", "nn/"}, {"nn/models/"}},
      {"nn/models/", {"autograd/core/", "autograd/tape/", "autograd/ops/", "nn/"}, {"nn/generation/"}},
      {"nn/", {"autograd/core/", "autograd/tape/", "autograd/ops/", "nn/"}, {"nn/models/", "nn/generation/"}},
      {"optim/", {"autograd/core/", "autograd/kernels/", "optim/"}, {}},
      {"data/", {"autograd/core/", "data/"}, {}},
      {"recipes/engine/", {"autograd/", "nn/", "optim/", "data/", "recipes/engine/"}, {"nn/models/"}},
      {"recipes/tasks/", {"autograd/", "nn/", "optim/", "data/", "recipes/engine/", "recipes/tasks/"}, {"autograd/kernels/", "nn/models/"}},
      {"recipes/main.cpp", {"autograd/core/", "recipes/"}, {"recipes/tasks/"}},
      {"recipes/", {"autograd/", "nn/", "optim/", "data/", "recipes/"}, {"autograd/kernels/"}},
  };
  return all;
}

// Headers that only some files may include: pattern of the header, prefixes of the files that may.
const std::map<std::string, std::vector<std::string>>& vendor_rules() {
  static const std::map<std::string, std::vector<std::string>> all = {
      {"(oneapi/)?dnnl.*", {"autograd/kernels/onednn/"}},
      {"hdf5.*", {"data/hdf5/"}},
      {"jpeglib.*|jerror.*", {"data/image/jpeg.cpp"}},
      {"png.*", {"data/image/png.cpp"}},
      {"boost/.*", {"recipes/engine/config/"}},
      {"zip.*", {"data/npz.cpp"}},
      {"pugixml.*", {"data/detection/voc.cpp"}},
      {"sys/socket\\.h|sys/un\\.h|netdb\\.h|ifaddrs\\.h|netinet/.*|arpa/.*|curl/.*", {"recipes/engine/distributed/watch.cpp"}},
      {"mpi.h", {"recipes/engine/distributed/mpi_comm.cpp"}},
  };
  return all;
}

bool starts_with_any(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return text.starts_with(p); });
}

/// What stands between other ones of its kind and may not include them: "recipes/bert/", "recipes/tasks/masked_lm/", "nn/models/vit" for
/// vit.h and vit_stem.cpp; else "".
std::string room_of(const std::string& path) {
  static const std::regex pattern("(recipes/tasks/[^/]+/|nn/models/[^/_.]+|recipes/(?!engine/|tasks/)[^/]+/).*");
  std::smatch match;
  return std::regex_match(path, match, pattern) ? match[1].str() : "";
}

/// The kind of a room: "recipes/tasks/".
std::string kind_of(const std::string& room) { return room.substr(0, room.find_last_of('/', room.size() - 2) + 1); }

// What several rooms of a kind share.
const std::set<std::string>& shared() {
  static const std::set<std::string> all{"recipes/formats/", "recipes/tasks/recommendation/", "recipes/tasks/text/"};
  return all;
}

/// A network that contains another one, and that one.
const std::set<std::pair<std::string, std::string>>& contained() {
  static const std::set<std::pair<std::string, std::string>> all{{"nn/models/detr", "nn/models/resnet"}};
  return all;
}

/// What is wrong with including `header` in `file`; empty if nothing.
std::string violation(const std::string& file, const std::string& header, bool quoted) {
  if (quoted) {
    const std::string fault = file + " must not include " + header, own = room_of(file), other = room_of(header);
    for (const Rule& rule : rules()) {
      if (!file.starts_with(rule.folder)) continue;
      if (!starts_with_any(header, rule.allowed) || starts_with_any(header, rule.except)) return fault;
      break;
    }
    const bool stranger = !own.empty() && !other.empty() && kind_of(own) == kind_of(other) && own != other && !shared().contains(other) &&
                          !contained().contains({own, other});
    return stranger ? fault + ": they do not know each other" : "";
  }
  for (const auto& [pattern, files] : vendor_rules())
    if (std::regex_match(header, std::regex(pattern)) && !starts_with_any(file, files)) return file + " must not include <" + header + ">";
  return "";
}

TEST(Architecture, RulesCatchEveryKindOfViolation) {
  EXPECT_NE(violation("autograd/core/tensor.h", "autograd/tape/tape.h", true), "");
  EXPECT_NE(violation("autograd/kernels/openmp/softmax.cpp", "autograd/ops/softmax.h", true), "");
  EXPECT_NE(violation("nn/linear.h", "optim/adam.h", true), "");
  EXPECT_NE(violation("nn/linear.cpp", "autograd/kernels/matmul.h", true), "");
  EXPECT_NE(violation("optim/adam.cpp", "autograd/tape/tape.h", true), "");
  EXPECT_NE(violation("data/loader.h", "nn/linear.h", true), "");
  EXPECT_NE(violation("nn/linear.h", "nn/models/bert.h", true), "");
  EXPECT_NE(violation("nn/models/vit.h", "nn/models/bert.h", true), "");
  EXPECT_NE(violation("nn/generation/generator.h", "nn/models/bert.h", true), "");
  EXPECT_NE(violation("nn/generation/generator.h", "autograd/kernels/decoding.h", true), "");
  EXPECT_NE(violation("nn/linear.h", "nn/generation/decoder.h", true), "");
  EXPECT_NE(violation("autograd/inference/top_k.h", "nn/linear.h", true), "");
  EXPECT_NE(violation("nn/models/vit.h", "data/file.h", true), "");
  EXPECT_NE(violation("recipes/engine/train/train.h", "recipes/sasrec/recipe.h", true), "");
  EXPECT_NE(violation("recipes/engine/recipe.h", "nn/models/bert.h", true), "");
  EXPECT_NE(violation("recipes/tasks/next_item/task.h", "nn/models/sasrec.h", true), "");
  EXPECT_NE(violation("recipes/tasks/next_item/task.h", "recipes/tasks/next_event/batch.h", true), "");
  EXPECT_NE(violation("recipes/tasks/next_item/task.h", "recipes/sasrec/recipe.h", true), "");
  EXPECT_NE(violation("recipes/tasks/recommendation/baselines.h", "recipes/tasks/next_item/batch.h", true), "");
  EXPECT_NE(violation("recipes/sasrec/recipe.h", "recipes/gru4rec/recipe.h", true), "");
  EXPECT_NE(violation("recipes/main.cpp", "recipes/tasks/next_item/task.h", true), "");
  EXPECT_NE(violation("autograd/ops/matmul.cpp", "dnnl.hpp", false), "");
  EXPECT_NE(violation("recipes/engine/checkpoint/checkpoint.cpp", "hdf5.h", false), "");
  EXPECT_NE(violation("recipes/sasrec/recipe.cpp", "boost/program_options.hpp", false), "");
  EXPECT_NE(violation("recipes/engine/train/train.cpp", "mpi.h", false), "");
  EXPECT_NE(violation("recipes/engine/pretrained/model_directory.cpp", "sys/socket.h", false), "");
  EXPECT_EQ(violation("recipes/sasrec/recipe.cpp", "nn/models/sasrec.h", true), "");
  EXPECT_EQ(violation("recipes/sasrec/recipe.cpp", "recipes/tasks/next_item/task.h", true), "");
  EXPECT_EQ(violation("recipes/tasks/next_item/task.h", "recipes/tasks/recommendation/baselines.h", true), "");
  EXPECT_EQ(violation("nn/models/vit_stem.cpp", "nn/models/vit.h", true), "");
  EXPECT_EQ(violation("autograd/kernels/onednn/engine.h", "dnnl.hpp", false), "");
}

std::vector<std::string> sources() {
  const fs::path root = CAPSTAN_SOURCE_DIR;
  std::vector<std::string> found;
  for (const char* folder : {"autograd", "nn", "optim", "data", "recipes"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (entry.is_regular_file() && (extension == ".h" || extension == ".cpp")) found.push_back(fs::relative(entry.path(), root));
    }
  return found;
}

// A source file as far as these tests look at it.
struct Source {
  std::vector<std::pair<std::string, bool>> includes;  // header, whether in quotes
  bool starts_threads = false;                         // by OpenMP, in its own text
};

Source read_source(std::istream& in) {
  static const std::regex include(R"(^\s*#\s*include\s*(["<])([^">]+)[">].*)"),
      parallel(R"(^\s*#\s*pragma\s+omp\s+(\w+\s+)*(parallel|teams)\b.*)");
  Source source;
  std::smatch match;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_match(line, match, include)) source.includes.emplace_back(match[2], match[1] == "\"");
    if (std::regex_match(line, parallel)) source.starts_threads = true;
  }
  return source;
}

std::map<std::string, Source> read_sources() {
  std::map<std::string, Source> all;
  for (const std::string& file : sources()) {
    std::ifstream in(fs::path(CAPSTAN_SOURCE_DIR) / file);
    all[file] = read_source(in);
  }
  return all;
}

/// The chain of includes through which a file starts threads, "a.cpp > b.h > c.h"; empty if it does not.
std::string way_to_threads(const std::map<std::string, Source>& all, const std::string& file, std::set<std::string>& seen) {
  const auto found = all.find(file);
  if (found == all.end() || !seen.insert(file).second) return "";
  if (found->second.starts_threads) return file;
  for (const auto& [header, quoted] : found->second.includes)
    if (const std::string way = quoted ? way_to_threads(all, header, seen) : ""; !way.empty()) return file + " > " + way;
  return "";
}
std::string way_to_threads(const std::map<std::string, Source>& all, const std::string& file) {
  std::set<std::string> seen;
  return way_to_threads(all, file, seen);
}

TEST(Architecture, EveryIncludeFollowsTheDiamond) {
  const std::map<std::string, Source> all = read_sources();
  ASSERT_GT(all.size(), 60u);
  for (const auto& [file, source] : all)
    for (const auto& [header, quoted] : source.includes) EXPECT_EQ(violation(file, header, quoted), "");
}

TEST(Architecture, ThreadsAreSeenThroughHeaders) {
  std::istringstream parallel("#include <omp.h>\n#pragma omp parallel for schedule(static)\n"), nested(" # pragma  omp target teams\n"),
      simd("#pragma omp simd\n");
  std::map<std::string, Source> all{{"parallel.h", read_source(parallel)}, {"simd.h", read_source(simd)}};
  EXPECT_TRUE(read_source(nested).starts_threads);
  all["map.h"].includes = {{"simd.h", true}, {"map.h", true}, {"parallel.h", true}};
  all["user.cpp"].includes = {{"map.h", true}};
  all["other.cpp"].includes = {{"simd.h", true}, {"parallel.h", false}};
  EXPECT_EQ(way_to_threads(all, "user.cpp"), "user.cpp > map.h > parallel.h");
  EXPECT_EQ(way_to_threads(all, "other.cpp"), "");
}

TEST(Architecture, OnlyTheOpenmpFolderStartsThreads) {
  const std::map<std::string, Source> all = read_sources();
  for (const auto& [file, source] : all)
    if (!file.starts_with("autograd/kernels/openmp/")) {
      EXPECT_EQ(way_to_threads(all, file), "");
    }
}

TEST(Architecture, HeadersGuardThemselvesAndHideNoNamespace) {
  for (const std::string& file : sources()) {
    std::ifstream in(fs::path(CAPSTAN_SOURCE_DIR) / file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (file.ends_with(".h")) {
      EXPECT_TRUE(text.starts_with("#pragma once")) << file;
    }
    EXPECT_EQ(text.find("using namespace"), std::string::npos) << file;
  }
}

TEST(Architecture, TopLevelIsFixed) {
  const std::vector<std::string> allowed = {"CMakeLists.txt", "README.md", "autograd", "nn", "optim", "data", "recipes", "tests"};
  for (const auto& entry : fs::directory_iterator(CAPSTAN_SOURCE_DIR)) {
    const std::string name = entry.path().filename();
    if (name.starts_with('.') || name.starts_with("build") || name == "runs" || name == "CMakePresets.json") continue;
    EXPECT_THAT(allowed, ::testing::Contains(name));
  }
}

}  // namespace
}  // namespace capstan
