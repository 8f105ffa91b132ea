// safetensors: the bytes of the reference writer, every rule of the format, and hostile files.
#include "data/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/file.h"
#include "data/number_type.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file of this header and this many bytes behind it.
std::string file_of(std::string_view header, std::string_view tensors) {
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out.append(header).append(tensors);
}

struct Safetensors : testing::Test {
  Scratch scratch;
  std::string refusal(std::string_view header, std::string_view tensors) {
    const std::string path = scratch.write("bad.safetensors", file_of(header, tensors));
    return message_of<DataError>([&] { SafetensorsReader reader(path); });
  }
};

TEST_F(Safetensors, ReadsTheExampleOfTheFormat) {
  const std::string header = R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";
  ASSERT_EQ(header.size(), 60u);
  const SafetensorsReader reader(scratch.write("a.safetensors", file_of(header, std::string(16, '\0'))));
  ASSERT_EQ(reader.entries().size(), 1u);
  const Tensor test = reader.read("test");
  EXPECT_EQ(test.spec(), (Spec{Shape{2, 2}, DType::i32}));
  EXPECT_THAT(test.to_vector(), ElementsAre(0, 0, 0, 0));
}

TEST_F(Safetensors, WritesTheBytesOfTheReference) {
  const std::string path = scratch / "out.safetensors";
  write_safetensors(
      path, std::vector<NamedTensor>{{"a", Tensor::from({1.5f, -2.f}, {2})}, {"b", Tensor::from<std::int64_t>({1, 2, 3}, Shape{1, 3})}},
      {});
  const std::string header =
      R"({"b":{"dtype":"I64","shape":[1,3],"data_offsets":[0,24]},"a":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})";
  const std::string tail("\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\xc0\x3f\0\0\0\xc0", 32);
  EXPECT_EQ(content(path), file_of(header, tail));
  EXPECT_EQ(content(path).size(), 152u);

  // With metadata, and a header that is filled up to a multiple of 8.
  write_safetensors(path, std::vector<NamedTensor>{{"w", Tensor::from({1.f}, {1})}});
  const std::string padded = R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(content(path), file_of(padded + std::string((8 - padded.size() % 8) % 8, ' '), std::string_view("\0\0\x80\x3f", 4)));
  EXPECT_EQ(SafetensorsReader(path).metadata().at("format"), "pt");
}

TEST_F(Safetensors, ReadsEveryType) {
  const std::string header =
      R"({"bool":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"u8":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},)"
      R"("i8":{"dtype":"I8","shape":[2],"data_offsets":[4,6]},"i16":{"dtype":"I16","shape":[1],"data_offsets":[6,8]},)"
      R"("u16":{"dtype":"U16","shape":[1],"data_offsets":[8,10]},"f16":{"dtype":"F16","shape":[3],"data_offsets":[10,16]},)"
      R"("bf16":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},"u32":{"dtype":"U32","shape":[1],"data_offsets":[18,22]},)"
      R"("f64":{"dtype":"F64","shape":[1],"data_offsets":[22,30]},"u64":{"dtype":"U64","shape":[1],"data_offsets":[30,38]},)"
      R"("f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[38,39]},"f4":{"dtype":"F4","shape":[2],"data_offsets":[39,40]}})";
  std::string bytes("\x01\x00\x07\xff\x80\x7f\x00\x80\xff\xff\x00\x3c\x01\x00\x00\xfc\xc0\x3f\xff\xff\xff\xff", 22);
  const double third = 1. / 3;
  bytes.append(reinterpret_cast<const char*>(&third), 8).append("\x05\0\0\0\0\0\0\0", 8).append("\x38\x11", 2);
  const SafetensorsReader reader(scratch.write("types.safetensors", file_of(header, bytes)));
  EXPECT_THAT(reader.read("bool").to_vector(), ElementsAre(1, 0));
  EXPECT_THAT(reader.read("u8").to_vector(), ElementsAre(7, 255));
  EXPECT_THAT(reader.read("i8").to_vector(), ElementsAre(-128, 127));
  EXPECT_THAT(reader.read("i16").to_vector(), ElementsAre(-32768));
  EXPECT_THAT(reader.read("u16").to_vector(), ElementsAre(65535));
  EXPECT_THAT(reader.read("f16").to_vector(), ElementsAre(1, 0x1p-24, -std::numeric_limits<double>::infinity()));
  EXPECT_THAT(reader.read("bf16").to_vector(), ElementsAre(1.5));
  EXPECT_THAT(reader.read("u32").to_vector(), ElementsAre(4294967295.));
  EXPECT_THAT(reader.read("f64").to_vector(), ElementsAre(third));
  EXPECT_THAT(reader.read("u64").to_vector(), ElementsAre(5));
  EXPECT_THAT(message_of<DataError>([&] { (void)reader.read("f8"); }), HasSubstr("f8: elements of the type F8_E4M3 are not read"));
  EXPECT_THAT(message_of<DataError>([&] { (void)reader.read("none"); }), HasSubstr("has no tensor \"none\""));
}

TEST_F(Safetensors, LoadsWhatIsOdd) {
  EXPECT_TRUE(SafetensorsReader(scratch.write("empty.safetensors", file_of("{}", ""))).entries().empty());
  const SafetensorsReader reader(scratch.write(
      "odd.safetensors",
      file_of(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4],"note":7},"e":{"dtype":"F64","shape":[0,3],"data_offsets":[4,4]}}   )",
              std::string_view("\0\0\x80\x3f", 4))));
  EXPECT_EQ(reader.read("s").spec(), (Spec{Shape{}, DType::f32}));
  EXPECT_EQ(reader.read("s").item(), 1);
  EXPECT_EQ(reader.read("e").shape(), (Shape{0, 3}));
}

TEST_F(Safetensors, RefusesEveryBrokenRule) {
  const std::string ok = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", four(4, '\0');
  const auto with = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return join_text(R"({"a":{"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, "}}");
  };
  EXPECT_THAT(refusal(ok, four + "x"), HasSubstr("the tensors end at byte 4 of 5 behind the header"));
  EXPECT_THAT(refusal(ok, "123"), HasSubstr("data_offsets [0, 4] do not lie in the 3 bytes behind the header"));
  EXPECT_THAT(refusal(with("F32", "[1]", "[4,8]"), four + four), HasSubstr("begins at byte 4, which leaves a hole behind 0"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      four + four),
              HasSubstr("\"b\": begins at byte 4, inside the tensors that end at 8"));
  EXPECT_THAT(refusal(with("F32", "[4294967296,4294967296,2]", "[0,4]"), four), HasSubstr("overflows"));
  EXPECT_THAT(refusal(with("F32", "[2]", "[0,4]"), four), HasSubstr("F32 of shape [2] takes 8 bytes, data_offsets have 4"));
  EXPECT_THAT(refusal(with("F4", "[3]", "[0,2]"), "12"), HasSubstr("12 bits of F4 are no whole bytes"));
  EXPECT_THAT(refusal(with("F31", "[1]", "[0,4]"), four), HasSubstr("unknown dtype \"F31\""));
  EXPECT_THAT(refusal(with("F32", "[-1]", "[0,4]"), four), HasSubstr("/a/shape/0: expected an integer that is not negative"));
  EXPECT_THAT(refusal(with("F32", "[1.5]", "[0,4]"), four), HasSubstr("expected an integer that is not negative, found a number"));
  EXPECT_THAT(refusal(with("F32", "1", "[0,4]"), four), HasSubstr("/a/shape: expected a list"));
  EXPECT_THAT(refusal(with("F32", "[1]", "[0,4,8]"), four), HasSubstr("data_offsets must be two numbers, has 3"));
  EXPECT_THAT(refusal(with("F32", "[1]", "[4,0]"), four), HasSubstr("do not lie in"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", four), HasSubstr("has no \"data_offsets\""));
  EXPECT_THAT(refusal(R"({"__metadata__":{"n":1}})", ""), HasSubstr("/__metadata__/n: expected text"));
  EXPECT_THAT(refusal("{\"a\xff\":{}}", ""), HasSubstr("is no valid JSON"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})", ""),
              HasSubstr("the name \"a\" stands twice"));
  EXPECT_THAT(refusal(" {}", ""), HasSubstr("must begin with '{'"));
  EXPECT_THAT(refusal("[]", ""), HasSubstr("must begin with '{'"));
  EXPECT_THAT(refusal("{" + std::string(200000, '['), ""), HasSubstr("is no valid JSON"));

  const auto cut = [&](const std::string& bytes) {
    const std::string path = scratch.write("cut.safetensors", bytes);
    return message_of<DataError>([&] { SafetensorsReader reader(path); });
  };
  EXPECT_THAT(cut("1234567"), HasSubstr("the file has 7 bytes"));
  EXPECT_THAT(cut(std::string("\xff\0\0\0\0\0\0\0{}", 10)), HasSubstr("the header has 255 bytes, the file only 2"));
  EXPECT_THAT(cut(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THROW(SafetensorsReader(scratch / "none.safetensors"), IoError);

  const std::string trailing = scratch.write("trailing.safetensors", file_of(ok, four + "junk"));
  EXPECT_EQ(SafetensorsReader(trailing, {.allow_trailing_bytes = true}).read("a").item(), 0);
}

// Whatever the bytes are, a file is read or refused.
TEST_F(Safetensors, SurvivesTwoThousandMutations) {
  const std::string path = scratch / "whole.safetensors";
  write_safetensors(path, std::vector<NamedTensor>{{"encoder.0.weight", Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3})},
                                                   {"ids", Tensor::from<std::int64_t>({7, 8}, Shape{2})},
                                                   {"empty", Tensor(Shape{0, 4})}});
  const std::string whole = content(path);
  Rng rng(random_key(1, "mutations", {}));
  std::int64_t refused = 0, read = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = whole;
    const auto place = [&] { return static_cast<std::size_t>(rng.below(bytes.size())); };
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
      const std::uint64_t kind = rng.below(4);
      if (kind == 0) bytes[place()] = static_cast<char>(rng.below(256));
      if (kind == 1) bytes.erase(place(), 1 + rng.below(8));
      if (kind == 2) bytes.insert(place(), 1 + rng.below(8), static_cast<char>(rng.below(256)));
      if (kind == 3) bytes[place()] = "0123456789[]{},\""[rng.below(16)];
      if (bytes.empty()) bytes = "x";
    }
    const std::string mutated = scratch.write("mutated.safetensors", bytes);
    try {
      const SafetensorsReader reader(mutated);
      for (const SafetensorsEntry& e : reader.entries()) (void)reader.read(e.name);
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused + read, 2000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(read, 50) << "a changed number of a tensor is none of the format's business";
}

TEST_F(Safetensors, ACheckedFileIsRefusedAfterAnyChange) {
  const std::string path = scratch / "checked.safetensors";
  const std::vector<NamedTensor> tensors{{"a", Tensor::from({1.f, 2.f, 3.f, 4.f}, {2, 2})}, {"b", Tensor::from({5.f}, {1})}};
  write_safetensors(path, tensors, {{"format", "pt"}, {std::string(kSafetensorsChecksum), ""}});
  EXPECT_EQ(SafetensorsReader(path).read("a").to_vector(), (std::vector<double>{1, 2, 3, 4}));
  const std::string whole = content(path);
  const std::size_t key = whole.find(kSafetensorsChecksum);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (i >= key && i < key + kSafetensorsChecksum.size()) continue;  // another key: nothing is compared, and the numbers are as they were
    for (const int bit : {0, 6}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      EXPECT_THROW(SafetensorsReader(scratch.write("changed.safetensors", bytes)), DataError) << "byte " << i << ", bit " << bit;
    }
  }
  std::string other = whole;
  other.back() = '\1';
  EXPECT_THAT(message_of<DataError>([&] { SafetensorsReader(scratch.write("other.safetensors", other)); }),
              HasSubstr("it is damaged, or another program has changed it and left capstan.crc32c in its metadata"));
}

TEST_F(Safetensors, RoundTripsInEveryWidth) {
  const std::vector<float> numbers{1.f, -0.f, 0x1p-24f, 65504.f, 1e-8f, 3.14159274f};
  const std::string path = scratch / "r.safetensors";
  const std::vector<NamedTensor> tensors{{"x", Tensor::from(numbers, {6})}};
  write_safetensors(path, tensors);
  EXPECT_EQ(SafetensorsReader(path).read("x").to_vector(), tensors[0].value.to_vector());
  write_safetensors(path, tensors, {}, SafetensorsFloat::bf16);
  EXPECT_EQ(SafetensorsReader(path).entries()[0].type, "BF16");
  EXPECT_EQ(SafetensorsReader(path).read("x").to_vector()[5], static_cast<double>(static_cast<float>(bfloat16(numbers[5]))));
  write_safetensors(path, tensors, {}, SafetensorsFloat::f16);
  EXPECT_THAT(SafetensorsReader(path).read("x").to_vector(), ElementsAre(1, -0., 0x1p-24, 65504, 0, 3.140625));
  EXPECT_THROW(write_safetensors(path, std::vector<NamedTensor>{tensors[0], tensors[0]}), DataError);
  EXPECT_THROW(write_safetensors(path, std::vector<NamedTensor>{{"__metadata__", tensors[0].value}}), DataError);
  EXPECT_EQ(SafetensorsReader(path).entries().size(), 1u) << "a refused write leaves the old file";
}

TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = from_float16(half);
    EXPECT_TRUE(std::isnan(value) || to_float16(value) == half) << bits;
  }
  EXPECT_EQ(to_float16(65519.996f), 0x7bff);
  EXPECT_EQ(to_float16(65520.f), 0x7c00);
  EXPECT_EQ(to_float16(1.f + 0x1p-11f), 0x3c00) << "a tie goes to the even one";
  EXPECT_EQ(to_float16(1.f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(to_float16(0x1p-25f), 0) << "half of the smallest: even is zero";
  EXPECT_EQ(to_float16(0x1.8p-25f), 1);
  EXPECT_EQ(to_float16(0x1.ffep-15f), 0x0400) << "rounds up to the smallest normal number";
  EXPECT_TRUE(std::isnan(from_float16(to_float16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_F(Safetensors, ReadsASetByItsIndex) {
  write_safetensors(scratch / "model-00001-of-00002.safetensors", std::vector<NamedTensor>{{"a", Tensor::from({1.f}, {1})}});
  write_safetensors(scratch / "model-00002-of-00002.safetensors", std::vector<NamedTensor>{{"b", Tensor::from({2.f, 3.f}, {2})}});
  const auto index = [&](const std::string& map) {
    return scratch.write("model.safetensors.index.json", R"({"metadata":{"total_size":12},"weight_map":{)" + map + "}}");
  };
  const std::string a = R"("a":"model-00001-of-00002.safetensors")", b = R"("b":"model-00002-of-00002.safetensors")";
  const SafetensorsSet set(index(b + "," + a));
  ASSERT_EQ(set.tensors().size(), 2u);
  EXPECT_EQ(set.tensors()[1].second, (Spec{Shape{2}, DType::f32}));
  EXPECT_THAT(set.read("b").to_vector(), ElementsAre(2, 3));
  const auto refused = [&](const std::string& map) {
    const std::string path = index(map);
    return message_of<Error>([&] { SafetensorsSet bad(path); });
  };
  EXPECT_THAT(refused(a + "," + R"("c":"model-00002-of-00002.safetensors")"), HasSubstr("\"c\" should be in "));
  EXPECT_THAT(refused(a + "," + R"("b":"model-00003-of-00003.safetensors")"), HasSubstr("model-00003-of-00003.safetensors"));
  EXPECT_THAT(refused(a + "," + R"("b":"../model-00002-of-00002.safetensors")"), HasSubstr("must stand beside it"));
  EXPECT_THAT(refused(R"("b":"model-00001-of-00002.safetensors")"), HasSubstr("\"b\" should be in "));
  write_safetensors(scratch / "model-00001-of-00002.safetensors",
                    std::vector<NamedTensor>{{"a", Tensor::from({1.f}, {1})}, {"z", Tensor::from({1.f}, {1})}});
  EXPECT_THAT(refused(a + "," + b), HasSubstr("does not name \"z\""));
}

}  // namespace
}  // namespace capstan::data
