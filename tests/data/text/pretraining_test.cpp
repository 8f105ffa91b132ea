#include "data/text/pretraining.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/text/corpus_builder.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

const Vocabulary& p1() {
  static const Vocabulary v = [] {
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    for (char c = 'a'; c <= 'd'; ++c) tokens.push_back(std::string("##") + c);
    return Vocabulary(tokens, "P1");
  }();
  return v;
}

Corpus corpus_of(const Scratch& scratch, const std::string& text) {
  const Tokenizer tokenizer(p1());
  CorpusBuilder builder(scratch / "corpus", tokenizer, TextForm::sentences);
  builder.add_file(scratch.write("text", text));
  builder.finish();
  return Corpus(scratch / "corpus");
}

/// tokens / number of segment-0 tokens / random_next / masked positions: original tokens
std::string shown(const Instance& x) {
  std::ostringstream out;
  for (const auto id : x.ids) out << p1().token(id) << ' ';
  out << "/ " << x.first_segment << " / " << x.random_next << " / ";
  for (std::size_t i = 0; i < x.positions.size(); ++i) out << (i > 0 ? "," : "") << x.positions[i];
  out << ':';
  for (const auto id : x.labels) out << ' ' << p1().token(id);
  return out.str();
}

std::vector<std::string> shown(const std::vector<Instance>& instances) {
  std::vector<std::string> out;
  for (const auto& x : instances) out.push_back(shown(x));
  return out;
}

const std::string kText1 = "a b c d\ne f g\nh i\n\nj k l m n\no p\nq r s t\n\nu v w\nx y z a b c\n";
const std::string kText2 = "abc d ab\nef g\n\na bcd e\nf g h i\n";

// Both lists were made by the original program.
TEST(Pretraining, GivesTheInstancesOfTheOriginal) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, kText1);
  const PretrainingOptions options{.max_seq_length = 12, .max_predictions_per_seq = 3, .dupe_factor = 2};
  EXPECT_THAT(shown(pretraining_instances(corpus, p1(), options)), ElementsAreArray({
                                                                       "[CLS] j k [MASK] m n [SEP] o p [MASK] r [SEP] / 7 / 0 / 3,9: l q",
                                                                       "[CLS] x y z a b [SEP] q [MASK] s t [SEP] / 7 / 1 / 8,9: r s",
                                                                       "[CLS] h i [SEP] q r s t [SEP] / 4 / 1 / 1: h",
                                                                       "[CLS] e f [MASK] [SEP] x y z a [MASK] c [SEP] / 5 / 1 / 3,9: g b",
                                                                       "[CLS] b [MASK] d e f [MASK] [SEP] u v w [SEP] / 8 / 1 / 2,6: c g",
                                                                       "[CLS] u v w [SEP] x y [MASK] [MASK] b c [SEP] / 5 / 0 / 7,8: z a",
                                                                       "[CLS] [MASK] k l m n [SEP] o p [MASK] r [SEP] / 7 / 0 / 1,9: j q",
                                                                       "[CLS] a b [MASK] [MASK] [SEP] j k l m n [SEP] / 6 / 1 / 3,4: c d",
                                                                       "[CLS] [MASK] i [SEP] v w x y z v b [SEP] / 4 / 1 / 1,9: h a",
                                                                       "[CLS] u v w [SEP] [MASK] p [MASK] r s t [SEP] / 5 / 1 / 5,7: o q",
                                                                   }));
}

TEST(Pretraining, GivesTheWholeWordInstancesOfTheOriginal) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, kText2);
  const PretrainingOptions options{
      .max_seq_length = 14, .max_predictions_per_seq = 4, .masked_lm_prob = 0.3, .whole_word_mask = true, .dupe_factor = 2, .seed = 7};
  EXPECT_THAT(shown(pretraining_instances(corpus, p1(), options)),
              ElementsAreArray({
                  "[CLS] a ##b ##c d a [MASK] [SEP] [MASK] g [SEP] / 8 / 0 / 5,6,8: a ##b [UNK]",
                  "[CLS] [MASK] [MASK] [MASK] d a ##b [SEP] [UNK] g [SEP] / 8 / 0 / 1,2,3: a ##b ##c",
                  "[CLS] a b ##c ##d [MASK] [SEP] [MASK] [MASK] [MASK] d a ##b [SEP] / 7 / 1 / 5,7,8,9: e a ##b ##c",
                  "[CLS] f g h [MASK] [SEP] a ##b ##c d [MASK] [MASK] [MASK] [SEP] / 6 / 1 / 4,10,11,12: i a ##b [UNK]",
                  "[CLS] a [MASK] ##c ##d e [SEP] f [MASK] h i [SEP] / 7 / 0 / 2,3,4,8: b ##c ##d g",
              }));
}

/// Text of `documents` documents with up to `sentences` sentences of up to `words` letters or words like "abc".
std::string random_text(std::uint64_t seed, std::uint64_t documents, std::uint64_t sentences, std::uint64_t words) {
  Rng random(random_key(seed, "text"));
  std::string out;
  for (std::uint64_t d = 0; d < documents; ++d) {
    for (std::uint64_t s = 1 + random.below(sentences); s > 0; --s) {
      for (std::uint64_t w = 1 + random.below(words); w > 0; --w) {
        out += static_cast<char>('a' + random.below(26));
        for (std::uint64_t more = random.below(3); more > 0; --more) out += static_cast<char>('a' + random.below(4));
        out += ' ';
      }
      out += '\n';
    }
    out += '\n';
  }
  return out;
}

struct Counts {
  std::int64_t instances = 0, random = 0, masked = 0, to_mask = 0, kept = 0;
};

/// Everything that holds for each instance.
void check_instance(const Corpus& corpus, const Instance& x, const PretrainingOptions& o, Counts& counts) {
  const std::int32_t cls = p1().id("[CLS]"), sep = p1().id("[SEP]"), mask = p1().id("[MASK]");
  std::vector<std::int32_t> ids = x.ids;
  ASSERT_EQ(x.positions.size(), x.labels.size());
  ASSERT_TRUE(std::is_sorted(x.positions.begin(), x.positions.end()));
  ASSERT_EQ(std::adjacent_find(x.positions.begin(), x.positions.end()), x.positions.end());
  for (std::size_t i = 0; i < x.positions.size(); ++i) {
    auto& id = ids[static_cast<std::size_t>(x.positions[i])];
    counts.to_mask += id == mask;
    counts.kept += id == x.labels[i];
    id = x.labels[i];
    ASSERT_NE(id, cls);
    ASSERT_NE(id, sep);
  }
  counts.masked += static_cast<std::int64_t>(x.positions.size());
  ++counts.instances;
  counts.random += x.random_next;

  const auto tokens = static_cast<std::int64_t>(ids.size());
  ASSERT_LE(tokens, o.max_seq_length);
  ASSERT_EQ(ids.front(), cls);
  ASSERT_EQ(std::count(ids.begin(), ids.end(), cls), 1);
  ASSERT_EQ(std::count(ids.begin(), ids.end(), sep), 2);
  ASSERT_EQ(ids.back(), sep);
  const auto first = static_cast<std::size_t>(x.first_segment);
  ASSERT_EQ(ids[first - 1], sep);
  ASSERT_GE(first, 3u);
  ASSERT_GE(ids.size() - first, 2u);
  const auto expected = std::min(
      {o.max_predictions_per_seq, std::max<std::int64_t>(1, std::lrint(static_cast<double>(tokens) * o.masked_lm_prob)), tokens - 3});
  if (o.whole_word_mask) {
    ASSERT_LE(static_cast<std::int64_t>(x.positions.size()), expected);
  } else {
    ASSERT_EQ(static_cast<std::int64_t>(x.positions.size()), expected);
  }
  const auto inside = [&](std::size_t from, std::size_t to) {
    const auto all = corpus.tokens();
    return std::search(all.begin(), all.end(), ids.begin() + static_cast<std::ptrdiff_t>(from),
                       ids.begin() + static_cast<std::ptrdiff_t>(to)) != all.end();
  };
  ASSERT_TRUE(inside(1, first - 1));
  ASSERT_TRUE(inside(first, ids.size() - 1));
}

TEST(Pretraining, HoldsItsInvariantsForAnySeed) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
    const Scratch scratch;
    const auto corpus = corpus_of(scratch, random_text(seed, 1 + seed * seed, 12, 1 + 5 * seed));
    for (const bool whole_word : {false, true}) {
      PretrainingOptions options{
          .max_seq_length = static_cast<std::int64_t>(5 + 11 * (seed - 1)), .whole_word_mask = whole_word, .dupe_factor = 3, .seed = seed};
      options.max_predictions_per_seq = static_cast<std::int64_t>(seed);
      Counts counts;
      for (const auto& x : pretraining_instances(corpus, p1(), options)) check_instance(corpus, x, options, counts);
      EXPECT_GE(counts.instances, 3 * corpus.documents());
      const DynamicPretraining dynamic(corpus, p1(), options);
      for (std::int64_t epoch = 0; epoch < 3; ++epoch)
        for (std::int64_t i = 0; i < dynamic.size(); ++i) check_instance(corpus, dynamic.get(epoch, i), options, counts);
    }
  }
}

TEST(Pretraining, SharesOfMasksAndPairsAreThoseIntended) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, random_text(11, 100, 60, 12));
  const PretrainingOptions options{.max_seq_length = 64, .max_predictions_per_seq = 20, .dupe_factor = 20};
  Counts original, dynamic;
  for (const auto& x : pretraining_instances(corpus, p1(), options)) check_instance(corpus, x, options, original);
  const DynamicPretraining maker(corpus, p1(), options);
  for (std::int64_t epoch = 0; epoch < 20; ++epoch)
    for (std::int64_t i = 0; i < maker.size(); ++i) check_instance(corpus, maker.get(epoch, i), options, dynamic);
  for (const Counts& c : {original, dynamic}) {
    ASSERT_GT(c.masked, 100000);
    const auto masked = static_cast<double>(c.masked);
    EXPECT_NEAR(static_cast<double>(c.to_mask) / masked, 0.8 + 0.1 / 35, 0.005);  // a random token may be [MASK], or the same
    EXPECT_NEAR(static_cast<double>(c.kept) / masked, 0.1 + 0.1 / 35, 0.005);
    EXPECT_NEAR(static_cast<double>(c.random) / static_cast<double>(c.instances), 0.5, 0.06);
  }
}

TEST(Pretraining, PutsBackSoThatEverySentenceIsUsed) {
  // Sentences so short that truncation only touches random texts, and each is a word of its own.
  const Scratch scratch;
  std::string text;
  for (char c = 'a'; c <= 'z'; ++c) text += std::string(1, c) + (c % 5 == 0 ? "\n\n" : "\n");
  const auto corpus = corpus_of(scratch, text);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::map<std::int32_t, int> used;
    const PretrainingOptions options{.max_seq_length = 8, .max_predictions_per_seq = 1, .dupe_factor = 1, .seed = seed};
    for (auto x : pretraining_instances(corpus, p1(), options)) {
      for (std::size_t i = 0; i < x.positions.size(); ++i) x.ids[static_cast<std::size_t>(x.positions[i])] = x.labels[i];
      const auto end = x.random_next ? static_cast<std::size_t>(x.first_segment) : x.ids.size();
      for (std::size_t i = 0; i < end; ++i) ++used[x.ids[i]];
    }
    for (char c = 'a'; c <= 'z'; ++c) EXPECT_EQ(used[p1().id(std::string(1, c))], 1) << c;
  }
}

TEST(Pretraining, DynamicInstancesDependOnTheirPlaceOnly) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, random_text(5, 9, 20, 9));
  const PretrainingOptions options{.max_seq_length = 32};
  const DynamicPretraining one(corpus, p1(), options), two(corpus, p1(), options);
  ASSERT_GT(one.size(), 20);
  std::int64_t changed = 0;
  for (std::int64_t i = one.size() - 1; i >= 0; --i) {
    EXPECT_EQ(shown(one.get(3, i)), shown(two.get(3, i)));
    changed += shown(one.get(3, i)) != shown(one.get(4, i));
  }
  EXPECT_EQ(changed, one.size());
  PretrainingOptions other = options;
  other.seed = 1;
  EXPECT_NE(shown(DynamicPretraining(corpus, p1(), other).get(3, 0)), shown(one.get(3, 0)));
}

TEST(Pretraining, DynamicRandomTextIsOfAnotherDocument) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, "a\nb\nc\n\nd\ne\nf\n\ng\nh\ni\n");
  const PretrainingOptions options{.max_seq_length = 6, .max_predictions_per_seq = 1, .short_seq_prob = 0};
  const DynamicPretraining maker(corpus, p1(), options);
  ASSERT_EQ(maker.size(), 3);
  std::map<std::string, int> first_texts;
  for (std::int64_t epoch = 0; epoch < 300; ++epoch)
    for (std::int64_t i = 0; i < 3; ++i) {
      auto x = maker.get(epoch, i);
      x.ids[static_cast<std::size_t>(x.positions[0])] = x.labels[0];
      const auto document = [&](std::size_t at) { return (p1().token(x.ids[at])[0] - 'a') / 3; };
      EXPECT_EQ(document(1), i);
      EXPECT_EQ(document(static_cast<std::size_t>(x.first_segment)) == i, !x.random_next);
      if (x.random_next) ++first_texts[p1().token(x.ids[1])];
    }
  EXPECT_EQ(first_texts.size(), 9u);  // front and back of the run
}

TEST(Pretraining, MasksAsManyAsTheShareAsksFor) {
  const Scratch scratch;
  std::string text;
  for (int i = 0; i < 400; ++i) text += "a b c d e f g\n" + std::string(i % 40 == 0 ? "\n" : "");
  const Corpus corpus = corpus_of(scratch, text);
  const PretrainingOptions all{.max_seq_length = 256, .max_predictions_per_seq = 0, .short_seq_prob = 0};
  EXPECT_EQ(most_predictions(all), 38);
  const DynamicPretraining instances(corpus, p1(), all);
  EXPECT_EQ(instances.get(0, 0).positions.size(), std::nearbyint(static_cast<double>(instances.get(0, 0).ids.size()) * 0.15));
  for (const auto& x : pretraining_instances(corpus, p1(), all)) EXPECT_LE(x.positions.size(), 38u);
  // Where the share asks for less than the limit, nothing changes.
  PretrainingOptions limited = all;
  limited.max_predictions_per_seq = 38;
  EXPECT_EQ(pretraining_instances(corpus, p1(), all), pretraining_instances(corpus, p1(), limited));
}

TEST(Pretraining, SingleTextsFillAnInstance) {
  const Scratch scratch;
  const Corpus corpus = corpus_of(scratch, kText1);
  const PretrainingOptions single{
      .max_seq_length = 11, .masked_lm_prob = 0.0, .short_seq_prob = 0, .next_sentence = false, .dupe_factor = 1};
  const auto text_of = [&](Instance x) {
    for (std::size_t i = 0; i < x.positions.size(); ++i) x.ids[static_cast<std::size_t>(x.positions[i])] = x.labels[i];
    x.positions.clear();
    x.labels.clear();
    return shown(x);
  };
  const DynamicPretraining instances(corpus, p1(), single);
  EXPECT_EQ(text_of(instances.get(0, 0)), "[CLS] a b c d e f g h i [SEP] / 11 / 0 / :");
  std::vector<std::string> made;
  for (const auto& x : pretraining_instances(corpus, p1(), single)) made.push_back(text_of(x));
  EXPECT_THAT(made, testing::Contains("[CLS] a b c d e f g h i [SEP] / 11 / 0 / :"));
  EXPECT_EQ(made.size(), static_cast<std::size_t>(instances.size()));
}

TEST(Pretraining, WordsOfTheUsersSegmentationAreMaskedTogether) {
  const Scratch scratch;
  {
    CorpusWriter writer(scratch / "corpus", p1());
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < 20; ++i) ids.push_back(i % 2 == 0 ? 5 + i : (5 + i) | kContinuesWord);
    writer.add_sentence(ids);
    writer.end_document();
    writer.add_sentence(ids);
    writer.finish();
  }
  const Corpus corpus(scratch / "corpus");
  const DynamicPretraining instances(corpus, p1(), {.max_seq_length = 64, .short_seq_prob = 0, .whole_word_mask = true});
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    Instance x = instances.get(epoch, 0);
    ASSERT_FALSE(x.positions.empty());
    ASSERT_EQ(x.positions.size() % 2, 0u);
    for (std::size_t i = 0; i < x.positions.size(); i += 2) EXPECT_EQ(x.labels[i + 1], x.labels[i] + 1);
    for (const auto id : x.ids) EXPECT_EQ(id, id_of(id));
  }
}

TEST(Pretraining, DynamicInstancesAlwaysHaveAPrediction) {
  const Scratch scratch;
  const Corpus corpus = corpus_of(scratch, "abcd\n\nabcd\n");
  const DynamicPretraining instances(corpus, p1(), {.max_seq_length = 12, .whole_word_mask = true});
  for (std::int64_t epoch = 0; epoch < 10; ++epoch) EXPECT_EQ(instances.get(epoch, 0).positions.size(), 2u) << "of 11 tokens";
}

TEST(Pretraining, PadsRows) {
  const Instance x{.ids = {2, 5, 3, 6, 3}, .first_segment = 3, .random_next = true, .positions = {1, 3}, .labels = {7, 8}};
  const Instance y{.ids = {2, 5, 6, 3, 7, 3}, .first_segment = 4, .random_next = false, .positions = {4}, .labels = {9}};
  const auto b = pad_instances(std::vector{x, y}, 6, 2, 1);
  EXPECT_THAT(b.input_ids.to_vector(), ElementsAre(2, 5, 3, 6, 3, 1, 2, 5, 6, 3, 7, 3));
  EXPECT_THAT(b.input_mask.to_vector(), ElementsAre(1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(b.segment_ids.to_vector(), ElementsAre(0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(b.masked_positions.to_vector(), ElementsAre(1, 3, 4, 0));
  EXPECT_THAT(b.masked_ids.to_vector(), ElementsAre(7, 8, 9, 0));
  EXPECT_THAT(b.masked_weights.to_vector(), ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(b.next_sentence_labels.to_vector(), ElementsAre(1, 0));
  EXPECT_THROW(pad_instances(std::vector{x, y}, 5, 2, 0), ShapeError);
  EXPECT_THROW(pad_instances(std::vector{x, y}, 6, 1, 0), ShapeError);
}

TEST(Pretraining, SaysWhatIsWrong) {
  const Scratch scratch;
  const auto corpus = corpus_of(scratch, kText1);
  const auto message = [&](const Vocabulary& v, const PretrainingOptions& o) -> std::string {
    try {
      pretraining_instances(corpus, v, o);
    } catch (const Error& e) {
      return e.what();
    }
    return "nothing thrown";
  };
  EXPECT_EQ(message(p1(), {.max_seq_length = 4}), "pretraining: max_seq_length must be at least 5, got 4");
  EXPECT_EQ(message(p1(), {.masked_lm_prob = 1.5}), "pretraining: masked_lm_prob must be in [0, 1], got 1.5");
  EXPECT_EQ(message(p1(), {.dupe_factor = 0}), "pretraining: dupe_factor must be at least 1, got 0");
  EXPECT_THAT(message(Vocabulary({"[UNK]"}), {}), HasSubstr("another vocabulary"));
}

}  // namespace
}  // namespace capstan::data
