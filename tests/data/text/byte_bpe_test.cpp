#include "data/text/byte_bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "data/json.h"
#include "data/text/python_random.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kFolder = CAPSTAN_SOURCE_DIR "/tests/goldens/byte_bpe/";

std::vector<std::int32_t> ids_of(const Json& list) {
  std::vector<std::int32_t> out;
  for (const Json& id : list.items()) out.push_back(static_cast<std::int32_t>(id.integer()));
  return out;
}

/// `text` with `from` replaced, which must be there.
std::string with(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("there is no " + std::string(from));
  return text.replace(at, from.size(), to);
}

TEST(ByteBpe, EqualsHuggingFaceTokenizers) {
  const ByteBpe whole = ByteBpe::read(kFolder + "tokenizer.json"), plain = ByteBpe::read(kFolder + "vocab.json"), again(whole.bytes());
  const ByteBpe blank(with(whole.bytes(), R"("add_prefix_space":false)", R"("add_prefix_space":true)"));
  const ByteBpe digits = ByteBpe::read(kFolder + "digits.json");
  EXPECT_EQ(ByteBpe(digits.bytes()).bytes(), digits.bytes());
  EXPECT_EQ(whole.size(), 401);
  EXPECT_EQ(plain.size(), 400);
  EXPECT_EQ(whole.end_of_text(), 0);
  EXPECT_EQ(plain.end_of_text(), 0);
  EXPECT_EQ(again.bytes(), whole.bytes());
  EXPECT_EQ(whole.find("Ġthe"), plain.find("Ġthe"));
  EXPECT_EQ(whole.piece(whole.find("Ġthe")), "Ġthe");
  EXPECT_EQ(whole.bytes_of(whole.find("Ġthe")), " the");
  std::size_t cases = 0;
  for (const Json& c : read_json(kFolder + "cases.json").items()) {
    const std::string_view text = c["text"].text();
    SCOPED_TRACE(text);
    ++cases;
    const auto ids = ids_of(c["tokens"]);
    EXPECT_EQ(whole.encode(text, ByteBpe::AddedTokens::as_tokens), ids);
    EXPECT_EQ(again.encode(text, ByteBpe::AddedTokens::as_tokens), ids);
    EXPECT_EQ(whole.encode(text), ids_of(c["plain"]));
    EXPECT_EQ(plain.encode(text), ids_of(c["plain"]));
    EXPECT_EQ(blank.encode(text, ByteBpe::AddedTokens::as_tokens), ids_of(c["blank"]));
    EXPECT_EQ(digits.encode(text, ByteBpe::AddedTokens::as_tokens), ids_of(c["digits"]));
    EXPECT_EQ(whole.decode(ids), text);
    EXPECT_EQ(whole.decode(whole.encode(text)), text);
  }
  EXPECT_EQ(cases, 102u);
}

TEST(ByteBpe, AnyBytesComeBack) {
  const ByteBpe bpe = ByteBpe::read(kFolder + "tokenizer.json");
  PythonRandom random(5);
  for (int n = 0; n < 2000; ++n) {
    std::string bytes(random.below(40), ' ');
    for (char& b : bytes) b = static_cast<char>(random.below(256));
    ASSERT_EQ(bpe.decode(bpe.encode(bytes)), bytes);
  }
  // A byte that is no UTF-8 ends a word where U+FFFD would.
  EXPECT_EQ(bpe.encode("the\xFF 's"), [&] {
    auto ids = bpe.encode("the");
    for (const std::string_view rest : {"\xFF", " '", "s"})
      for (const std::int32_t id : bpe.encode(rest)) ids.push_back(id);
    return ids;
  }());
}

TEST(ByteBpe, WordsThatArePiecesNeedNoMerges) {
  const std::string more = with(ByteBpe::read(kFolder + "tokenizer.json").bytes(), R"("vocab":{)", R"("vocab":{"Ġqzq":401,)");
  EXPECT_EQ(ByteBpe(more).encode(" qzq").size(), 4u);
  EXPECT_THAT(ByteBpe(with(more, R"("ignore_merges":false)", R"("ignore_merges":true)")).encode(" qzq"), ElementsAre(401));
}

TEST(ByteBpe, SingleBytesAreTheirOwnIds) {
  const ByteBpe bpe(ByteBpe::of_single_bytes().bytes());
  EXPECT_EQ(bpe.size(), 256);
  EXPECT_EQ(bpe.end_of_text(), -1);
  EXPECT_THAT(bpe.encode("a \n\xFF"), ElementsAre(97, 32, 10, 255));
}

TEST(ByteBpe, ALongWordTakesNoLongerThanManyShortOnes) {
  const ByteBpe bpe = ByteBpe::read(kFolder + "tokenizer.json");
  std::string text;
  while (text.size() < 300'000) text += "thequickbrownfox";
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<std::int32_t> ids = bpe.encode(text);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));  // by the square: minutes
  EXPECT_EQ(bpe.decode(ids), text);
  EXPECT_LT(ids.size(), text.size() / 2);
}

TEST(ByteBpe, RefusesWhatItDoesNotKnowByName) {
  const std::string json = ByteBpe::read(kFolder + "tokenizer.json").bytes();
  const auto message = [&](std::string_view from, std::string_view to) {
    return message_of<DataError>([&] { ByteBpe(with(json, from, to), "t.json"); });
  };
  EXPECT_THAT(message(R"("normalizer":null)", R"("normalizer":{"type":"NFC"})"),
              HasSubstr("t.json: /normalizer/type: expected no normalizer"));
  EXPECT_THAT(
      message(R"("pre_tokenizer":{"type":"ByteLevel")", R"("pre_tokenizer":{"type":"Digits")"),
      HasSubstr(
          R"(/pre_tokenizer/type: expected ByteLevel, after Digits one by one or alone: no other pre-tokenizer is known here, found text "Digits")"));
  EXPECT_THAT(message(R"("post_processor":{"type":"ByteLevel")", R"("post_processor":{"type":"TemplateProcessing")"),
              HasSubstr("TemplateProcessing"));
  EXPECT_THAT(message(R"("decoder":{"type":"ByteLevel")", R"("decoder":{"type":"Metaspace")"), HasSubstr("Metaspace"));
  EXPECT_THAT(message(R"("model":{"type":"BPE")", R"("model":{"type":"Unigram")"), HasSubstr("Unigram"));
  EXPECT_THAT(message(R"("end_of_word_suffix":null)", R"("end_of_word_suffix":"</w>")"), HasSubstr("</w>"));
  EXPECT_THAT(message(R"("byte_fallback":false)", R"("byte_fallback":true)"), HasSubstr("/model/byte_fallback: expected false"));
  EXPECT_THAT(message(R"("lstrip":false)", R"("lstrip":true)"), HasSubstr("/added_tokens/0/lstrip: expected false"));
  EXPECT_THAT(message(R"("!":1,)", ""), HasSubstr("no piece for the byte 33"));
  EXPECT_THAT(message(R"("merges":[)", R"("merges":["a ä b",)"),
              HasSubstr("/model/merges/0: expected two pieces with a blank between them"));
  EXPECT_THAT(message(R"("merges":[)", R"("merges":["qq z",)"), HasSubstr(R"(merges "qq" and "z", and "qq" is no piece)"));
  EXPECT_THAT(message(R"("!":1,)", R"("!":1,"again":1,)"), HasSubstr(R"(the id 1 is that of "!" too)"));
  EXPECT_THAT(message(R"("!":1,)", R"("!":1,"far":99999999,)"), HasSubstr("the id 99999999 is beyond"));
  const ByteBpe bpe(json);
  EXPECT_THAT(message_of<DataError>([&] { bpe.decode(std::vector<std::int32_t>{401}); }), HasSubstr("there is no id 401 of 401"));
  const Scratch scratch;
  scratch.write("merges.txt", "#version: 0.2\nh e\nhe he x\n");
  EXPECT_THAT(message_of<DataError>([&] { ByteBpe::read(kFolder + "vocab.json", scratch / "merges.txt"); }),
              HasSubstr("merges.txt:3: expected"));
}

}  // namespace
}  // namespace capstan::data
