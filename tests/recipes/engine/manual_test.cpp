// The manual page holds what the program knows: commands, flags, keys, files, exit codes; and troff takes it.

#include "recipes/engine/command/manual.h"

#include <set>

#include "recipes/engine/command/commands.h"
#include "recipes/engine/config/options.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::HasSubstr;

using ManualTest = ProgramTest;

TEST_F(ManualTest, HoldsEveryCommandFlagKeyAndExitCode) {
  ASSERT_EQ(capstan({"manual"}), kOk) << err.str();
  const std::string page = out.str();
  const auto bold = [](const std::string& name) { return HasSubstr("\n\\fB" + troff(name) + "\\fR"); };
  for (const CommandText& c : commands()) {
    EXPECT_THAT(
        page, HasSubstr("\n\\fB" + troff(c.name) + "\\fR" + (c.arguments.empty() ? "" : " " + troff(c.arguments)) + "\n" + troff(c.help)));
    for (const Flag& f : c.flags) EXPECT_THAT(page, bold("--" + f.name)) << c.name;
  }
  EngineOptions options;
  for (const std::string& key : OptionTable(options).keys()) EXPECT_THAT(page, bold(key));
  ASSERT_EQ(capstan({"--help"}), kOk);
  for (const ExitText& e : exit_texts()) {
    EXPECT_THAT(page, bold(std::string(e.codes)));
    EXPECT_THAT(out.str(), HasSubstr("  " + std::string(e.codes) + " "));
  }
}

TEST_F(ManualTest, NamesTheFilesOfARun) {
  ASSERT_EQ(train("linear"), kOk) << err.str();
  const std::string page = manual_page();
  for (const auto& e : std::filesystem::recursive_directory_iterator(run)) {
    std::string name = std::filesystem::relative(e.path(), run);
    if (e.is_directory()) continue;
    if (const auto step = name.find("step-"); step != std::string::npos) name = name.substr(0, step) + "step-N.h5";
    EXPECT_THAT(page, HasSubstr("\\fB" + troff(name) + "\\fR")) << "recipes/README.md lists the files, too";
  }
}

TEST_F(ManualTest, IsTroffAndAscii) {
  const std::set<std::string> requests{".TH", ".SH", ".PP", ".TP", ".RS", ".RE", ".B", ".BR", ".br", ".nf", ".fi", ".nh", ".ad", ".\\\""};
  std::istringstream page(manual_page());
  int depth = 0;
  for (std::string line; std::getline(page, line);) {
    EXPECT_FALSE(line.empty()) << "an empty line is a request of its own";
    EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    EXPECT_FALSE(line.starts_with('\'')) << line;
    if (!line.starts_with('.')) continue;
    const std::string request = line.substr(0, line.find(' '));
    EXPECT_TRUE(requests.contains(request)) << line;
    depth += request == ".RS" ? 1 : request == ".RE" ? -1 : 0;
    EXPECT_GE(depth, 0);
  }
  EXPECT_EQ(depth, 0);
}

TEST(Troff, EscapesWhatHasAMeaning) {
  EXPECT_EQ(troff("a\\b --c"), "a\\eb \\-\\-c");
  EXPECT_EQ(troff(".5 or 'x'"), "\\&.5 or \\(aqx\\(aq");
  EXPECT_EQ(troff("'x"), "\\&\\(aqx");
  EXPECT_EQ(troff("~/a `b` 2^16"), "\\(ti/a \\(gab\\(ga 2\\(ha16");
  EXPECT_EQ(troff("one\n.two"), "one .two");
}

}  // namespace
}  // namespace capstan::engine::test
