#include "data/text/instance_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/text/corpus_builder.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::HasSubstr;

const Vocabulary& letters() {
  static const Vocabulary v = [] {
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    return Vocabulary(tokens, "letters");
  }();
  return v;
}

const PretrainingOptions kOptions{.max_seq_length = 10, .max_predictions_per_seq = 2, .dupe_factor = 3, .seed = 5};

Corpus corpus_in(const Scratch& scratch) {
  const Tokenizer tokenizer(letters());
  CorpusBuilder builder(scratch / "corpus", tokenizer, TextForm::sentences);
  for (char c = 'a'; c < 'z'; ++c) {
    builder.add_line(std::string(1, c) + " " + static_cast<char>(c + 1));
    if (c % 5 == 0) builder.add_line("");
  }
  builder.finish();
  return Corpus(scratch / "corpus");
}

TEST(InstanceFile, GivesBackWhatWasWritten) {
  const Scratch scratch;
  const auto instances = pretraining_instances(corpus_in(scratch), letters(), kOptions);
  ASSERT_GT(instances.size(), 10u);
  write_instances(scratch / "x.h5", instances, kOptions, letters());
  EXPECT_EQ(read_instances(scratch / "x.h5", letters()), instances);
  write_instances(scratch / "none.h5", {}, kOptions, letters());
  EXPECT_TRUE(read_instances(scratch / "none.h5", letters()).empty());
}

TEST(InstanceFile, SeveralFilesHoldTheFinalOrder) {
  const Scratch scratch;
  const auto corpus = corpus_in(scratch);
  const auto expected = pretraining_instances(corpus, letters(), kOptions);
  for (const std::int64_t per_file : {7, 1000}) {
    const auto paths = write_pretraining_files(scratch / "x", corpus, letters(), kOptions, per_file);
    EXPECT_EQ(paths.size(), (expected.size() + static_cast<std::size_t>(per_file) - 1) / static_cast<std::size_t>(per_file));
    EXPECT_THAT(paths[0], HasSubstr("x-00000-of-0000"));
    std::vector<Instance> read;
    for (const auto& path : paths)
      for (auto& x : read_instances(path, letters())) read.push_back(std::move(x));
    EXPECT_EQ(read, expected);
  }
  for (const auto& file : std::filesystem::directory_iterator(scratch.path()))
    EXPECT_EQ(file.path().string().find(".tmp."), std::string::npos);
}

// Any order, any number of threads and any room give the same instances, and what is kept stays below the room.
TEST(InstanceFile, RowsAreReadWhenAskedFor) {
  const Scratch scratch;
  PretrainingOptions options = kOptions;
  options.dupe_factor = 40;
  const auto corpus = corpus_in(scratch);
  const auto expected = pretraining_instances(corpus, letters(), options);
  ASSERT_GT(expected.size(), 500u);
  const auto paths = write_pretraining_files(scratch / "x", corpus, letters(), options, 150);
  ASSERT_GE(paths.size(), 4u);
  std::size_t longest = 0;
  for (const Instance& x : expected) longest = std::max(longest, x.ids.size());
  const auto n = static_cast<std::int64_t>(expected.size());
  for (const std::size_t room : {std::size_t{0}, std::size_t{40000}, std::size_t{1} << 26}) {
    const InstanceFiles files(paths, letters(), room);
    EXPECT_EQ(files.size(), n);
    EXPECT_EQ(files.longest(), static_cast<std::int64_t>(longest));
    EXPECT_EQ(files.cached_bytes(), 0u) << "opening reads none";
    std::atomic<int> wrong = 0;
    {
      std::vector<std::jthread> threads;
      for (std::int64_t t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
          for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t at = (i * 331 + t * 97) % n;  // 331 is a prime: all of them
            if (files.get(at) != expected[static_cast<std::size_t>(at)]) ++wrong;
            if (i % 16 == 0 && files.cached_bytes() > std::max<std::size_t>(room, 20000)) ++wrong;
          }
        });
    }
    EXPECT_EQ(wrong, 0) << room;
    EXPECT_THROW(files.get(n), InternalError);
    EXPECT_THROW(files.get(-1), InternalError);
  }
}

TEST(InstanceFile, SaysWhatIsWrong) {
  const Scratch scratch;
  const auto corpus = corpus_in(scratch);
  const auto instances = pretraining_instances(corpus, letters(), kOptions);
  const auto path = scratch / "x.h5";
  write_instances(path, instances, kOptions, letters());
  EXPECT_EQ(message_of([&] { read_instances(path, Vocabulary({"[UNK]"})); }),
            path + ": the instances were made with another vocabulary: 31 tokens, this one has 1");
  auto bytes = read_file(path);
  bytes[bytes.size() / 2] ^= std::byte{1};
  write_file_durably(path, bytes);
  EXPECT_THROW(read_instances(path, letters()), DataError);

  auto bad = instances;
  bad[3].positions[0] = 9;
  bad[3].ids.resize(9);
  write_instances(path, bad, kOptions, letters());
  EXPECT_EQ(message_of([&] { read_instances(path, letters()); }), path + ": instance 3 has impossible lengths, positions or ids");
  PretrainingOptions small = kOptions;
  small.max_seq_length = 6;
  EXPECT_THROW(write_instances(path, instances, small, letters()), ShapeError);
  small.max_seq_length = -1;
  EXPECT_THROW(write_pretraining_files(path, corpus, letters(), small), ConfigError);
  EXPECT_THROW(write_pretraining_files(path, corpus, letters(), kOptions, 0), ConfigError);
}

}  // namespace
}  // namespace capstan::data
