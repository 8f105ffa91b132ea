// The headers that are installed: closed under #include, free of libraries that users need not have, and complete in the umbrella.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace capstan {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  EXPECT_TRUE(in) << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

// CAPSTAN_PUBLIC_HEADERS names a file that the build writes: the public file sets of all libraries.
std::set<std::string> public_headers() {
  std::istringstream lines(text_of(CAPSTAN_PUBLIC_HEADERS));
  std::set<std::string> headers;
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) headers.insert(fs::relative(line, CAPSTAN_SOURCE_DIR));
  return headers;
}

std::vector<std::string> includes_of(const std::string& file, const char* pattern) {
  const std::string text = text_of(fs::path(CAPSTAN_SOURCE_DIR) / file);
  const std::regex include(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), include), end; i != end; ++i) found.push_back((*i)[1]);
  return found;
}

TEST(PublicHeaders, IncludeEachOtherAndTheStandardLibrary) {
  const std::set<std::string> headers = public_headers();
  ASSERT_GT(headers.size(), 60u);
  for (const std::string& header : headers) {
    EXPECT_EQ(header.find("kernels/"), std::string::npos) << header;
    for (const std::string& included : includes_of(header, "#include \"([^\"]+)\""))
      EXPECT_TRUE(headers.contains(included)) << header << " is installed, " << included << " is not";
    for (const std::string& included : includes_of(header, "#include <([^>]+)>"))
      EXPECT_FALSE(std::regex_match(included, std::regex(".*\\.(h|hpp)|boost/.*"))) << header << " includes <" << included << ">";
  }
}

// What differs with the user's compiler options would differ from what the library was compiled with.
TEST(PublicHeaders, DoNotDependOnTheInstructionSet) {
  for (const std::string& header : public_headers()) {
    const std::string text = text_of(fs::path(CAPSTAN_SOURCE_DIR) / header);
    EXPECT_FALSE(std::regex_search(text, std::regex("__(AVX|SSE|FMA|FAST_MATH|FINITE_MATH|x86_64|OPENMP|OPTIMIZE)"))) << header;
    EXPECT_FALSE(std::regex_search(text, std::regex("#\\s*pragma\\s+omp|\\bNDEBUG\\b"))) << header;
  }
}

TEST(PublicHeaders, UmbrellaHoldsEveryOp) {
  const std::vector<std::string> held = includes_of("autograd/capstan.h", "#include \"([^\"]+)\"");
  const std::set<std::string> umbrella(held.begin(), held.end());
  for (const std::string& header : public_headers())
    if (header.starts_with("autograd/ops/") && header != "autograd/ops/window.h") {
      EXPECT_TRUE(umbrella.contains(header)) << header;
    }
}

// The example that README.md shows is the one that tests/consumer builds: each of its lines, in their order.
TEST(PublicHeaders, ReadmeShowsWhatIsTested) {
  std::istringstream readme(text_of(fs::path(CAPSTAN_SOURCE_DIR) / "README.md"));
  const std::string program = text_of(fs::path(CAPSTAN_SOURCE_DIR) / "tests/consumer/main.cpp");
  std::size_t at = 0, lines = 0;
  bool inside = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("```")) {
      inside = line == "```cpp";
    } else if (inside && !line.empty()) {
      const std::size_t found = program.find(line, at);
      ASSERT_NE(found, std::string::npos) << line;
      at = found + line.size();
      ++lines;
    }
  }
  EXPECT_GE(lines, 10u);
}

}  // namespace
}  // namespace capstan
