// JSON of others: values by name, and messages that name file and place.
#include "data/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::HasSubstr;

TEST(Json, ReadsEveryKindOfValue) {
  const Json root = parse_json(
      R"({"heads": 12, "eps": 1e-5, "name": "b\u00e9rt", "tied": true, "none": null, "sizes": [1, 2], "big": 18446744073709551615})",
      "config.json");
  EXPECT_EQ(root["heads"].integer(), 12);
  EXPECT_EQ(root["heads"].number(), 12);
  EXPECT_EQ(root["eps"].number(), 1e-5);
  EXPECT_EQ(root["name"].text(), "b\u00e9rt");
  EXPECT_TRUE(root["tied"].boolean());
  EXPECT_FALSE(root.has("none")) << "null is nothing";
  EXPECT_FALSE(root.has("other"));
  EXPECT_EQ(root["sizes"].items().at(1).integer(), 2);
  EXPECT_EQ(root["big"].natural(), 18446744073709551615u);
  EXPECT_EQ(root.members().at(2).first, "name");
  EXPECT_EQ(root.size(), 7u);
}

TEST(Json, KeepsItsDocumentAlive) {
  const Json inner = parse_json(R"({"a": {"b": ["text"]}})", "x")["a"];
  EXPECT_EQ(inner["b"].items()[0].text(), "text");
}

TEST(Json, NamesFileAndPlace) {
  const Json root = parse_json(R"({"vision": {"heads": "many", "sizes": [1, 1.5]}, "big": 18446744073709551615})", "config.json");
  EXPECT_EQ(message_of<DataError>([&] { root["vision"]["heads"].integer(); }),
            "config.json: /vision/heads: expected an integer of 64 bits, found text \"many\"");
  EXPECT_EQ(message_of<DataError>([&] { root["vision"]["sizes"].items()[1].integer(); }),
            "config.json: /vision/sizes/1: expected an integer of 64 bits, found a number");
  EXPECT_EQ(message_of<DataError>([&] { root["audio"]; }), "config.json: has no \"audio\"");
  EXPECT_EQ(message_of<DataError>([&] { root["vision"]["width"]; }), "config.json: /vision: has no \"width\"");
  EXPECT_THAT(message_of<DataError>([&] { root["big"].integer(); }), HasSubstr("/big: expected an integer of 64 bits"));
  EXPECT_THAT(message_of<DataError>([&] { root["vision"].items(); }), HasSubstr("expected a list, found an object"));
  EXPECT_THAT(message_of<DataError>([&] { root["vision"]["sizes"]["x"]; }), HasSubstr("expected an object, found a list"));
}

TEST(Json, RefusesWhatIsNone) {
  for (const std::string text : {"", "{", "{\"a\":1,}", "{'a':1}", "[1 2]", "{\"a\":1} {}", "nul", "{\"a\":\"\xff\"}"})
    EXPECT_THAT(message_of<DataError>([&] { parse_json(text, "file"); }), HasSubstr("file: is no valid JSON: ")) << text;
  EXPECT_THAT(message_of<DataError>([&] { parse_json(std::string(100000, '['), "deep"); }), HasSubstr("deep: is no valid JSON"));
  EXPECT_EQ(message_of<DataError>([&] { parse_json(R"({"a": [{"b": 1, "c": 2, "b": 3}]})", "file"); }),
            "file: /a/0: the name \"b\" stands twice in one object");
}

TEST(Json, RefusesAnEmptyFile) {
  const Scratch scratch;
  const std::string path = scratch.write("empty.json", "");
  EXPECT_THAT(message_of([&] { read_json(path); }), HasSubstr("empty.json: is no valid JSON"));
}

TEST(Json, SaysWhereANumberIsNone) {
  const std::string text = R"({"a": {"x": [1, [2, NaN]]}, "b\"[": -Infinity, "NaN": "NaN, [", "small": 1e-400, "large": 1e400})";
  EXPECT_EQ(message_of<DataError>([&] { parse_json(text, "file"); }), "file: /a/x/1/1: expected a finite number, found NaN");
  EXPECT_EQ(message_of<DataError>([&] { parse_json(R"([{"a": 1}, {"b": 2, "c": 1e400}])", "file"); }),
            "file: /1/c: expected a finite number, found 1e400");
  const Json root = parse_json(text, "file", NotFinite::null);
  EXPECT_TRUE(std::isnan(root["a"]["x"].items()[1].numbers()[1]));
  EXPECT_FALSE(root.has("b\"["));
  EXPECT_FALSE(root.has("large"));
  EXPECT_EQ(root["NaN"].text(), "NaN, [");
  EXPECT_EQ(root["small"].number(), 0);
  EXPECT_THAT(message_of<DataError>([] { parse_json("[NaN, nan]", "file", NotFinite::null); }), HasSubstr("file: is no valid JSON"));
  EXPECT_EQ(message_of<DataError>([&] { parse_json("[1, \"a\"]", "file").numbers(); }), "file: /1: expected a number, found text \"a\"");
}

TEST(Json, ReadsFilesWithAByteOrderMark) {
  const Scratch scratch;
  EXPECT_EQ(read_json(scratch.write("a.json", "\xEF\xBB\xBF{\"a\": 1}"))["a"].integer(), 1);
  EXPECT_THROW(read_json(scratch / "none.json"), IoError);
}

TEST(Json, WritesText) {
  EXPECT_EQ(json_string("a\"b\\c\n\x01\u00e9"), "\"a\\\"b\\\\c\\n\\u0001\u00e9\"");
  EXPECT_EQ(json_string("\xff"), "\"\uFFFD\"");
}

}  // namespace
}  // namespace capstan::data
