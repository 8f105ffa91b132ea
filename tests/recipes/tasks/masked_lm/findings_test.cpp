// Filled masks, and accuracy by frequency: a vocabulary of fifteen tokens, two instances, probabilities that are given.

#include "recipes/tasks/masked_lm/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace capstan::masked_lm {
namespace {

using ::testing::ElementsAre;

const engine::FindingTable& table(const engine::Finding& finding) { return std::get<engine::FindingTable>(finding.shown); }

TEST(MaskedFindings, ShowGuessesAndFrequencies) {
  std::vector<std::string> tokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (const char* t : {"the", "cat", "##s", "sat", "on", "a", "mat", "dog", "ran", "off"}) tokens.emplace_back(t);
  const data::Vocabulary vocabulary(tokens);
  // The counts fall with the id, so the ten most frequent tokens are 0 .. 9.
  std::vector<std::int64_t> counts;
  for (std::int64_t i = 0; i < 15; ++i) counts.push_back(100 - i);
  // "the [MASK] ##s sat [MASK] the mat": of three masked tokens the second stands for itself.
  const data::Instance instance{.ids = {2, 5, 4, 7, 8, 4, 5, 11, 3}, .first_segment = 9, .positions = {2, 4, 5}, .labels = {6, 8, 9}};
  ShownMasks shown({.vocabulary = &vocabulary,
                    .size = 1,
                    .instance = [&](std::int64_t) { return instance; },
                    .probabilities =
                        [](const data::Instance&) {
                          Tensor p = Tensor::zeros({3, 15});
                          const auto row = p.span<float>();
                          row[6] = .5f, row[12] = .25f, row[5] = .125f;    // cat, dog, the
                          row[2 * 15 + 14] = .75f, row[2 * 15 + 9] = .2f;  // off, on
                          return p;
                        },
                    .token_counts = [&]() -> const std::vector<std::int64_t>& { return counts; }});
  shown.add(6, true);
  shown.add(9, false);
  shown.add(12, true);
  shown.add(12, false);
  const std::vector<engine::Finding> all = shown.findings();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(table(all[0]).rows,
              ElementsAre(ElementsAre("the [?] ##s sat [MASK] the mat", "cat", "cat 0.500", "dog 0.250", "the 0.125", "0.500"),
                          ElementsAre("the [MASK]s sat [?] the mat", "on", "off 0.750", "on 0.200", "[PAD] 0.000", "0.200")));
  EXPECT_THAT(table(all[1]).rows, ElementsAre(ElementsAre("1 to 10", "2", "1", "50.0%"), ElementsAre("11 to 15", "2", "1", "50.0%")));
}

}  // namespace
}  // namespace capstan::masked_lm
