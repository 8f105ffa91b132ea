// Corpora larger than what may be resident: the size in memory stays bounded while they are built and read.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "autograd/core/rng.h"
#include "data/text/corpus.h"
#include "data/text/pretraining.h"
#include "tests/data/scratch.h"

namespace capstan::data {
namespace {

/// A line of /proc/self/status in bytes.
std::int64_t status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (word == key + ":") {
      std::int64_t kilobytes = 0;
      file >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

TEST(LargeCorpus, StaysOutOfMemory) {
  constexpr std::int64_t kDocuments = 20000, kSentences = 200, kTokens = 20;  // 320 MB of tokens, 32 MB of starts
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int i = 0; i < 1000; ++i) tokens.push_back(std::string("t").append(std::to_string(i)));
  const Vocabulary vocabulary(tokens);
  const Scratch scratch;
  CorpusWriter writer(scratch / "corpus", vocabulary);
  Rng random(1);
  std::vector<std::int32_t> sentence(kTokens);
  const std::int64_t before = status("VmRSS");
  if (before == 0) GTEST_SKIP() << "the system does not say how much memory is resident";
  for (std::int64_t d = 0; d < kDocuments; ++d) {
    for (std::int64_t s = 0; s < kSentences; ++s) {
      for (auto& id : sentence) id = static_cast<std::int32_t>(5 + random.below(1000));
      writer.add_sentence(sentence);
    }
    writer.end_document();
  }
  writer.finish();
  const std::int64_t building = status("VmRSS") - before;

  const Corpus corpus(scratch / "corpus");
  ASSERT_EQ(corpus.documents(), kDocuments);
  ASSERT_EQ(corpus.token_count(), kDocuments * kSentences * kTokens);
  const DynamicPretraining dynamic(corpus, vocabulary, {});
  std::int64_t reading = 0;
  for (std::int64_t i = 0; i < 20000; ++i) {
    dynamic.get(0, static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(dynamic.size()))));
    if (i % 200 == 0) reading = std::max(reading, status("VmRSS") - before);
  }
  std::int64_t making = 0, made = 0;
  make_pretraining_instances(corpus, vocabulary, {.dupe_factor = 1}, [&](Instance&&) {
    if (++made % 1000 == 0) making = std::max(making, status("VmRSS") - before);
  });
  RecordProperty("building_bytes", std::to_string(building));
  RecordProperty("reading_bytes", std::to_string(reading));
  RecordProperty("making_bytes", std::to_string(making));
  EXPECT_GT(made, 500000);
  EXPECT_LT(building, 20 << 20);
  EXPECT_LT(reading, 180 << 20);
  EXPECT_LT(making, 180 << 20);
}

}  // namespace
}  // namespace capstan::data
