#include "tests/recipes/recipe_program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <span>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "recipes/engine/system.h"

namespace capstan::engine::test {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
  const auto bytes = data::read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

RecipeProgram::RecipeProgram(const RecipeEntry& entry, const std::string& configuration)
    : recipe(entry),
      folder(std::string(CAPSTAN_SOURCE_DIR "/recipes/").append(recipe.name)),
      config(configuration.empty() ? folder + "/quickstart.cfg" : configuration) {}

RecipeProgram::Arguments RecipeProgram::joined(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

int RecipeProgram::capstan(const Arguments& arguments, const std::string& input) {
  clear_stop_signal();
  out.str("");
  err.str("");
  std::istringstream in(input);
  return run_program(std::span(&recipe, 1), arguments, {.in = in, .out = out, .err = err, .progress_fd = -1});
}

int RecipeProgram::train_quickstart(const std::string& run, const Arguments& settings) {
  return capstan(joined({"train", config, "run.dir=" + scratch / run}, settings));
}

void RecipeProgram::check_every_configuration(std::size_t least, const Arguments& settings,
                                              const std::function<void(const std::string& name)>& seen) {
  std::size_t count = 0;
  for (const auto& e : fs::directory_iterator(folder)) {
    if (e.path().extension() != ".cfg") continue;
    ++count;
    ASSERT_EQ(capstan(joined({"train", e.path().string(), "--check", "--parameters", "train.max_steps=1"}, settings)), kOk)
        << e.path() << ": " << err.str();
    EXPECT_THAT(out.str(), testing::HasSubstr("loss of the first batch")) << e.path();
    if (seen) seen(e.path().stem().string());
  }
  EXPECT_GE(count, least);
}

std::string RecipeProgram::checkpoint(const std::string& run) const {
  std::string newest;
  for (const auto& e : fs::directory_iterator(scratch / run + "/checkpoints"))
    if (e.path().filename().string().starts_with("step-")) newest = std::max(newest, e.path().string());
  return newest;
}

std::map<std::string, std::vector<double>> RecipeProgram::tensors(const std::string& path) {
  std::map<std::string, std::vector<double>> all;
  const data::Hdf5Reader reader(path);
  for (const auto& e : reader.entries())
    for (const char* group : {"/model/", "/weights/", "/optimizer/", "/train/recipe/"})
      if (!e.is_text && e.name.starts_with(group)) all[e.name] = reader.read(e.name).to_vector();
  return all;
}

double RecipeProgram::metric(const std::string& name) const {
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "  ")) return std::stod(line.substr(name.size()));
  ADD_FAILURE() << "no " << name << " in\n" << out.str();
  return -1;
}

void RecipeProgram::prove(const Proof& p) {
  const std::string whole = p.name + "-whole", killed = p.name + "-killed";
  const auto until = [&](int steps) { return joined(p.settings, {"train.max_steps=" + std::to_string(steps)}); };
  ASSERT_EQ(train_quickstart(whole, until(p.steps)), kOk) << err.str();
  const auto expected = tensors(checkpoint(whole));
  ASSERT_FALSE(expected.empty());
  for (const int stop : p.stops) {
    const std::string run = p.name + "-stopped-" + std::to_string(stop);
    ASSERT_EQ(train_quickstart(run, until(stop)), kOk) << err.str();
    EXPECT_NE(tensors(checkpoint(run)), expected) << "there is something left to do after " << stop << " steps";
    const Arguments changed = stop == p.stops.front() ? p.changed : Arguments{};
    ASSERT_EQ(train_quickstart(run, joined(joined(until(p.steps), changed), {"--resume", "auto"})), kOk) << err.str();
    EXPECT_EQ(tensors(checkpoint(run)), expected) << "stopped after " << stop << " steps";
  }

  const pid_t child = ::fork();
  if (child == 0) ::_exit(train_quickstart(killed, joined(until(p.steps), {"checkpoint.every=1"})));
  for (int i = 0; i < 5000 && !fs::exists(scratch / killed + "/checkpoints/LATEST.json"); ++i) ::usleep(2000);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_EQ(train_quickstart(killed, joined(until(p.steps), {"--resume", "auto"})), kOk) << err.str();
  EXPECT_EQ(tensors(checkpoint(killed)), expected) << "killed";

  const Arguments settings = joined(joined({"--checkpoint", checkpoint(whole)}, p.settings), p.use);
  const auto evaluated = [&] {
    EXPECT_EQ(capstan(joined({"evaluate", config, "--json", "--split", p.split}, settings)), kOk) << err.str();
    return out.str();
  };
  const std::string first = evaluated();
  EXPECT_THAT(first, testing::HasSubstr("\"split\":\"" + p.split + "\""));
  EXPECT_EQ(evaluated(), first);

  if (p.input.empty()) return;
  ASSERT_EQ(capstan(joined({"predict", config, "--input", "-", "--output", "-"}, settings), p.input), kOk) << err.str();
  const std::string answers = out.str();
  EXPECT_EQ(std::ranges::count(answers, '\n'), std::ranges::count(p.input, '\n')) << answers;
}

}  // namespace capstan::engine::test
