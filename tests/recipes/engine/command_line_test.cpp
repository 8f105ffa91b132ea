// The command line contract: commands, exit codes, where output goes.
#include "recipes/engine/command/command_line.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <new>

#include "data/npy.h"
#include "data/npz.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct CommandLineTest : ProgramTest {};

TEST_F(CommandLineTest, ExitCodesFollowTheKindOfError) {
  EXPECT_EQ(exit_code_of(ConfigError("")), 2);
  EXPECT_EQ(exit_code_of(ArgumentError("")), 2);
  EXPECT_EQ(exit_code_of(GraphError("")), 2);
  EXPECT_EQ(exit_code_of(DataError("")), 3);
  EXPECT_EQ(exit_code_of(IoError("")), 4);
  EXPECT_EQ(exit_code_of(NumericalError("")), 5);
  EXPECT_EQ(exit_code_of(CheckpointError("")), 6);
  EXPECT_EQ(exit_code_of(InternalError("")), 70);
  EXPECT_EQ(exit_code_of(ShapeError("")), 70);
  EXPECT_EQ(exit_code_of(std::bad_alloc()), 70);
}

TEST_F(CommandLineTest, HelpIsEverywhere) {
  EXPECT_EQ(capstan({"--help"}), kOk);
  for (const char* command : {"train", "evaluate", "predict", "prepare", "bench", "inspect", "list"})
    EXPECT_THAT(out.str(), HasSubstr(command));
  for (const char* command : {"train", "evaluate", "predict", "prepare", "bench", "inspect", "list"}) {
    EXPECT_EQ(capstan({command, "--help"}), kOk) << command;
    EXPECT_THAT(out.str(), HasSubstr("capstan")) << command;
  }
  EXPECT_EQ(capstan({"train", config("linear"), "--help"}), kOk);
  EXPECT_THAT(out.str(),
              AllOf(HasSubstr("--resume auto|best|latest|FILE"), HasSubstr("model.width = 4"), HasSubstr("train.batch_size = 8")));
  EXPECT_THAT(out.str(), HasSubstr("  train.batch_size = 8 (default 32)")) << "what the file says";
  EXPECT_EQ(capstan({"help", "predict"}), kOk);
  EXPECT_THAT(out.str(), HasSubstr("--input FILE|-"));
  EXPECT_EQ(capstan({"--version"}), kOk);
  EXPECT_THAT(out.str(), StartsWith("capstan 0."));
  EXPECT_EQ(capstan({"evaluate", "--help"}), kOk);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("[CONFIG] --checkpoint FILE|best|latest"), HasSubstr("Without CONFIG")));
}

TEST_F(CommandLineTest, MistakesOfUseEndWithTwoAndSayWhat) {
  EXPECT_EQ(capstan({}), kUsage);
  EXPECT_EQ(capstan({"trian", config("linear")}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("unknown command 'trian'; did you mean 'train'?"));
  EXPECT_EQ(capstan({"train"}), kUsage);
  EXPECT_EQ(capstan({"train", "--resume", "auto"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("the first argument must be CONFIG"));
  EXPECT_EQ(capstan({"train", "linear/nothing"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("neither a file nor one of the known configurations"));
  EXPECT_EQ(capstan({"train", scratch.write("x.cfg", "recipe = linaer\n")}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("x.cfg:1: unknown recipe 'linaer'; did you mean 'linear'?"));
  EXPECT_EQ(capstan({"train", scratch.write("y.cfg", "[train]\nepochs = 1\n")}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("must name its recipe"));
  EXPECT_EQ(train("linear", {"train.epohcs=1"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("did you mean 'train.epochs'?"));
  EXPECT_EQ(train("linear", {"train.epochs=0"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("command line: train.epochs must be >= 1 and <= 1000000000, got 0"));
  EXPECT_EQ(train("linear", {"recipe=drifting"}), kUsage);
  EXPECT_EQ(capstan({"evaluate", config("linear")}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("needs --checkpoint FILE"));
  EXPECT_EQ(capstan({"inspect"}), kUsage);
  EXPECT_FALSE(std::filesystem::exists(run)) << "nothing is made before the arguments are right";
}

TEST_F(CommandLineTest, ErrorsOfUseAreTwoLinesAtMostAndNameTheFlag) {
  const std::vector<std::vector<std::string>> mistakes{{},
                                                       {"trian"},
                                                       {"options", "linear"},
                                                       {"train"},
                                                       {"train", "linear/nothing"},
                                                       {"train", "/dev/null"},
                                                       {"train", config("linear"), "--chekc"},
                                                       {"train", config("linear"), "train.epohcs=1"},
                                                       {"list", "--options", "lineer"},
                                                       {"completion"},
                                                       {"inspect"}};
  for (const auto& arguments : mistakes) {
    EXPECT_EQ(capstan(arguments), kUsage);
    const std::string text = err.str();
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 2) << text;
    EXPECT_THAT(text, StartsWith("capstan: "));
  }
  EXPECT_EQ(capstan({"train", config("linear"), "--chekc"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("did you mean '--check'?"));
  EXPECT_EQ(capstan({"bench", config("linear"), "--steps", "abc"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("bench: --steps: must be an integer"));
  EXPECT_EQ(capstan({"evaluate", config("linear")}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("evaluate: needs --checkpoint FILE"));
}

TEST_F(CommandLineTest, AWordThatIsNoCheckpointIsTakenForAMistake) {
  EXPECT_EQ(train("linear", {"--resume", "auot"}), kIo);
  EXPECT_EQ(err.str(), "capstan: auot: no such file; did you mean 'auto'?\n");
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", "lastest"}), kIo);
  EXPECT_EQ(err.str(), "capstan: lastest: no such file; did you mean 'latest'?\n");
  EXPECT_EQ(capstan({"evaluate", "--checkpoint", scratch / "model.h5"}), kIo);
  EXPECT_THAT(err.str(), HasSubstr("model.h5: no such file\n"));
}

TEST_F(CommandLineTest, WithoutDataTheUseOfTheConfigurationIsShown) {
  const std::string name = std::filesystem::path(scratch.path()).filename().string() + "/own";
  const std::string path =
      scratch.write("own.cfg", "# Mine:\n#   capstan train  " + name +
                                   " data.rows=7 model.width=2     as many as there are\nrecipe = linear\n[run]\ndir = " + run);
  Trouble::building = [] { throw IoError("data.path: my.txt: open failed"); };
  EXPECT_EQ(capstan({"train", path}), kIo);
  EXPECT_EQ(err.str(), "capstan: data.path: my.txt: open failed\n" + path + " is used like this: capstan train " + name +
                           " data.rows=7 model.width=2\n");
  EXPECT_EQ(capstan({"train", path, "data.rows=3"}), kIo) << "somebody who knows that";
  EXPECT_EQ(err.str(), "capstan: data.path: my.txt: open failed\n");
  EXPECT_EQ(capstan({"train", config("linear")}), kIo) << "a file that shows nothing";
  EXPECT_EQ(err.str(), "capstan: data.path: my.txt: open failed\n");
  Trouble::building = nullptr;
}

TEST_F(CommandLineTest, ANetworkThatCannotBeBuiltIsAFaultOfItsConfiguration) {
  Trouble::building = [] { throw ShapeError("matmul: [2, 3] and [4, 5]"); };
  EXPECT_EQ(train("linear"), kUsage);
  EXPECT_EQ(err.str(), "capstan: this configuration gives no network: matmul: [2, 3] and [4, 5]\n");
  Trouble::building = nullptr;
}

TEST_F(CommandLineTest, ARunSaysWhatComesNext) {
  ASSERT_EQ(train("linear"), kOk);
  EXPECT_EQ(err.str(), "next: capstan evaluate --checkpoint " + run + "/checkpoints/best.h5; capstan report " + run + "\n");
}

TEST_F(CommandLineTest, CompletionKnowsCommandsFlagsAndKeys) {
  ASSERT_EQ(capstan({"completion", "bash"}), kOk) << err.str();
  const std::string script = scratch.write("completion.sh", out.str());
  const auto completed = [&](const std::string& words) {
    const std::string command = "COMP_WORDS=(" + words + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _capstan; echo \"${COMPREPLY[*]}\"";
    // Files complete too, so that those of this folder alone are there.
    const std::string file = scratch.write("try.sh", "cd " + scratch.path() + "; source " + script + "; " + command);
    std::FILE* answers = ::popen(("bash " + file + " 2>&1").c_str(), "r");
    std::string text;
    for (int c = 0; (c = std::fgetc(answers)) != EOF;) text += static_cast<char>(c);
    EXPECT_EQ(::pclose(answers), 0) << text;
    return text;
  };
  EXPECT_EQ(completed("capstan tr"), "train\n");
  EXPECT_EQ(completed("capstan evaluate linear/x --sp"), "--split\n");
  EXPECT_EQ(completed("capstan evaluate linear/x --split ''"), "validation test\n");
  EXPECT_EQ(completed("capstan train linear/x model."), "model.width=\n");
  EXPECT_EQ(completed("capstan train " + config("linear") + " train.ep"), "train.epochs=\n");
  EXPECT_EQ(completed("capstan train linear/x train.precision = b"), "bf16\n");
  EXPECT_EQ(completed("capstan list --options dr"), "drifting\n");
  EXPECT_EQ(completed("capstan evaluate --ch"), "--checkpoint\n");
  EXPECT_EQ(completed("capstan prepare linear/x --pre"), "--preview\n");
  EXPECT_EQ(completed("capstan prepare linear/x --preview comp"), "completion.sh\n");
  EXPECT_EQ(completed("capstan evaluate --checkpoint be"), "best\n");
  EXPECT_EQ(completed("capstan train linear/x --resume la"), "latest\n");
  EXPECT_EQ(completed("capstan evaluate --checkpoint x.h5 run.th"), "run.threads=\n");
}

TEST_F(CommandLineTest, AShortRunHasARowToo) {
  ASSERT_EQ(train("linear", {"train.log_every=1000", "train.max_steps=3"}), kOk) << err.str();
  EXPECT_THAT(rows(), HasSubstr("{\"step\":3,\"epoch\":0,\"split\":\"train\",\"loss\":"));
  EXPECT_THAT(content(run + "/log.txt"), testing::ContainsRegex("step 3  validation  \\(best\\)\n  mse +[0-9]\\.[0-9]{3}\n"));
}

TEST_F(CommandLineTest, PrintConfigShowsOriginsAndReadsBack) {
  ASSERT_EQ(train("linear", {"model.width=6", "--print-config"}), kOk);
  const std::string printed = out.str();
  EXPECT_THAT(printed, AllOf(HasSubstr("width = 6"), HasSubstr("# command line"), HasSubstr("# default"), HasSubstr("linear.cfg:3")));
  EXPECT_FALSE(std::filesystem::exists(run));
  ASSERT_EQ(capstan({"train", scratch.write("again.cfg", printed), "--print-config"}), kOk) << err.str();
  const auto values = [](const std::string& text) {
    std::string all;
    for (const Assignment& a : parse_config(text, "p")) all += a.key + "=" + a.value + "\n";
    return all;
  };
  EXPECT_EQ(values(out.str()), values(printed));
}

TEST_F(CommandLineTest, CheckTrainsNothing) {
  for (const char* recipe : {"linear", "drifting"}) {
    ASSERT_EQ(train(recipe, {"--check"}), kOk) << err.str();
    EXPECT_THAT(out.str(), AllOf(HasSubstr("weight f32[4]"), HasSubstr("4 parameters"), HasSubstr("loss of the first batch")));
    EXPECT_FALSE(std::filesystem::exists(run));
  }
}

TEST_F(CommandLineTest, ParametersThatTheLossDoesNotReadAreNamed) {
  const auto named = AllOf(HasSubstr("does not depend on 2 of the trainable parameters"), HasSubstr(": head/weight, head/bias\n"));
  ASSERT_EQ(train("forgetful", {"--check"}), kOk) << err.str();
  EXPECT_THAT(out.str(), named);
  ASSERT_EQ(train("forgetful"), kOk) << err.str();
  const std::string log = content(run + "/log.txt");
  EXPECT_THAT(log, named);
  EXPECT_EQ(log.find("does not depend"), log.rfind("does not depend")) << "said once, at the first step";
  ASSERT_EQ(train("linear", {"--check"}), kOk) << err.str();
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("does not depend")));
}

TEST_F(CommandLineTest, ALossThatDependsOnNothingIsTheUsersMistake) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--check"}, {}}) {
    EXPECT_EQ(train("detached", arguments), kUsage);
    EXPECT_THAT(err.str(), AllOf(HasSubstr("depends on no parameter"), testing::Not(HasSubstr("internal error"))));
  }
}

TEST_F(CommandLineTest, EvaluateAndPredictUseACheckpoint) {
  ASSERT_EQ(train("linear"), kOk);
  const std::string best = run + "/checkpoints/best.h5";
  ASSERT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", best, "--json"}), kOk) << err.str();
  const std::string test = out.str();
  EXPECT_THAT(test, AllOf(StartsWith("{\"step\":15,\"split\":\"test\""), HasSubstr("\"mse\":")));
  ASSERT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", best, "--json", "--split", "validation"}), kOk);
  EXPECT_NE(out.str().substr(out.str().find("mse")), test.substr(test.find("mse")));
  EXPECT_EQ(capstan({"evaluate", config("linear"), "--checkpoint", best, "--split", "train"}), kUsage);

  ASSERT_EQ(capstan({"predict", config("linear"), "--checkpoint", best, "--input", "-", "--output", "-"}, "0\n"), kOk) << err.str();
  EXPECT_EQ(out.str(), "0\n");
  const std::string answers = scratch / "answers.txt";
  ASSERT_EQ(capstan({"predict", config("linear"), "--checkpoint", best, "--input", scratch.write("in.txt", "0\n0\n"), "--output", answers}),
            kOk);
  EXPECT_EQ(content(answers), "0\n0\n");
  EXPECT_EQ(capstan({"predict", config("linear"), "--checkpoint", best, "--input", scratch / "missing", "--output", "-"}), kIo);
  EXPECT_EQ(capstan({"predict", config("linear"), "--checkpoint", best, "--input", "-", "--output", scratch / "no/such/place"}), kIo);
  EXPECT_EQ(capstan({"predict", config("drifting"), "--checkpoint", best, "--input", "-", "--output", "-"}), kBadCheckpoint);
  // A bad line costs its own answer; nothing but bad lines is an error.
  const std::vector<std::string> into_file{"predict", config("linear"), "--checkpoint", best, "--input", "-", "--output", answers};
  EXPECT_EQ(capstan(into_file, "0\n-1\n0\n"), kOk);
  const std::string fault = err.str();
  EXPECT_THAT(fault, HasSubstr("1 of 3 lines could not be answered, the first: line 2"));
  EXPECT_THAT(content(answers), AllOf(StartsWith("0\n-1\t-\tline 2"), testing::EndsWith("\n0\n")));
  EXPECT_EQ(
      capstan({"predict", config("linear"), "--checkpoint", best, "--input", "-", "--output", "-", "predict.format=jsonl"}, "-1\n0\n"),
      kOk);
  EXPECT_THAT(out.str(), StartsWith(R"({"line":1,"input":"-1","error":"line 1)"));
  EXPECT_EQ(capstan(into_file, "-1\n-2\n"), kData);
  EXPECT_EQ(capstan({"prepare", config("linear")}), kOk);
  EXPECT_EQ(capstan({"prepare", config("linear"), "--preview", scratch / "page.png"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("prepare: --preview: the recipe linear has no pictures of its training data"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "page.png"));
}

TEST_F(CommandLineTest, BenchGivesOneJsonLine) {
  for (const char* micro : {"train.micro_batch_size=0", "train.micro_batch_size=4"}) {
    ASSERT_EQ(capstan({"bench", config("linear"), micro, "--steps", "5", "--json"}), kOk) << err.str();
    const std::string line = out.str();
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    for (const char* key : {"items_per_s", "step_ms", "flops_per_step", "matmul_gflops", "mfu", "peak_rss_bytes", "threads", "precision",
                            "system_share", "page_faults_per_step", "bound_ms", "bound_share"})
      EXPECT_THAT(line, HasSubstr(join_text('"', key, "\":")));
    EXPECT_THAT(line, AllOf(HasSubstr("\"flops_per_step\":128"), HasSubstr("\"precision\":\"f32\""), HasSubstr("\"threads\":1")));
    const auto number = [&](std::string_view key) {
      const std::string name = join_text('"', key, "\":");
      return std::stod(line.substr(line.find(name) + name.size()));
    };
    EXPECT_NEAR(number("items_per_s") * number("step_ms"), 8000, 1);
    EXPECT_GT(number("matmul_gflops"), 0.1);
  }
  ASSERT_EQ(capstan({"bench", config("linear"), "--steps", "6", "--what", "steps"}), kOk);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("{\"steps\":6,\"loss\":"), Not(HasSubstr("matmul"))));
  ASSERT_EQ(capstan({"bench", config("linear"), "--steps", "2"}), kOk);
  EXPECT_THAT(out.str(), HasSubstr("items/s"));
  EXPECT_THAT(out.str(), HasSubstr("% of the bound reached"));
  ASSERT_EQ(capstan({"bench", config("linear"), "--steps", "2", "--profile", scratch / "bench.json"}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("forward   "), HasSubstr("backward  "), HasSubstr("ApplyRule")));
  EXPECT_THAT(content(scratch / "bench.json"), HasSubstr("traceEvents"));
  EXPECT_EQ(capstan({"bench", config("linear"), "--steps", "2", "--profile", scratch / "no/such/place.json"}), kIo);
  EXPECT_EQ(capstan({"bench", config("linear"), "--steps", "0"}), kUsage);
  EXPECT_FALSE(std::filesystem::exists(run));
}

TEST_F(CommandLineTest, TrainReportsWhatItsTimeIsSpentOn) {
  ASSERT_EQ(train("linear", {"train.max_steps=6", "--profile", "3:5"}), kOk) << err.str();
  const std::string log = content(run + "/log.txt"), trace = content(run + "/trace.json");
  EXPECT_THAT(log, AllOf(HasSubstr("profile of 3 steps"), HasSubstr("a step takes"), HasSubstr("wait for data"), HasSubstr("update    ")));
  EXPECT_THAT(trace, AllOf(HasSubstr(R"("name": "backward")"), HasSubstr(R"("cat": "update")")));
  ASSERT_EQ(train("linear", {"train.max_steps=8", "--resume", "auto", "--profile", "8:20"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("profile of 1 step,")) << "what there is of the range";
  ASSERT_EQ(train("linear", {"train.max_steps=9", "--resume", "auto", "--profile", "2:4"}), kOk) << err.str();
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("profile: no step of 2:4 was trained"));
  EXPECT_EQ(train("linear", {"--profile", "4:3"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("train: --profile: steps are N:M with 1 <= N <= M, or one number, got 4:3"));
}

TEST_F(CommandLineTest, InspectShowsNamesTypesShapesAndConfiguration) {
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk);
  ASSERT_EQ(capstan({"inspect", checkpoint(1)}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("/model/layer/weight"), HasSubstr("f32[4]"), HasSubstr("recipe = linear"), HasSubstr("step = 1"),
                               HasSubstr("4 parameters"), HasSubstr("batch_size = 8")));
  EXPECT_EQ(capstan({"inspect", scratch.write("text.h5", "no hdf5")}), kData);
  EXPECT_EQ(capstan({"inspect", scratch / "missing.h5"}), kIo);
}

TEST_F(CommandLineTest, InspectShowsArraysOfNumpy) {
  const std::string arrays = scratch / "weights.npz", array = scratch / "rows.npy";
  data::write_npz(arrays,
                  std::vector<data::NamedTensor>{{"Transformer/encoderblock_0/kernel", Tensor::zeros({32, 32})},
                                                 {"step", Tensor::from<std::int64_t>({7}, Shape{})}},
                  data::NpzPacking::deflated);
  ASSERT_EQ(capstan({"inspect", arrays}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("Transformer/encoderblock_0/kernel  <f4[32, 32]  4.1 kB ("), HasSubstr(" stored)"),
                               HasSubstr("step                               <i8[]"), HasSubstr("2 arrays, 4.1 kB")));
  data::write_npy(array, Tensor::zeros({2, 3}));
  ASSERT_EQ(capstan({"inspect", array}), kOk) << err.str();
  EXPECT_EQ(out.str(), array + "  <f4[2, 3]  24 B\n");
  EXPECT_EQ(capstan({"inspect", scratch.write("text.npy", "no array")}), kData);
  EXPECT_THAT(err.str(), HasSubstr("text.npy: does not begin as a .npy file does"));
  EXPECT_EQ(capstan({"inspect", scratch.write("text.npz", "no archive")}), kData);
}

TEST_F(CommandLineTest, ListNamesRecipesAndTheirOptions) {
  ASSERT_EQ(capstan({"list"}), kOk);
  EXPECT_EQ(out.str(), "linear\ndrifting\nforgetful\ndetached\n");
  ASSERT_EQ(capstan({"list", "--options", "linear"}), kOk) << err.str();
  EXPECT_THAT(out.str(), AllOf(StartsWith("| key |"), HasSubstr("| `model.width` | `4` | integer, >= 1 and <= 1000 | inputs |")));
  EXPECT_EQ(capstan({"list", "--options", "lineer"}), kUsage);
}

TEST_F(CommandLineTest, PredictAsksForWhatARecipeAnswers) {
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk);
  const auto predict = [&](const std::string& output, const std::string& more) {
    return capstan({"predict", config("linear"), "--checkpoint", checkpoint(1), "--input", scratch.write("in.txt", "1 2 3 4\n"), "--output",
                    output, more});
  };
  EXPECT_EQ(predict("-", "--what=vectors"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("predict: --what: the recipe linear has one kind of answer"));
  EXPECT_EQ(predict(scratch / "out.npy", "run.threads=1"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("npy and hdf5 hold rows of numbers, but the answers of linear are text"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "out.npy"));
}

TEST_F(CommandLineTest, PredictTakesLinesOfTextAlone) {
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk);
  const std::string output = scratch / "out.txt";
  const auto predict = [&](const std::string& input) {
    return capstan({"predict", config("linear"), "--checkpoint", checkpoint(1), "--input", input, "--output", output});
  };
  EXPECT_EQ(predict(scratch.path()), kIo);
  EXPECT_THAT(err.str(), HasSubstr("is a directory; the input must be a file of lines"));
  EXPECT_EQ(predict("/dev/zero"), kIo);
  EXPECT_THAT(err.str(), HasSubstr("/dev/zero: is a device"));
  EXPECT_EQ(predict(scratch.write("picture", "\xff\xd8\xff\xe0 JFIF\n")), kData);
  EXPECT_THAT(err.str(), HasSubstr("picture: is a JPEG picture, not lines of text"));
  EXPECT_EQ(predict(scratch.write("wide", std::string("0\0\n\0", 4))), kData);
  EXPECT_EQ(predict("/proc/self/mem"), kIo) << "a read that fails";
  EXPECT_THAT(err.str(), HasSubstr("/proc/self/mem: read failed: "));
  EXPECT_FALSE(std::filesystem::exists(output));
  EXPECT_EQ(predict(scratch.write("marked",
                                  "\xef\xbb\xbf"
                                  "0\n0\n")),
            kOk)
      << err.str();
  EXPECT_EQ(content(output), "0\n0\n");
  EXPECT_EQ(predict(scratch.write("empty", "")), kOk);
  EXPECT_EQ(content(output), "");
}

TEST_F(CommandLineTest, PredictWritesIntoWhatIsNoFile) {
  ASSERT_EQ(train("linear", {"train.max_steps=1"}), kOk);
  const auto predict = [&](const std::string& output) {
    return capstan({"predict", config("linear"), "--checkpoint", checkpoint(1), "--input", "-", "--output", output}, "0\n");
  };
  scratch.write("target", "old");
  std::filesystem::create_symlink("target", scratch / "link");
  EXPECT_EQ(predict(scratch / "link"), kOk) << err.str();
  EXPECT_EQ(content(scratch / "target"), "0\n");
  EXPECT_TRUE(std::filesystem::is_symlink(scratch / "link"));
  EXPECT_EQ(predict("/dev/full"), kIo);
  EXPECT_EQ(predict(scratch.path()), kIo);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ::close(ends[0]);
  ignore_write_signals();
  EXPECT_EQ(predict("/dev/fd/" + std::to_string(ends[1])), 128 + SIGPIPE);
  EXPECT_EQ(err.str(), "") << "a closed pipe ends quietly";
  ::close(ends[1]);
}

TEST_F(CommandLineTest, OutputThatCannotBeWrittenIsAnError) {
  std::ostringstream broken;
  broken.setstate(std::ios::badbit);
  std::istringstream in;
  const std::vector<std::string> arguments{"--help"};
  EXPECT_EQ(run_program({}, arguments, {.in = in, .out = broken, .err = err}), kIo);
}

TEST_F(CommandLineTest, ARunDirectoryThatCannotBeMadeIsAnIoError) {
  scratch.write("file", "");
  EXPECT_EQ(train("linear", {"run.dir=" + (scratch / "file/run")}), kIo);
}

}  // namespace
}  // namespace capstan::engine::test
