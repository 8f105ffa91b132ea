#include "data/text/instance_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/text/corpus_builder.h"
#include "tests/data/scratch.h"

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

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing thrown";
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
