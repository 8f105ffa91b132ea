// Texts as tokens, labels, which file serves which part, batches of like lengths, and what is refused. Numbers are checked by hand.
#include "recipes/tasks/text_classification/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "autograd/core/error.h"
#include "recipes/tasks/text/readable.h"
#include "recipes/tasks/text_classification/batch.h"
#include "recipes/tasks/text_classification/evaluation.h"
#include "recipes/tasks/text_classification/length_order.h"
#include "recipes/tasks/text_classification/predict.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::text_classification {
namespace {

using engine::Split;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, then a .. f from 4 on.
std::shared_ptr<const data::Vocabulary> letters() {
  return std::make_shared<const data::Vocabulary>(
      std::vector<std::string>{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e", "f"});
}

std::vector<std::int32_t> ids_of(const EncodedTexts& texts, std::int64_t i) {
  const auto ids = texts[i].ids;
  return {ids.begin(), ids.end()};
}

TEST(EncodedTexts, AreBareWhereTheModelWantsThemSo) {
  const Encoder encoder(letters(), {}, 4, Frame::bare);
  EncodedTexts t;
  encoder.add("a b c d e", t);
  encoder.add("\u200b", t);  // no token
  encoder.add("a b c", "d e", t);
  EXPECT_THAT(ids_of(t, 0), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(ids_of(t, 1), ElementsAre(1));
  EXPECT_THAT(ids_of(t, 2), ElementsAre(4, 5, 3, 7));
  EXPECT_EQ(t[0].first_segment, 4);
  EXPECT_EQ(t[2].first_segment, 3);
  EXPECT_EQ(t.cut(), 2);
  EXPECT_EQ(t.bare(), 1);

  // Single texts need nothing but [PAD] and [UNK].
  const auto words = std::make_shared<const data::Vocabulary>(std::vector<std::string>{"[PAD]", "[UNK]", "a"});
  const Encoder single(words, {}, 4, Frame::bare);
  single.add("a", t);
  EXPECT_THAT(message_of([&] { single.add("a", "a", t); }), HasSubstr("has no '[SEP]'"));
  EXPECT_THAT(message_of([&] { Encoder(words, {}, 4); }), HasSubstr("has no '[CLS]'"));
}

TEST(EncodedTexts, CutAsTheOriginalDoes) {
  const Encoder encoder(letters(), {}, 7);
  EncodedTexts t;
  encoder.add("a b c d e f", t);
  encoder.add("a x", t);
  encoder.add("a b c", "d", t);
  encoder.add("a b c d", "e f", t);     // the longer loses its end: a b, e f
  encoder.add("a b", "c d e f", t);     // the other one
  encoder.add("a b c", "d e f", t);     // of two as long the second: a b, d e
  encoder.add("a b c d", "\u200b", t);  // nothing of the second
  EXPECT_THAT(ids_of(t, 0), ElementsAre(2, 4, 5, 6, 7, 8, 3));
  EXPECT_THAT(ids_of(t, 1), ElementsAre(2, 4, 1, 3));
  EXPECT_THAT(ids_of(t, 2), ElementsAre(2, 4, 5, 6, 3, 7, 3));
  EXPECT_THAT(ids_of(t, 3), ElementsAre(2, 4, 5, 3, 8, 9, 3));
  EXPECT_THAT(ids_of(t, 4), ElementsAre(2, 4, 5, 3, 6, 7, 3));
  EXPECT_THAT(ids_of(t, 5), ElementsAre(2, 4, 5, 3, 7, 8, 3));
  EXPECT_THAT(ids_of(t, 6), ElementsAre(2, 4, 5, 6, 7, 3, 3));
  EXPECT_EQ(t[0].first_segment, 7);
  EXPECT_EQ(t[2].first_segment, 5);
  EXPECT_EQ(t.cut(), 4);
  EXPECT_EQ(t.unknown(), 1);
  EXPECT_EQ(t.bare(), 1);
  EXPECT_EQ(t.size(), 7);
}

TEST(LengthOrder, IsAPermutationInBatchesOfLikeLengths) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < 1003; ++i) lengths.push_back(1 + i * 7919 % 97);
  const auto first = by_like_lengths(lengths, 8, 1, 0), again = by_like_lengths(lengths, 8, 1, 0), next = by_like_lengths(lengths, 8, 1, 1);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, next);
  EXPECT_NE(first, by_like_lengths(lengths, 8, 2, 0));
  auto sorted = first;
  std::ranges::sort(sorted);
  for (std::int64_t i = 0; i < 1003; ++i) ASSERT_EQ(sorted[static_cast<std::size_t>(i)], i);
  std::int64_t padded = 0, real = 0;
  bool ascending = true;
  std::int64_t before = 0;
  for (std::size_t b = 0; b < first.size(); b += 8) {
    std::int64_t longest = 0, count = 0;
    for (std::size_t i = b; i < std::min(first.size(), b + 8); ++i, ++count) {
      longest = std::max(longest, lengths[static_cast<std::size_t>(first[i])]);
      real += lengths[static_cast<std::size_t>(first[i])];
    }
    padded += longest * count;
    ascending = ascending && longest >= before;
    before = longest;
  }
  EXPECT_FALSE(ascending) << "batches come in random order";
  EXPECT_LT(static_cast<double>(padded), 1.05 * static_cast<double>(real));  // of a plain permutation 1.8
  const LengthOrder order(lengths, 8, 1);
  EXPECT_THAT(order.samples(0, 8, 3), ElementsAre(first[8], first[9], first[10]));
}

TEST(Labels, AreSortedAndRenamed) {
  Labels found({}, {"new=old"});
  for (const char* label : {"new", "b", "old", "a"}) found.add(label);
  EXPECT_THAT(found.sort(), ElementsAre(2, 1, 0));  // old, b, a before
  EXPECT_THAT(found.names(), ElementsAre("a", "b", "old"));
  EXPECT_EQ(found.find("new"), 2);
  EXPECT_EQ(found.find("c"), -1);
  Labels numbers({}, {});
  for (const char* label : {"10", "9", "-1"}) numbers.add(label);
  numbers.sort();
  EXPECT_THAT(numbers.names(), ElementsAre("-1", "9", "10"));
  EXPECT_THAT(message_of([] { Labels({"a", "a"}, {}); }), HasSubstr("data.labels: 'a' comes twice"));
}

TEST(Labels, WeighAsAskedOrBalanced) {
  const Labels labels({"no", "yes"}, {});
  EXPECT_THAT(class_weights({}, labels, {3, 1}), IsEmpty());
  EXPECT_THAT(class_weights({"balanced"}, labels, {3, 1}), ElementsAre(4.f / 6, 2.f));  // as scikit-learn: n / (k n_c)
  EXPECT_THAT(class_weights({"yes=2.5"}, labels, {3, 1}), ElementsAre(1, 2.5f));
  EXPECT_THAT(message_of([&] {
                class_weights({"yess=1"}, labels, {3, 1});
              }),
              EndsWith("data.class_weights: 'yess' is none of the 2 labels: no, yes; did you mean 'yes'?"));
  EXPECT_THAT(message_of([&] { class_weights({"yes=0"}, labels, {3, 1}); }), HasSubstr("must be above 0, got 0"));
  EXPECT_THAT(message_of([&] { class_weights({"yes=x"}, labels, {3, 1}); }), HasSubstr("data.class_weights: yes"));
  EXPECT_THAT(message_of([&] { class_weights({"yes"}, labels, {3, 1}); }), HasSubstr("expected balanced, or label=weight, got 'yes'"));
  EXPECT_THAT(message_of([&] { class_weights({"balanced"}, labels, {3, 0}); }), HasSubstr("no training text has the label 'yes'"));
}

struct DatasetTest : testing::Test {
  DatasetTest() {
    options.data.train = "train.csv";
    scratch.write("train.csv", "text,label\na,x\nb,y\nc d,x\nd,x\n");
    scratch.write("dev.csv", "text,label\nb,y\n");
    scratch.write("test.csv", "id,text\n1,b c\n2,a\n");
  }
  data::Scratch scratch;
  Options options;
  Encoder encoder{letters(), {}, 16};

  Dataset dataset(engine::Purpose purpose = engine::Purpose::train, const std::vector<std::string>& names = {}) {
    return {options, {.purpose = purpose, .data_dir = scratch.path()}, encoder, names};
  }
  std::string lines(const Dataset& d) {
    std::string all;
    for (const std::string& line : data::lines_of(d.report())) all += line + "\n";
    return all;
  }
  std::string fault() {
    return message_of([&] { dataset(); });
  }
};

TEST_F(DatasetTest, ReadsLabelsAndReportsThem) {
  options.data.validation = "dev.csv";
  options.data.test = "test.csv";
  const Dataset d = dataset();
  EXPECT_THAT(d.labels().names(), ElementsAre("x", "y"));
  EXPECT_EQ(d.size(Split::train), 4);
  EXPECT_EQ(d.label(Split::train, 1), 1);
  EXPECT_EQ(d.label(Split::validation, 0), 1);
  EXPECT_THAT(d.training_counts().counts, ElementsAre(3, 1));
  const std::string said = lines(d);
  EXPECT_THAT(said, HasSubstr("train.csv: 4 texts; x 3, y 1\n"));
  EXPECT_THAT(said, HasSubstr("table, separator comma (judged over 5 lines), text text, label label\n"));
  EXPECT_THAT(said, HasSubstr("up to 4 tokens, 3 on average; 0 % are cut at data.max_length = 128; 0 % of the tokens are [UNK]"));
  EXPECT_THAT(said, HasSubstr("2: x, y; f1 is of 'y'"));
  EXPECT_THAT(said, HasSubstr("warning: no text of " + scratch.path() + "/dev.csv has the label x"));
  EXPECT_FALSE(d.labelled(Split::test)) << "the file has no such column";
  EXPECT_EQ(d.size(Split::test), 2);
  const Batch batch = make_batch(d, Split::test, std::vector<std::int64_t>{0, 1}, /*packed=*/true, 0);
  EXPECT_THAT(batch.tokens.ids.to_vector(), ElementsAre(2, 5, 6, 3, 2, 4, 3));
  EXPECT_FALSE(batch.labels.defined());
}

// Of the texts that train alone: what is set aside is as new as what is tested.
TEST_F(DatasetTest, AVocabularyIsLearnedFromTheTextsThatTrain) {
  scratch.write("train.csv", "text,label\na A a,x\nb a b,x\nc a c,x\nd a d,y\n");
  const auto learned = [&](const WordKeys& keys) {
    const data::Vocabulary v = learned_words(options, {.data_dir = scratch.path()}, keys);
    std::vector<std::string> tokens;
    for (std::int32_t i = 3; i < v.size(); ++i) tokens.push_back(v.token(i));
    return tokens;
  };
  EXPECT_THAT(learned({}), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(learned({.vocab_size = 5}), ElementsAre("a", "b"));
  EXPECT_THAT(learned({.min_count = 3}), ElementsAre("a"));
  EXPECT_THAT(message_of([&] { learned({.min_count = 9}); }), HasSubstr("data.min_count: vocabulary: none of 4 words comes 9 times"));
  options.data.held_out = 3;
  EXPECT_LE(learned({}).size(), 2U);
  options.data.validation = "dev.csv";  // nothing is set aside then
  EXPECT_EQ(learned({}).size(), 4U);
}

TEST_F(DatasetTest, SaysWhichTextsValidateAndTest) {
  options.data.held_out = 0.5;
  {
    const Dataset d = dataset();
    EXPECT_EQ(d.size(Split::train), 2);
    EXPECT_EQ(d.size(Split::validation), 2);
    EXPECT_EQ(d.size(Split::test), 2);
    EXPECT_THAT(d.source(Split::test), AllOf(HasSubstr("set aside from"), EndsWith("the texts of validation")));
    EXPECT_EQ(d.training_counts().counts[0] + d.training_counts().counts[1], 2);
  }
  options.data.held_out = 0;
  options.data.test = "dev.csv";
  {
    const Dataset d = dataset();
    EXPECT_EQ(d.size(Split::validation), 1);
    EXPECT_THAT(lines(d), HasSubstr("warning: the test texts validate"));
  }
  options.data.test.clear();
  EXPECT_THAT(lines(dataset()), HasSubstr("warning: nothing validates"));
  options.data.validation = "dev.csv";
  options.data.held_out = 0.5;
  EXPECT_EQ(dataset().size(Split::train), 4);
}

TEST_F(DatasetTest, AnEvaluationReadsOnlyItsPart) {
  options.data.train = "gone.csv";
  options.data.validation = "dev.csv";
  options.data.test = "gone.csv";
  const Dataset d = dataset(engine::Purpose::evaluate, {"x", "y"});
  EXPECT_EQ(d.size(Split::validation), 1);
  EXPECT_THAT(message_of([&] { static_cast<void>(d.size(Split::test)); }), AllOf(HasSubstr("data.test: "), HasSubstr("gone.csv")));
}

TEST_F(DatasetTest, NamesWhatIsWrong) {
  options.data.validation = "dev.csv";
  scratch.write("dev.csv", "text,label\nb,yy\n");
  EXPECT_THAT(fault(),
              AllOf(HasSubstr("data.validation: "), EndsWith("dev.csv:2: the label 'yy' is none of the 2 known ones: x, y; did you "
                                                             "mean 'y'?")));
  scratch.write("dev.csv", "text,label\n");
  EXPECT_THAT(fault(), EndsWith("dev.csv: no line of the file holds a text that counts"));
  options.data.labels = {"x"};
  EXPECT_THAT(fault(), AllOf(HasSubstr("data.train: "), HasSubstr("train.csv:3: the label 'y' is none of the 1 known ones: x")));
  options.data.labels = {"y", "x", "z"};
  scratch.write("dev.csv", "text,label\nb,y\n");
  EXPECT_THAT(dataset().labels().names(), ElementsAre("y", "x", "z"));
  EXPECT_THAT(lines(dataset()), HasSubstr("train.csv has the label z"));
}

TEST_F(DatasetTest, ReadsNumbers) {
  options.data.target = Target::number;
  options.data.held_out = 1;
  scratch.write("train.csv", "text,label\na,1\nb,2.5\nc,4\n");
  const Dataset d = dataset();
  EXPECT_THAT(d.labels().names(), IsEmpty());
  EXPECT_EQ(d.size(Split::validation), 1);
  const double held = d.number(Split::validation, 0);
  EXPECT_NEAR(d.training_counts().mean, (7.5 - held) / 2, 1e-12);
  EXPECT_NEAR(engine::value_of(baselines(d, Split::validation), "mean/loss"), std::pow(held - d.training_counts().mean, 2), 1e-12);
  scratch.write("train.csv", "text,label\na,1\nb,two\n");
  EXPECT_THAT(fault(), EndsWith("train.csv:3: expected a number (data.target = number), found 'two'"));
}

TEST_F(DatasetTest, EvaluatesInAnyOrder) {
  options.data.validation = "train.csv";
  const Dataset d = dataset();
  Evaluation e(d, Split::validation, /*keep=*/true);
  const std::vector<std::int64_t> first{3, 0}, second{2, 1};
  e.add(make_batch(d, Split::validation, first, true, 0), Tensor::from(std::vector<float>{0, 0, 2, 0}, {2, 2}));
  e.add(make_batch(d, Split::validation, second, true, 0), Tensor::from(std::vector<float>{0, 3, 0, 0}, {2, 2}));
  EXPECT_EQ(e.outputs, (std::vector<float>{2, 0, 0, 0, 0, 3, 0, 0}));
  EXPECT_THAT(probabilities_text(e, false), testing::StartsWith("0.8807971\t0.11920292\n0.5\t0.5\n"));
  const engine::Metrics m = engine::reported(e.accumulators());
  EXPECT_EQ(engine::value_of(m, "accuracy"), 0.5);  // texts 0 and 3
  EXPECT_EQ(engine::value_of(m, "f1"), 0);
  EXPECT_EQ(engine::value_of(baselines(d, Split::validation), "most_frequent/accuracy"), 0.75);
  const std::string results = results_text(e, 343);
  EXPECT_THAT(results, HasSubstr("eval_accuracy = 0.5\n"));
  EXPECT_THAT(results, HasSubstr("\nglobal_step = 343\nloss = "));

  const std::vector<engine::Finding> found = e.findings();
  ASSERT_EQ(found.size(), 4U) << "confusion, classes, mistakes, reliability";
  const auto& mistakes = std::get<engine::FindingTable>(found[2].shown).rows;
  ASSERT_EQ(mistakes.size(), 2U);
  EXPECT_EQ(mistakes[0][3], "0.953");  // of text 2: 1 / (1 + exp(-3))
  EXPECT_EQ(mistakes[1][3], "0.500");
  EXPECT_EQ(mistakes[0][0], text::readable(d.tokens(Split::validation, 2).ids, *letters()));
}

TEST(Predict, AnswersInBothForms) {
  const Tensor logits = Tensor::from(std::vector<float>{0, 2}, {1, 2});
  EXPECT_THAT(answers_of(logits, {"no", "y\"es"}, true),
              ElementsAre(R"({"label":"y\"es","probabilities":{"no":0.119203,"y\"es":0.880797}})"));
  EXPECT_THAT(answers_of(logits, {"no", "yes"}, false), ElementsAre("yes\t0.119203\t0.880797"));
  const Tensor numbers = Tensor::from(std::vector<float>{1.5f, -2}, {2, 1});
  EXPECT_THAT(answers_of(numbers, {}, true), ElementsAre(R"({"value":1.5})", R"({"value":-2})"));
  EXPECT_THAT(answers_of(numbers, {}, false), ElementsAre("1.5", "-2"));
}

TEST(Predict, ReadsLines) {
  const Encoder encoder(letters(), {}, 16);
  EXPECT_THAT(ids_of(read_query(encoder, "a\tb", 1, false).tokens, 0), ElementsAre(2, 4, 5, 3));
  for (const char* line : {"a ||| b", "a\tb"})
    EXPECT_THAT(ids_of(read_query(encoder, line, 1, true).tokens, 0), ElementsAre(2, 4, 3, 5, 3));
  EXPECT_THAT(message_of([&] { read_query(encoder, " ", 3, false); }), EndsWith("line 3: there is no text"));
  EXPECT_THAT(message_of([&] { read_query(encoder, "a b", 3, true); }), HasSubstr("line 3: found 'a b', expected two texts"));
  EXPECT_THAT(message_of([&] { read_query(encoder, "a ||| ", 3, true); }), HasSubstr("expected two texts"));
}

}  // namespace
}  // namespace capstan::text_classification
