// Reports of runs: what is read of a directory, the page, the table, findings as a file, and `capstan report` in process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "autograd/core/error.h"
#include "data/json.h"
#include "recipes/engine/checkpoint/checkpoint_directory.h"
#include "recipes/engine/report/csv.h"
#include "recipes/engine/report/finding_file.h"
#include "recipes/engine/report/report_page.h"
#include "recipes/engine/report/run_record.h"
#include "tests/message_of.h"
#include "tests/recipes/engine/program.h"

namespace capstan::engine {
namespace {

using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Shows what it is told to, and beside its metric what a simple method reaches.
struct Showing : test::Linear {
  static constexpr std::string_view name = "showing";
  using Linear::Linear;
  static inline int asked = 0;
  static inline bool broken = false;
  struct Evaluation : LinearBase::Evaluation {
    std::vector<Finding> findings() const {
      ++asked;
      require<DataError>(!broken, "no picture");
      data::Image grey(2, 3, 1);
      grey.at(1, 2, 0) = 200;
      return {{"Confusion <1>", "all", FindingMatrix{"true", "said", {"a", "b\"&"}, {"a", "b\"&"}, {3, 1, 0, 4}}},
              {"Words", "", FindingTable{{"source", "score"}, {{"<script>alert(1)</script>", "41.2"}}}},
              {"Curves", "at .5", FindingCurves{"recall", "precision", {{"cat", {{0, 1}, {1, .25}}}}}},
              {"Pictures", "", FindingPictures{{{"a 'shoe'", grey}}}}};
    }
  };
  Metrics baselines(Split) const { return {{"zero/mse", 5.5}}; }
  data::DataReport data_report() const {
    data::DataReport report;
    report.fact("train", "rows made of <seed> & noise");
    return report;
  }
};

struct ReportTest : test::ProgramTest {
  int shown(std::vector<std::string> arguments) {
    static const std::vector<RecipeEntry> recipes{entry<Showing>()};
    clear_stop_signal();
    out.str("");
    err.str("");
    std::istringstream in;
    return run_program(recipes, arguments, {.in = in, .out = out, .err = err});
  }
  std::string page() const { return content(run + "/report.html"); }
  RunRecord record(std::string_view rows) {
    std::filesystem::create_directories(scratch / "made");
    scratch.write("made/metrics.jsonl", rows);
    return read_run(scratch / "made");
  }
  std::string page_of(std::string_view rows) {
    const RunRecord run_record = record(rows);
    return report_page(std::span(&run_record, 1), {});
  }
};

constexpr std::string_view kTrainRow = R"({"step":50,"epoch":0,"split":"train","loss":2.5,"lr":0.001,"items_per_s":100})"
                                       "\n";

TEST_F(ReportTest, OfATrainedRun) {
  ASSERT_EQ(shown({"train", config("showing"), "train.report=yes", "train.tensorboard=yes"}), kOk) << err.str();
  const std::string live = page();
  EXPECT_GE(Showing::asked, 1);
  EXPECT_THAT(live, HasSubstr("all epochs done"));
  EXPECT_THAT(live, Not(HasSubstr("http-equiv=\"refresh\"")));  // the run is over
  EXPECT_TRUE(std::filesystem::exists(run + "/tensorboard"));
  ASSERT_EQ(shown({"report", run, "--output", scratch / "again.html"}), kOk) << err.str();
  EXPECT_EQ(out.str(), scratch / "again.html" + "\n");
  const std::string html = content(scratch / "again.html");
  EXPECT_EQ(html.substr(0, html.find("<footer>")), live.substr(0, live.find("<footer>")));
  for (const char* part : {"<h1>run</h1>", "Training loss: norm", "rows made of &lt;seed&gt; &amp; noise", "Confusion &lt;1&gt;",
                           "<td class=\"h8\" title=\"a, a: 3, 75% of the row\">3</td>", "&lt;script&gt;alert(1)",
                           "width=\"3\" height=\"2\"", "a &#39;shoe&#39;", "zero 5.5", "train.log_every", "lower is better"})
    EXPECT_THAT(html, HasSubstr(part));
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(ContainsRegex("(src|href)=\"(http|//|/)")));
}

TEST_F(ReportTest, ARunWithoutTheKeyIsNotAsked) {
  Showing::asked = 0;
  ASSERT_EQ(shown({"train", config("showing")}), kOk) << err.str();
  EXPECT_EQ(Showing::asked, 0);
  EXPECT_FALSE(std::filesystem::exists(run + "/report.html"));
  EXPECT_FALSE(std::filesystem::exists(run + "/findings.json"));
  // An older run gets its findings from an evaluation.
  ASSERT_EQ(shown({"evaluate", "--checkpoint", run + "/checkpoints/best.h5", "--findings", run + "/findings.json"}), kOk) << err.str();
  EXPECT_EQ(Showing::asked, 1);
  ASSERT_EQ(shown({"report", run}), kOk) << err.str();
  EXPECT_THAT(page(), HasSubstr("Of the test part"));
}

TEST_F(ReportTest, AReportThatCannotBeWrittenStopsNothing) {
  std::filesystem::create_directories(run + "/report.html/in the way");
  ASSERT_EQ(shown({"train", config("showing"), "train.report=yes"}), kOk) << err.str();
  const std::string log = content(run + "/log.txt");
  const auto first = log.find("report.html could not be written, training goes on");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("could not be written", first + 40), std::string::npos) << "said once";
}

TEST_F(ReportTest, FindingsThatCannotBeMadeStopNothing) {
  Showing::broken = true;
  ASSERT_EQ(shown({"train", config("showing"), "train.report=yes"}), kOk) << err.str();
  Showing::broken = false;
  EXPECT_THAT(content(run + "/log.txt"), HasSubstr("findings.json could not be written, training goes on: no picture"));
  EXPECT_THAT(page(), HasSubstr("all epochs done"));
}

TEST_F(ReportTest, EventsOfARunThatGoesOnDoNotOverlap) {
  const std::vector<std::string> start{"train", config("showing"), "train.tensorboard=yes"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), start.begin(), start.end());
    return shown(more);
  };
  ASSERT_EQ(with({"train.max_steps=7"}), kOk) << err.str();
  ASSERT_EQ(with({"--resume", "auto"}), kOk) << err.str();
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(run + "/tensorboard")) ++files;
  EXPECT_EQ(files, 2u);
  ASSERT_EQ(shown({"report", run, "--output", "-"}), kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("resumed 1 time"));
}

TEST_F(ReportTest, SeveralRunsAreComparedAndExported) {
  ASSERT_EQ(shown({"train", config("showing")}), kOk) << err.str();
  const std::string other = scratch / "other";
  ASSERT_EQ(shown({"train", config("showing"), "run.dir=" + other, "optimizer.learning_rate=0.25"}), kOk) << err.str();
  EXPECT_EQ(shown({"report", run, other}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--output FILE"));
  ASSERT_EQ(shown({"report", run, other + "/metrics.jsonl", "--output=" + scratch / "both.html", "--csv", scratch / "all.csv",
                   "--tensorboard", scratch / "tb"}),
            kOk)
      << err.str();
  const std::string html = content(scratch / "both.html");
  EXPECT_THAT(html, HasSubstr("2 runs compared"));
  EXPECT_THAT(html, ContainsRegex("optimizer.learning_rate</span></th><td class=\"code r0\">0.05</td><td class=\"code r1\">0.25</td>"));
  EXPECT_THAT(html, HasSubstr(".hide-r1 svg .r1{display:none}"));
  EXPECT_THAT(content(scratch / "all.csv"), testing::StartsWith("run,step,epoch,split,loss,error,norm,lr,"));
  EXPECT_TRUE(std::filesystem::is_directory(scratch / "tb/other"));
  ASSERT_EQ(shown({"report", run, "--csv", "-"}), kOk);
  EXPECT_THAT(out.str(), testing::StartsWith("step,epoch,split,loss,"));
}

TEST_F(ReportTest, OfASweepIsOfItsRuns) {
  const std::string swept = scratch / "swept";
  for (const char* rate : {"0.25", "0.05"})
    ASSERT_EQ(
        shown({"train", config("showing"), join_text("run.dir=", swept, "/rate=", rate), join_text("optimizer.learning_rate=", rate)}),
        kOk);
  scratch.write("swept/sweep.tsv", "");
  ASSERT_EQ(shown({"report", swept}), kOk) << err.str();
  EXPECT_EQ(out.str(), swept + "/report.html\n");
  EXPECT_THAT(content(swept + "/report.html"), testing::ContainsRegex("2 runs compared.*rate=0.05.*rate=0.25"));
}

TEST_F(ReportTest, SaysWhatIsWrong) {
  EXPECT_EQ(shown({"report"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("needs the directory of a run"));
  EXPECT_EQ(shown({"report", scratch / "nowhere"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr(scratch / "nowhere: there is no such run"));
  std::filesystem::create_directories(scratch / "empty");
  EXPECT_EQ(shown({"report", scratch / "empty"}), kData);
  EXPECT_THAT(err.str(), HasSubstr(scratch / "empty: holds no metrics.jsonl"));
  EXPECT_EQ(shown({"report", scratch.write("words.txt", "no rows\nat all\n")}), kData);
  EXPECT_THAT(err.str(), HasSubstr("words.txt: 2 of 2 lines are left out"));
  record(kTrainRow);
  EXPECT_EQ(shown({"report", scratch / "made", "--smoothing", "1"}), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--smoothing must be at least 0 and below 1, got 1"));
  EXPECT_EQ(shown({"report", scratch / "made", scratch / "made", "--output", "-"}), kUsage);
  EXPECT_EQ(shown({"report", scratch / "made", "--output", "-", "--csv", "-"}), kUsage);
  EXPECT_EQ(shown({"report", scratch / "made", "--output", scratch / "no/such/page.html"}), kIo);
  EXPECT_THAT(err.str(), HasSubstr("no/such/page.html"));
  EXPECT_EQ(shown({"report", scratch / "made", "--outputt", "x"}), kUsage);
}

TEST_F(ReportTest, ReadsWhatARunLeaves) {
  const RunRecord r =
      record(std::string(kTrainRow) + R"({"step":60,"epoch":1,"split":"train","loss":null,"lr":1,"not_finite":{"loss":"-inf"}})"
                                      "\nno row\n{\"step\":70,");
  EXPECT_EQ(r.rows.size(), 2u);
  EXPECT_EQ(number_in(r.rows[1], "loss"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(r.last_step(), 60);
  ASSERT_EQ(r.notes.size(), 1u);
  EXPECT_THAT(r.notes[0], HasSubstr("1 of 3 lines is left out"));
  EXPECT_EQ(r.state, RunRecord::State::silent);
}

TEST_F(ReportTest, ReadsTheLogAcrossResumes) {
  record(std::string(kTrainRow) + R"({"step":60,"epoch":1,"split":"validation","mse":3})"
                                  "\n");
  scratch.write("made/log.txt",
                "2024-05-31 12:00:00  new run\n2024-05-31 12:01:00  step 60  validation  (best)\n  mse  3\n"
                "2024-05-31 12:02:00  step 90  validation  (best)\n"
                "2024-05-31 14:00:00  resumed from runs/a/checkpoints/step-000000060.h5 at step 60\n"
                "2024-05-31 14:00:10  warning: no room\n2024-05-31 14:00:20  warning: no room\n"
                "2024-05-31 14:01:00  stopped at step 100: stopped by a signal\n");
  const RunRecord r = read_run(scratch / "made");
  EXPECT_EQ(r.seconds, 180);
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.logged_best, 60);
  EXPECT_EQ(r.best(), &r.rows[1]);
  EXPECT_EQ(r.state, RunRecord::State::stopped);
  EXPECT_EQ(r.reason, "stopped by a signal");
  EXPECT_THAT(r.warnings, ElementsAre("no room"));
  ASSERT_EQ(r.moments.size(), 3u);
  EXPECT_EQ(r.moments[1].step, 60);
  EXPECT_EQ(r.moments[2].time - r.moments[1].time, 60);
}

TEST_F(ReportTest, ARunThatGoesOnIsSaidToBeRunning) {
  record(kTrainRow);
  auto lock = std::make_unique<RunLock>(scratch / "made");
  EXPECT_EQ(read_run(scratch / "made").state, RunRecord::State::running);
  EXPECT_EQ(read_run(scratch / "made", /*own=*/true).state, RunRecord::State::silent);
  lock.reset();
  EXPECT_EQ(read_run(scratch / "made").state, RunRecord::State::silent);
}

TEST_F(ReportTest, DrawsWhatOthersWrite) {
  record(kTrainRow);
  scratch.write("made/layers.jsonl", R"({"step":1,"name":"a/<b>","weight":0.5,"gradient":null,"update":1e-3})"
                                     "\n"
                                     R"({"step":2,"name":"a/<b>","weight":0.75,"gradient":2,"update":1e-3})"
                                     "\n");
  scratch.write("made/lr_range.jsonl", R"({"step":1,"lr":1e-5,"loss":3})"
                                       "\n"
                                       R"({"step":2,"lr":1e-3,"loss":2,"smoothed":2.5})"
                                       "\n"
                                       R"({"step":3,"lr":1e-1,"loss":null})"
                                       "\n"
                                       R"({"suggested":0.001})"
                                       "\n");
  scratch.write("made/config.cfg", "recipe = linear  # a/b/quick.cfg:1\n[run]\nseed = 1   # default\ndata = \"a # b\"   # command line\n");
  scratch.write("made/findings.json", "{\"step\":1");
  const RunRecord r = read_run(scratch / "made");
  ASSERT_EQ(r.config.size(), 3u);
  EXPECT_EQ(r.config[2].value, "a # b");
  EXPECT_EQ(r.config[2].origin, "command line");
  EXPECT_EQ(r.notes.size(), 1u);  // of findings.json
  const std::string html = report_page(std::span(&r, 1), {});
  EXPECT_THAT(html, HasSubstr("a/&lt;b&gt;"));
  EXPECT_THAT(html, HasSubstr("suggested: 0.001<"));
  EXPECT_EQ(r.rate_range.at(1).smoothed, 2.5);
  EXPECT_THAT(html, AllOf(HasSubstr(",0.001,2\""), HasSubstr(",0.001,2.500\""))) << "each step, and smoothed";
  EXPECT_THAT(html, HasSubstr("2 keys that are set, 1 as they are by default"));
  EXPECT_THAT(html, HasSubstr(">b/quick.cfg:1<"));
}

TEST_F(ReportTest, PagesOfLittleAndOfMuch) {
  EXPECT_THAT(page_of(""), HasSubstr("<h1>made</h1>"));
  EXPECT_THAT(page_of(kTrainRow), HasSubstr("<circle"));
  std::string many;
  for (int i = 1; i <= 12000; ++i)
    many += join_text("{\"step\":", i, ",\"epoch\":0,\"split\":\"train\",\"loss\":", i == 6000 ? "null" : join_text(1.0 + i % 97),
                      ",\"lr\":0.1,\"gradient_norm\":", i % 13 + .5, ",\"items_per_s\":", 1000 + i % 7, ",\"loader_wait\":0.01}\n");
  const std::string html = page_of(many);
  EXPECT_LT(html.size(), 500000u);
  EXPECT_THAT(html, HasSubstr("class=\"bad\""));
  EXPECT_THAT(html, HasSubstr("smoothed by 0.9875"));
}

TEST_F(ReportTest, NamesAreEscaped) {
  const std::string directory = scratch / "Übung \"1\" & <b>'x'";
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/metrics.jsonl") << kTrainRow
                                              << R"({"step":60,"epoch":1,"split":"validation","</title><x y='z'>":3})"
                                                 "\n";
  ASSERT_EQ(shown({"report", directory, "--output", "-"}), kOk) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("<h1>Übung &quot;1&quot; &amp; &lt;b&gt;&#39;x&#39;</h1>"));
  EXPECT_THAT(out.str(), Not(HasSubstr("<x y")));
}

TEST_F(ReportTest, APageThatIsReloaded) {
  const RunRecord r = record(kTrainRow);
  EXPECT_THAT(report_page(std::span(&r, 1), {.smoothing = {}, .reload_seconds = 30}),
              HasSubstr("<meta http-equiv=\"refresh\" content=\"30\">"));
}

TEST_F(ReportTest, CsvFollowsRfc4180) {
  RunRecord a, b;
  a.name = "a,b";
  a.rows = {
      {{"step", std::int64_t{1}}, {"split", std::string("train")}, {"loss", .1}, {"error", std::string("it said \"no\"\nand ended")}}};
  b.name = "c";
  b.rows = {{{"step", std::int64_t{2}}, {"split", std::string("train")}, {"loss", std::numeric_limits<double>::quiet_NaN()}, {"mse", 3.}}};
  EXPECT_EQ(csv_of(std::vector<RunRecord>{a, b}),
            "run,step,split,loss,error,mse\r\n\"a,b\",1,train,0.1,\"it said \"\"no\"\"\nand ended\",\r\nc,2,train,nan,,3\r\n");
  EXPECT_EQ(csv_of(std::span(&b, 1)), "step,split,loss,mse\r\n2,train,nan,3\r\n");
}

TEST(FindingFile, RefusesWhatDoesNotFit) {
  const auto message = [](std::string_view finding) {
    return message_of<DataError>(
        [&] { parse_findings(join_text("{\"step\":1,\"split\":\"test\",\"findings\":[", finding, "]}"), "f.json"); });
  };
  EXPECT_THAT(message(R"({"title":"t","text":"","kind":"song"})"), HasSubstr("table, matrix, curves or pictures"));
  EXPECT_THAT(message(R"({"title":"t","text":"","kind":"table","columns":["a","b"],"rows":[["1"]]})"), HasSubstr("a cell for each of 2"));
  EXPECT_THAT(
      message(R"({"title":"t","text":"","kind":"matrix","row_title":"","column_title":"","rows":["a"],"columns":["a"],"counts":[1,2]})"),
      HasSubstr("1 rows and 1 columns"));
  EXPECT_THAT(message(R"({"title":"t","text":"","kind":"pictures","pictures":[{"caption":"","width":1,"height":1,"png":"\"><script>"}]})"),
              HasSubstr("base64"));
}

TEST(FindingFile, KeepsNumbersAndTexts) {
  const std::vector<Finding> findings{{"m", "\"t\"", FindingMatrix{"r", "c", {"x"}, {"y"}, {.1}}},
                                      {"c", "", FindingCurves{"a", "b", {{"n", {{.1, 1e-30}}}, {"dots", {{1, 2}}, false}}}}};
  const StoredFindings back = parse_findings(findings_json(7, "test", findings), "f.json");
  EXPECT_EQ(back.step, 7);
  EXPECT_EQ(back.split, "test");
  ASSERT_EQ(back.findings.size(), 2u);
  EXPECT_EQ(back.findings[0].text, "\"t\"");
  EXPECT_EQ(std::get<FindingMatrix>(back.findings[0].shown).counts, std::vector<double>{.1});
  EXPECT_EQ(std::get<FindingCurves>(back.findings[1].shown).curves[0].points[0].second, 1e-30);
  EXPECT_TRUE(std::get<FindingCurves>(back.findings[1].shown).curves[0].joined);
  EXPECT_FALSE(std::get<FindingCurves>(back.findings[1].shown).curves.at(1).joined);
}

TEST(RunAboutFile, ComesBack) {
  RunAbout about{.recipe = "r",
                 .config = "r/\"x\"",
                 .metric = "mse",
                 .metrics = {{"mse", Goal::minimize}, {"n", Goal::none}},
                 .parameters = 12,
                 .batches_per_epoch = 3,
                 .batches_per_step = 2,
                 .data = {}};
  about.data.fact("train", "a\tb");
  about.data.warn("odd");
  const RunAbout back = parse_run_about(about_json(about), "run.json");
  EXPECT_EQ(back.config, about.config);
  EXPECT_EQ(back.metrics[0].goal, Goal::minimize);
  EXPECT_EQ(back.metrics[1].goal, Goal::none);
  EXPECT_EQ(back.data.facts[0].text, "a\tb");
  EXPECT_EQ(back.data.warnings, about.data.warnings);
  EXPECT_EQ(back.batches_per_step, 2);
}

}  // namespace
}  // namespace capstan::engine
