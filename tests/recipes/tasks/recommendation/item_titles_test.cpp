// data.titles through the command line, in both recipes that have it: the report of data, findings, answers, and what it must not touch.

#include "recipes/gru4rec/recipe.h"
#include "recipes/sasrec/recipe.h"
#include "tests/recipes/recipe_program.h"

namespace capstan::recommendation {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Sasrec : engine::test::RecipeProgram {
  Sasrec() : RecipeProgram(sasrec::recipe()) {}
  Arguments settings = {"model.hidden_size=8", "model.max_length=8", "synthetic.sequences=40", "synthetic.items=30", "train.batch_size=8"};
  std::string query = "1 2 3\n", metric = "full_unfiltered/ndcg@10";
};

struct Gru4Rec : engine::test::RecipeProgram {
  Gru4Rec() : RecipeProgram(gru4rec::recipe()) {}
  Arguments settings = {"model.layers=8", "synthetic.sequences=40", "synthetic.items=30", "train.batch_size=4", "negatives.count=8"};
  std::string query = "s\t1\n", metric = "mrr@20";
};

template <class Recipe>
struct TitlesOf : Recipe {
  int train(const std::string& run, std::vector<std::string> more) {
    more.insert(more.end(), {"run.threads=1", "evaluate.baselines=no", "train.report=yes", "train.metric=" + this->metric});
    return this->train_quickstart(run, this->joined(this->settings, more));
  }
  int predict(const std::string& run, std::vector<std::string> more) {
    more.insert(more.begin(), {"predict", "--checkpoint", this->checkpoint(run), "--input", "-", "--output", "-", "predict.top=30"});
    return this->capstan(more, this->query);
  }
};

using Recipes = ::testing::Types<Sasrec, Gru4Rec>;
TYPED_TEST_SUITE(TitlesOf, Recipes);

TYPED_TEST(TitlesOf, AreShownAndChangeNothingElse) {
  // <b> and & are to be escaped, é is of ISO-8859-1; item 5 has no title.
  std::string table = "999::Nowhere\n";
  for (int i = 1; i <= 30; ++i)
    if (i != 5) table += std::to_string(i) + "::M\xe9<b> & \"" + std::to_string(i) + "\", The\n";
  const std::string titles = "data.titles=" + this->scratch.write("movies.dat", table), last = "train.max_steps=2";
  ASSERT_EQ(this->train("plain", {last}), engine::kOk) << this->err.str();
  ASSERT_EQ(this->train("run", {"train.max_steps=1"}), engine::kOk) << this->err.str();
  ASSERT_EQ(this->train("run", {last, titles, "--resume", "auto"}), engine::kOk) << this->err.str();
  EXPECT_THAT(engine::test::text_of(this->scratch / "run/log.txt"), HasSubstr(" items have a title; separator '::'"));
  EXPECT_EQ(this->tensors(this->checkpoint("run")), this->tensors(this->checkpoint("plain"))) << "titles are of use alone";

  const std::string findings = engine::test::text_of(this->scratch / "run/findings.json");
  EXPECT_THAT(findings, AllOf(HasSubstr("M\xc3\xa9<b> & \\\""), HasSubstr("\\\", The [")));
  EXPECT_THAT(engine::test::text_of(this->scratch / "run/report.html"),
              AllOf(HasSubstr("M\xc3\xa9&lt;b&gt; &amp; &quot;"), HasSubstr("&quot;, The ["), Not(HasSubstr("\xe9<"))));

  ASSERT_EQ(this->predict("run", {"predict.format=jsonl"}), engine::kOk) << this->err.str();
  EXPECT_THAT(this->out.str(),
              AllOf(HasSubstr(R"({"item":"7","title":"Mé<b> & \"7\", The","score":)"), HasSubstr(R"({"item":"5","score":)")));
  ASSERT_EQ(this->predict("run", {}), engine::kOk) << this->err.str();
  const std::string tsv = this->out.str();
  EXPECT_THAT(tsv, Not(HasSubstr("The"))) << "its columns stay";
  ASSERT_EQ(this->predict("run", {"data.titles="}), engine::kOk) << this->err.str();
  EXPECT_EQ(this->out.str(), tsv);
  ASSERT_EQ(this->predict("run", {"data.titles=" + this->scratch.write("other.csv", "x,X\n")}), engine::kOk);
  EXPECT_THAT(this->err.str(), HasSubstr("warning: no item has a title in "));
}

TYPED_TEST(TitlesOf, AreRefusedByKeyAndFile) {
  EXPECT_NE(this->train("run", {"data.titles=" + this->scratch / "none.dat", "--check"}), engine::kOk);
  EXPECT_THAT(this->err.str(), AllOf(HasSubstr("data.titles: "), HasSubstr("none.dat")));
  EXPECT_NE(this->train("run", {"data.titles=" + this->scratch.write("a.csv", "id,title\n1\n"), "--check"}), engine::kOk);
  EXPECT_THAT(this->err.str(), AllOf(HasSubstr("data.titles: "), HasSubstr("a.csv:2: 1 field, expected at least 2")));
  EXPECT_EQ(this->train("run", {"data.titles=" + this->scratch.write("b.csv", "id,title\nx,X\n"), "--check"}), engine::kOk);
  EXPECT_THAT(this->out.str() + this->err.str(), HasSubstr("warning: no item has a title in "));
}

}  // namespace
}  // namespace capstan::recommendation
