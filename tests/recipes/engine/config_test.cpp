// The option table and what Boost.Program_options does wrong unless wrapped.
#include "recipes/engine/config/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/core/dtype.h"
#include "autograd/core/rng.h"
#include "recipes/engine/config/arguments.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/renamed_keys.h"

namespace capstan::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct ModelOptions {
  std::int64_t dim = 64;
  double dropout = 0.5;
  bool tied = true;
  std::string norm = "pre";
  DType precision = DType::f32;
  std::string path;
  std::vector<std::int64_t> widths{8, 16};
  std::vector<double> rates;
  std::vector<std::string> names;

  template <class V>
  void visit(V& v) {
    v("dim", dim, "width", V::between(1, 1 << 20));
    v("dropout", dropout, "share of activations set to zero", V::fraction());
    v("tied", tied, "share the table");
    v("norm", norm, "place of the layer norm", {"pre", "post"});
    v("precision", precision, "element type", {{"f32", DType::f32}, {"bf16", DType::bf16}});
    v("path", path, "a file");
    v("widths", widths, "widths of layers", V::positive());
    v("rates", rates, "rates", V::any());
    v("names", names, "names");
  }
};
struct Everything {
  std::string recipe = "test";
  ModelOptions model;
  double lr = 0.1;
  template <class V>
  void visit(V& v) {
    v.section("model", model);
    v("recipe", recipe, "name");
    v("lr", lr, "learning rate", V::positive());
  }
};

struct ConfigTest : testing::Test {
  Everything config;
  OptionTable table{config};

  void file(std::string_view text) { assign(table, parse_config(text, "x.cfg")); }
  void line(const std::vector<std::string>& arguments) { assign(table, parse_arguments(arguments, flags, &table).assignments); }
  template <class F>
  static std::string message(F f) {
    try {
      f();
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "accepted";
  }
  std::string file_error(std::string_view text) {
    return message([&] { file(text); });
  }
  std::string line_error(const std::vector<std::string>& arguments) {
    return message([&] { line(arguments); });
  }
  std::vector<Flag> flags{{"resume", "FILE", ""}, {"check", "", ""}};
};

TEST_F(ConfigTest, AFileSetsEveryType) {
  file(
      "# comment\r\nlr = 3e-4   # peak\r\n\r\n[model]\ndim=2^10\ndropout = .25\ntied = No\nnorm = post\nprecision = bf16\n"
      "path = \"a b \"\nwidths = 1, 2k,3Ki\nrates = -1.5, 2\nnames = x, y z");
  EXPECT_EQ(config.lr, 3e-4);
  EXPECT_EQ(config.model.dim, 1024);
  EXPECT_EQ(config.model.dropout, 0.25);
  EXPECT_FALSE(config.model.tied);
  EXPECT_EQ(config.model.norm, "post");
  EXPECT_EQ(config.model.precision, DType::bf16);
  EXPECT_EQ(config.model.path, "a b ");
  EXPECT_THAT(config.model.widths, ElementsAre(1, 2000, 3072));
  EXPECT_THAT(config.model.rates, ElementsAre(-1.5, 2));
  EXPECT_THAT(config.model.names, ElementsAre("x", "y z"));
  EXPECT_EQ(table.find("model.dim")->origin, "x.cfg:5");
  EXPECT_EQ(table.find("lr")->origin, "x.cfg:2");
}

TEST_F(ConfigTest, IntegersAreExactOrRefused) {
  EXPECT_EQ(parse_integer("-42"), -42);
  EXPECT_EQ(parse_integer("1e2"), 100);
  EXPECT_EQ(parse_integer("1.5e3"), 1500);
  EXPECT_EQ(parse_integer("64k"), 64000);
  EXPECT_EQ(parse_integer("64Ki"), 65536);
  EXPECT_EQ(parse_integer("3M"), 3000000);
  EXPECT_EQ(parse_integer("2^20"), 1048576);
  EXPECT_EQ(parse_integer("9223372036854775807"), 9223372036854775807);
  for (const char* bad : {"",     " ",     "x",     "1.5",  "1.25e1", "9223372036854775808", "2^63", "2^64", "2^-1", "10^400",
                          "0x10", "1e400", "1 000", "64kk", "64 k",   "99999999999999999Gi", "nan",  "1e",   "+",    "--1"})
    EXPECT_THROW(parse_integer(bad), ConfigError) << bad;
}

TEST_F(ConfigTest, NumbersAreFiniteAndInRange) {
  EXPECT_EQ(parse_number("1e-3"), 1e-3);
  for (const char* bad : {"nan", "NaN", "inf", "-inf", "infinity", "1e999", "1,5", "", "0.1x", "1e-999"})
    EXPECT_THROW(parse_number(bad), ConfigError) << bad;
  EXPECT_THAT(line_error({"lr=nan"}), HasSubstr("command line: lr must be a finite number"));
  EXPECT_THAT(line_error({"lr=0"}), HasSubstr("command line: lr must be > 0, got 0"));
  EXPECT_THAT(line_error({"model.dropout=1"}), HasSubstr("model.dropout must be >= 0 and < 1, got 1"));
  EXPECT_THAT(file_error("[model]\ndim = 0"), HasSubstr("x.cfg:2: model.dim must be >= 1 and <= 1048576, got 0"));
  EXPECT_THAT(file_error("[model]\nwidths = 3, 0"), HasSubstr("x.cfg:2: model.widths must be > 0, got 0"));
  EXPECT_EQ(config.lr, 0.1) << "a refused value must not be stored";
}

TEST_F(ConfigTest, UnknownKeysNameTheLineAndTheNearestKey) {
  EXPECT_EQ(file_error("lr = 1\n[model]\ndimm = 3\n"), "x.cfg:3: unknown key 'model.dimm'; did you mean 'model.dim'?");
  EXPECT_EQ(file_error("dropout = 0.1"), "x.cfg:1: unknown key 'dropout'; did you mean 'model.dropout'?");
  EXPECT_EQ(file_error("[model]\nlr = 1"), "x.cfg:2: unknown key 'model.lr'; did you mean 'lr'?");
  EXPECT_EQ(file_error("[model]\nsomething_else = 1"), "x.cfg:2: unknown key 'model.something_else'");
  EXPECT_THAT(line_error({"model.dmi=3"}), HasSubstr("did you mean 'model.dim'?"));
  EXPECT_THAT(line_error({"--chekc"}), HasSubstr("did you mean '--check'?"));
  EXPECT_THAT(file_error("[model]\nnorm = pst"), HasSubstr("x.cfg:2: model.norm must be one of pre|post, got 'pst'; did you mean 'post'?"));
}

TEST_F(ConfigTest, AllFaultsOfAFileAreReportedAtOnce) {
  const std::string m = file_error("a = 1\nlr = -1\n[model]\ndim = x\n");
  EXPECT_THAT(m, HasSubstr("x.cfg:1: unknown key 'a'"));
  EXPECT_THAT(m, HasSubstr("\nx.cfg:2: lr must be > 0"));
  EXPECT_THAT(m, HasSubstr("\nx.cfg:4: model.dim must be an integer"));
}

TEST_F(ConfigTest, AKeySetTwiceNamesBothLines) {
  EXPECT_EQ(file_error("[model]\ndim = 1\n\n[other]\nx = 1\n[model]\ndim = 2"),
            "x.cfg:7: key 'model.dim' is set a second time; first at x.cfg:2");
}

TEST_F(ConfigTest, OnTheCommandLineTheLastSettingCounts) {
  line({"lr=1", "model.dim=3", "--lr=2"});
  EXPECT_EQ(config.lr, 2);
  EXPECT_EQ(config.model.dim, 3);
}

TEST_F(ConfigTest, AHashInAValueIsRefusedOrQuotedButNotCut) {
  EXPECT_THAT(file_error("[model]\npath = a#b"), HasSubstr("x.cfg:2: '#' starts a comment and would cut the value in 'path = a#b'"));
  EXPECT_EQ(file_error("[model]\npath = a # b#c"), "accepted");
  EXPECT_EQ(config.model.path, "a");
  for (const char* value : {"\"a #b\"", "'a #b'", "\"a #b\"  # and a \"comment\"", "\"a #b\" #"}) {
    EXPECT_EQ(file_error(std::string("[model]\npath = ") + value), "accepted") << value;
    EXPECT_EQ(config.model.path, "a #b") << value;
  }
  EXPECT_EQ(file_error("[model]\nnames = \"x#1, y\""), "accepted");
  EXPECT_THAT(config.model.names, ElementsAre("x#1", "y"));
  EXPECT_THAT(file_error("[model]\npath = \"a#b"), HasSubstr("x.cfg:2: '#' starts a comment")) << "the quote never closes";
}

TEST_F(ConfigTest, EveryTextIsReadBackAsItIs) {
  for (const char* value : {"a#b", "# a", "a #\"b", "'a' # 'b", "\"a\"", " a ", "it's", "a=b", "[x]", "#"}) {
    line({std::string("model.path=") + value});
    const std::string before = config.model.path, text = to_config_text(table);
    config.model.path = "another";
    ASSERT_EQ(file_error(text), "accepted") << value << "\n" << text;
    EXPECT_EQ(config.model.path, before) << text;
  }
  EXPECT_THAT(line_error({"model.path=a'b\"c#d"}), HasSubstr("model.path cannot hold '#' beside both kinds of quotes"));
}

TEST_F(ConfigTest, KeysOfEarlierVersionsNameTheKeyOfToday) {
  EXPECT_THAT(file_error("[optimizer]\nwarmup_steps = 3"),
              HasSubstr("x.cfg:2: unknown key 'optimizer.warmup_steps'; it is schedule.warmup_steps now"));
  EXPECT_THAT(line_error({"optimizer.final_rate=0"}), HasSubstr("'optimizer.final_rate'; it is schedule.final_rate now"));
  const auto stored = translated(parse_config("[optimizer]\nschedule = linear\nlearning_rate = 1", "stored"));
  EXPECT_EQ(stored[0].key, "schedule.kind");
  EXPECT_EQ(stored[1].key, "optimizer.learning_rate");
}

TEST_F(ConfigTest, LinesThatAreNeitherKeyNorSectionAreRefused) {
  EXPECT_EQ(file_error("lr"), "x.cfg:1: expected 'key = value' or '[section]', found 'lr'");
  EXPECT_THAT(file_error("\n= 3"), HasSubstr("x.cfg:2: expected"));
  EXPECT_THAT(file_error("[model\ndim = 3"), HasSubstr("x.cfg:1: expected"));
  EXPECT_THAT(file_error(std::string_view("lr = 1\0", 7)), HasSubstr("x.cfg:1: NUL"));
}

TEST_F(ConfigTest, TheCommandLineTakesThreeFormsAndWins) {
  file("lr = 1\n[model]\ndim = 2\nwidths = 1, 2, 3\n");
  line({"lr=2", "--model.dim=3", "--model.dropout", "0.125", "--model.widths=9", "model.path="});
  EXPECT_EQ(config.lr, 2);
  EXPECT_EQ(config.model.dim, 3);
  EXPECT_EQ(config.model.dropout, 0.125);
  EXPECT_THAT(config.model.widths, ElementsAre(9)) << "a list is replaced as a whole";
  EXPECT_EQ(config.model.path, "");
  EXPECT_EQ(table.find("lr")->origin, "command line");
}

TEST_F(ConfigTest, NamesAreNeverGuessed) {
  EXPECT_THAT(line_error({"--model.d=64"}), HasSubstr("unknown option or key 'model.d'"));
  EXPECT_THAT(line_error({"--res", "x"}), HasSubstr("unknown option or key 'res'"));
}

TEST_F(ConfigTest, FlagsTakeTheirValues) {
  const std::vector<std::string> arguments{"--check", "--resume", "auto", "lr=2"};
  const Arguments a = parse_arguments(arguments, flags, &table);
  EXPECT_TRUE(a.has("check"));
  EXPECT_EQ(a.value("resume"), "auto");
  EXPECT_EQ(a.assignments.size(), 1u);
  const std::vector<Flag> io{{"input", "FILE", ""}};
  EXPECT_EQ(parse_arguments(std::vector<std::string>{"--input", "-"}, io, nullptr).value("input"), "-");
  EXPECT_THAT(line_error({"--resume"}), HasSubstr("command line: "));
  EXPECT_THAT(line_error({"--resume", "--check"}), Not(testing::Eq("accepted")));
  EXPECT_THAT(line_error({"--resume", "--lr=1"}), Not(testing::Eq("accepted")));
  EXPECT_EQ(parse_arguments(std::vector<std::string>{"--input", "a=b.h5"}, io, nullptr).value("input"), "a=b.h5");
  EXPECT_EQ(parse_arguments(std::vector<std::string>{"--input=a=b.h5"}, io, nullptr).value("input"), "a=b.h5");
  EXPECT_THAT(line_error({"--check=1"}), HasSubstr("command line: "));
  EXPECT_THAT(line_error({"--check", "--check"}), HasSubstr("given twice"));
  EXPECT_THAT(line_error({"stray"}), HasSubstr("unexpected argument 'stray'"));
  EXPECT_THAT(line_error({"-x"}), HasSubstr("unexpected argument '-x'"));
}

TEST_F(ConfigTest, ThePrintedConfigurationReadsBack) {
  line({"lr=1e-05", "model.path=' two words '", "model.names=a, b", "model.dim=7", "model.rates=0.1, 1e300"});
  const std::string text = to_config_text(table);
  EXPECT_THAT(text, HasSubstr("# command line"));
  EXPECT_THAT(text, HasSubstr("# default"));

  Everything other;
  OptionTable copy(other);
  assign(copy, parse_config(text, "printed.cfg"));
  for (const Option& o : table.options()) EXPECT_EQ(copy.find(o.key)->get(), o.get()) << o.key;
  EXPECT_EQ(other.model.path, " two words ");
  EXPECT_EQ(to_config_text(copy, false), to_config_text(table, false));
  EXPECT_LT(text.find("lr ="), text.find("[model]")) << "keys without a section come first";
}

TEST_F(ConfigTest, HelpAndTableListEveryOption) {
  const std::string help = help_text(table), markdown = markdown_table(table);
  for (const Option& o : table.options()) {
    EXPECT_THAT(help, HasSubstr(o.key));
    EXPECT_THAT(help, HasSubstr(o.help));
    EXPECT_THAT(markdown, HasSubstr("`" + o.key + "`"));
  }
  EXPECT_THAT(help, HasSubstr("integer, >= 1 and <= 1048576"));
  EXPECT_THAT(markdown, HasSubstr("pre\\|post"));
}

TEST_F(ConfigTest, ChangedBytesAreRefusedOrReadNeverFatal) {
  const std::string good = to_config_text(table);
  Rng rng(random_key(1, "config fuzz"));
  for (int round = 0; round < 500; ++round) {
    std::string text = good;
    for (std::uint64_t n = rng.below(4) + 1; n > 0; --n) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    Everything other;
    OptionTable t(other);
    try {
      assign(t, parse_config(text, "fuzz.cfg"));
    } catch (const ConfigError& e) {
      EXPECT_THAT(std::string(e.what()), HasSubstr("fuzz.cfg:")) << "a refusal names the line";
    }
  }
}

}  // namespace
}  // namespace capstan::engine
