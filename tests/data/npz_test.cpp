// NPZ: what NumPy packs, round trips, and hostile archives.
#include "data/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/file.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Npz : testing::Test {
  Scratch scratch;
  std::string write(std::span<const NamedTensor> tensors, NpzPacking packing = NpzPacking::stored) const {
    write_npz(scratch / "a.npz", tensors, packing);
    return content(scratch / "a.npz");
  }
  std::string refusal(const std::string& bytes) const {
    const std::string path = scratch.write("bad.npz", bytes);
    return message_of<DataError>([&] {
      const NpzReader reader(path);
      for (const NpzEntry& e : reader.entries()) (void)reader.read(e.name);
    });
  }
};

// The offsets of fields in the headers of a zip file, local (PK 3 4) and central (PK 1 2).
struct Field {
  std::size_t local, central;
};
constexpr Field kFlags{6, 8}, kMethod{8, 10}, kPackedSize{18, 20}, kSize{22, 24};

/// Another value of `width` bytes in every header of the file.
std::string with_field(std::string bytes, Field field, std::uint32_t value, std::size_t width) {
  for (const auto& [signature, offset] : {std::pair{std::string("PK\3\4"), field.local}, {std::string("PK\1\2"), field.central}})
    for (std::size_t at = bytes.find(signature); at != std::string::npos; at = bytes.find(signature, at + 4))
      std::memcpy(bytes.data() + at + offset, &value, width);
  return bytes;
}

TEST_F(Npz, ReadsWhatNumpyPacks) {
  const NpzReader reader(std::string(CAPSTAN_SOURCE_DIR) + "/tests/data/goldens/arrays.npz");
  ASSERT_EQ(reader.entries().size(), 15u);
  EXPECT_EQ(reader.entries()[0].name, "Transformer/encoderblock_0/kernel");
  EXPECT_LT(reader.entries()[0].stored_bytes, reader.entries()[0].header.bytes + 128);
  EXPECT_EQ(reader.tensors()[0].first, "Transformer/encoderblock_0/kernel");
  EXPECT_EQ(reader.tensors()[1], (std::pair<std::string, Spec>("bool", {Shape{2}, DType::u8})));
  std::vector<double> ramp;
  for (int i = 0; i < 24; ++i) ramp.push_back(i / 8.);
  EXPECT_EQ(reader.read("Transformer/encoderblock_0/kernel").to_vector(), ramp);
  EXPECT_EQ(reader.read("fortran").to_vector(), ramp);
  EXPECT_TRUE(reader.entries()[1].header.fortran_order);
  EXPECT_EQ(reader.read("fortran").shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(reader.read("half").to_vector(), std::vector<double>(ramp.begin(), ramp.begin() + 12));
  EXPECT_EQ(reader.read("double").to_vector()[1], .125 / 3);
  EXPECT_THAT(reader.read("bool").to_vector(), ElementsAre(1, 0));
  EXPECT_EQ(reader.read("scalar").item(), 1.5);
  EXPECT_EQ(reader.read("empty").shape(), (Shape{0, 3}));
  for (const auto& [name, value, dtype] : {std::tuple{"i1", -1., DType::i32},
                                           {"i2", -2., DType::i32},
                                           {"i4", -4., DType::i32},
                                           {"i8", -8., DType::i64},
                                           {"u1", 255., DType::u8},
                                           {"u2", 65535., DType::i32},
                                           {"u4", 4294967295., DType::i64},
                                           {"u8", 9223372036854775807., DType::i64}}) {
    EXPECT_EQ(reader.read(name).dtype(), dtype) << name;
    EXPECT_THAT(reader.read(name).to_vector(), ElementsAre(value)) << name;
  }
  EXPECT_THAT(message_of<DataError>([&] { (void)reader.read("kernel"); }), HasSubstr("arrays.npz: has no array \"kernel\""));
}

TEST_F(Npz, RoundTripsStoredAndDeflated) {
  const std::vector<NamedTensor> tensors{{"b/c", Tensor::zeros({64, 64})}, {"a", Tensor::from<std::int64_t>({7, 8}, Shape{2, 1})}};
  std::size_t size = 0;
  for (const NpzPacking packing : {NpzPacking::stored, NpzPacking::deflated}) {
    const std::string bytes = write(tensors, packing);
    EXPECT_EQ(bytes, write(tensors, packing)) << "the same tensors, the same bytes";
    NpzReader reader(scratch / "a.npz");
    ASSERT_EQ(reader.tensors().size(), 2u);
    EXPECT_EQ(reader.tensors()[1], (std::pair<std::string, Spec>("b/c", {Shape{64, 64}, DType::f32})));
    const NpzReader moved = std::move(reader);
    for (const NamedTensor& t : tensors) EXPECT_EQ(moved.read(t.name).to_vector(), t.value.to_vector());
    EXPECT_TRUE(packing == NpzPacking::stored || bytes.size() < size / 10) << bytes.size() << " of " << size;
    size = bytes.size();
  }
  EXPECT_THROW(write({}), DataError);
  EXPECT_THROW(write(std::vector<NamedTensor>{tensors[0], tensors[0]}), DataError);
  EXPECT_THROW(write(std::vector<NamedTensor>{{"", tensors[0].value}}), DataError);
  EXPECT_EQ(NpzReader(scratch / "a.npz").entries().size(), 2u) << "a refused write leaves the old file";
}

TEST_F(Npz, RefusesWhatItsNameOrMethodForbids) {
  const std::vector<NamedTensor> tensors{{"aa", Tensor::zeros({100})}, {"bb", Tensor::zeros({100})}};
  const std::string stored = write(tensors), deflated = write(tensors, NpzPacking::deflated);
  const auto replaced = [](std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
    return text;
  };
  EXPECT_THAT(refusal(replaced(stored, "bb.npy", "aa.npy")), HasSubstr("is no sound zip file: two entries have the same name"));
  EXPECT_THAT(refusal(replaced(stored, "bb.npy", "bb.txt")), HasSubstr("\"bb.txt\": is no array: its name does not end in .npy"));
  EXPECT_THAT(refusal(with_field(stored, kFlags, 1, 2)), HasSubstr("is encrypted"));
  EXPECT_THAT(refusal(with_field(stored, kMethod, 12, 2)), HasSubstr("is packed by method 12"));
  EXPECT_THAT(refusal(replaced(stored, "NUMPY", "NUMPX")), HasSubstr("does not begin as a .npy file does"));
  EXPECT_THAT(refusal(replaced(stored, "'<f4'", "'|O' ")), HasSubstr("holds Python objects"));
  EXPECT_THAT(refusal(replaced(stored, "(100,)", "(101,)")), HasSubstr("of its shape takes 404 bytes, the entry has 400"));
  EXPECT_THAT(refusal(deflated.substr(0, deflated.size() - 10)), HasSubstr("is no sound zip file"));
  EXPECT_EQ(refusal(std::string("PK\5\6") + std::string(18, '\0')), "nothing was thrown") << "np.savez without arrays";
  EXPECT_THAT(refusal("not a zip file"), HasSubstr("is no sound zip file"));
  EXPECT_THROW(NpzReader(scratch / "none.npz"), IoError);
}

// Sizes that promise more than there can be are refused before anything is allocated for them.
TEST_F(Npz, RefusesBombs) {
  const std::string deflated = write(std::vector<NamedTensor>{{"zeros", Tensor::zeros({1000})}}, NpzPacking::deflated);
  EXPECT_THAT(refusal(with_field(deflated, kSize, 0xfffffff0u, 4)), HasSubstr("claims 4294967280 bytes in "));
  EXPECT_THAT(refusal(with_field(deflated, kPackedSize, 0xfffffff0u, 4)), HasSubstr("npz: "));
  EXPECT_THAT(refusal(with_field(deflated, kSize, 4136, 4)), HasSubstr("of its shape takes 4000 bytes, the entry has 4008"));
}

TEST_F(Npz, FindsDamagedNumbersByTheirChecksum) {
  std::string stored = write(std::vector<NamedTensor>{{"x", Tensor::full({10}, 1.)}});
  stored[stored.find("\x80\x3f")] ^= 1;
  const std::string path = scratch.write("damaged.npz", stored);
  const NpzReader reader(path);
  EXPECT_THAT(message_of<DataError>([&] { (void)reader.read("x"); }), HasSubstr("damaged.npz: \"x\": is damaged: CRC error"));
}

// Whatever the bytes are, a file is read or refused.
TEST_F(Npz, SurvivesFiveHundredMutations) {
  const std::vector<NamedTensor> tensors{{"a/b", Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3})}, {"empty", Tensor(Shape{0, 4})}};
  Rng rng(random_key(3, "mutations", {}));
  int refused = 0, read = 0;
  for (const NpzPacking packing : {NpzPacking::stored, NpzPacking::deflated}) {
    const std::string whole = write(tensors, packing);
    for (int i = 0; i < 250; ++i) {
      std::string bytes = whole;
      const auto place = [&] { return static_cast<std::size_t>(rng.below(bytes.size())); };
      for (std::uint64_t n = 1 + rng.below(2); n > 0; --n) {
        const std::uint64_t kind = rng.below(4);
        if (kind == 0) bytes[place()] = static_cast<char>(rng.below(256));
        if (kind == 1) bytes[place()] ^= static_cast<char>(1 << rng.below(8));
        if (kind == 2) bytes.insert(place(), 1 + rng.below(8), static_cast<char>(rng.below(256)));
        if (kind == 3) bytes.erase(place(), 1 + rng.below(8));
      }
      (refusal(bytes) == "nothing was thrown" ? read : refused)++;
    }
  }
  EXPECT_EQ(refused + read, 500);
  EXPECT_GT(refused, 200);
  EXPECT_GT(read, 10) << "dates, attributes";
}

}  // namespace
}  // namespace capstan::data
