// NPY: the bytes of np.save, every rule of the header, and hostile files.
#include "data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/core/error.h"
#include "autograd/core/rng.h"
#include "data/file.h"
#include "tests/data/scratch.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A file of this dict, whose length version 1 gives in two bytes, and these numbers.
std::string npy_of(std::string_view dict, std::string_view numbers, std::string_view version = std::string_view("\1\0", 2)) {
  std::string out("\x93NUMPY");
  out += version;
  out += static_cast<char>(dict.size() & 255);
  out += static_cast<char>(dict.size() >> 8);
  if (version[0] > 1) out += std::string(2, '\0');
  return out.append(dict).append(numbers);
}

struct Npy : testing::Test {
  Scratch scratch;
  std::string refusal(const std::string& bytes) {
    const std::string path = scratch.write("bad.npy", bytes);
    return message_of<DataError>([&] { read_npy(path); });
  }
};

// The expected bytes are those of NumPy 2.4.
TEST_F(Npy, WritesTheBytesOfNumpy) {
  const std::string path = scratch / "out.npy";
  write_npy(path, Tensor::from({1.5f, -2.f}, {2}));
  const std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_EQ(content(path), npy_of(dict + std::string(117 - dict.size(), ' ') + "\n", std::string_view("\0\0\xc0\x3f\0\0\0\xc0", 8)));
  EXPECT_EQ(content(path).size(), 128u + 8);
  write_npy(path, Tensor::scalar(1, DType::u8));
  const std::string scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': (), }";
  EXPECT_EQ(content(path), npy_of(scalar + std::string(117 - scalar.size(), ' ') + "\n", "\1"));
  write_npy(path, Tensor::zeros({123, 4, 5, 6, 7, 0}, DType::i64));
  EXPECT_THAT(content(path), HasSubstr("'<i8', 'fortran_order': False, 'shape': (123, 4, 5, 6, 7, 0), }     "));
}

TEST_F(Npy, RoundTrips) {
  const std::string path = scratch / "r.npy";
  const Tensor t = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  for (const Tensor& value : {t, t.view(t.layout().transpose(0, 1)), Tensor::from<std::int64_t>({-7}, Shape{}), Tensor(Shape{0, 4}),
                              Tensor::from({1., 1e300}, {2, 1})}) {
    write_npy(path, value);
    const Tensor read = read_npy(path);
    EXPECT_EQ(read.spec(), value.spec());
    EXPECT_EQ(read.to_vector(), value.to_vector());
  }
  write_npy(path, Tensor::full({2}, 1.5, DType::bf16));
  EXPECT_EQ(read_npy(path).spec(), (Spec{Shape{2}, DType::f32})) << "NumPy knows no bfloat16";
}

TEST_F(Npy, RowsComeOneByOne) {
  const std::string path = scratch / "rows.npy", whole = scratch / "whole.npy";
  {
    NpyRows rows(path, 3);
    rows.append(std::vector<float>{1, 2, 3});
  }
  EXPECT_THROW(read_npy(path), IoError) << "nothing is there without commit";
  NpyRows rows(path, 3);
  for (float i = 0; i < 12; ++i) rows.append(std::vector<float>{i, i + .25f, -i});
  EXPECT_THROW(rows.append(std::vector<float>{1}), InternalError);
  rows.commit();
  const Tensor read = read_npy(path);
  EXPECT_EQ(read.shape(), (Shape{12, 3}));
  EXPECT_EQ(read.to_vector()[34], 11.25);
  write_npy(whole, read);
  EXPECT_EQ(content(path), content(whole));
}

TEST_F(Npy, ReadsEveryVersionAndTheFormsOfHeaders) {
  const std::string_view one("\0\0\x80\x3f", 4);
  for (const std::string_view dict :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }   \n", R"({"shape":(1,),"fortran_order":False,"descr":"<f4"})",
        "{'descr':'<f4','fortran_order':True,'shape':(1L,)}"})
    for (const char version : {'\1', '\2', '\3'})
      EXPECT_THAT(read_npy(scratch.write("v.npy", npy_of(dict, one, std::string{version, '\0'}))).to_vector(), ElementsAre(1)) << dict;
  const Tensor fortran = read_npy(scratch.write("f.npy", npy_of("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", "abcdef")));
  EXPECT_THAT(fortran.to_vector(), ElementsAre('a', 'c', 'e', 'b', 'd', 'f'));
  const NpyHeader header = read_npy_header(scratch / "f.npy");
  EXPECT_TRUE(header.fortran_order);
  EXPECT_THAT(header.shape, ElementsAre(2, 3));
}

TEST_F(Npy, RefusesEveryBrokenRule) {
  const auto with = [](std::string_view descr, std::string_view shape) {
    return join_text("{'descr': ", descr, ", 'fortran_order': False, 'shape': ", shape, "}");
  };
  const std::string four(4, '\0'), ok = with("'<f4'", "(1,)");
  EXPECT_THAT(refusal(npy_of(ok, "123")), HasSubstr("<f4 of shape (1,) takes 4 bytes, the file has 3 behind its header"));
  EXPECT_THAT(refusal(npy_of(ok, four + "x")), HasSubstr("takes 4 bytes, the file has 5"));
  EXPECT_THAT(refusal(npy_of(with("'|O'", "(1,)"), four)), HasSubstr("\"|O\" is not read: it holds Python objects"));
  EXPECT_THAT(refusal(npy_of(with("'>f4'", "(1,)"), four)), HasSubstr("big-endian"));
  EXPECT_THAT(refusal(npy_of(with("'<c8'", "(1,)"), four)), HasSubstr("\"<c8\" is not read: expected a boolean"));
  EXPECT_THAT(refusal(npy_of(with("'<U3'", "(1,)"), four)), HasSubstr("\"<U3\" is not read"));
  EXPECT_THAT(refusal(npy_of(with("[('a', '<f4')]", "(1,)"), four)), HasSubstr("is an array of records"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(4294967296, 4294967296)"), four)),
              HasSubstr("the size of shape (4294967296, 4294967296) overflows"));
  EXPECT_THAT(refusal(npy_of(with("'<f8'", "(2305843009213693952,)"), four)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(99999999999999999999,)"), four)), HasSubstr("expected a size of the shape"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(-1,)"), four)), HasSubstr("expected a size of the shape"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(1)"), four)), HasSubstr("needs a comma"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(1 1)"), four)), HasSubstr("a comma"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(1, 1 1)"), four)), HasSubstr("need commas between them"));
  EXPECT_THAT(refusal(npy_of(with("'<f4'", "(1,1,1,1,1,1,1,1,1)"), four)), HasSubstr("has 9 axes, a tensor has at most 8"));
  EXPECT_THAT(refusal(npy_of("{'descr': '<f4', 'shape': (1,)}", four)), HasSubstr("needs the keys descr, fortran_order and shape"));
  EXPECT_THAT(refusal(npy_of("{'descr': '<f4', 'descr': '<f4'}", four)), HasSubstr("the key \"descr\" stands twice"));
  EXPECT_THAT(refusal(npy_of("{'descr': '<f4', 'note': 1}", four)), HasSubstr("unknown key \"note\""));
  EXPECT_THAT(refusal(npy_of("{'descr': '<f4', 'fortran_order': 0}", four)), HasSubstr("must be True or False"));
  EXPECT_THAT(refusal(npy_of(ok + "x", four)), HasSubstr("more stands behind the dict"));
  EXPECT_THAT(refusal(npy_of("{'descr: 1}", four)), HasSubstr("a text without its end"));
  EXPECT_THAT(refusal(npy_of("", four)), HasSubstr("expected \"{\" at character 0, found the end"));
  EXPECT_THAT(refusal(npy_of(ok, four, std::string_view("\4\0", 2))), HasSubstr("is of version 4.0"));
  EXPECT_THAT(refusal("PK"), HasSubstr("does not begin as a .npy file does"));
  EXPECT_THAT(refusal("\x93NUMPY\1"), HasSubstr("ends inside its header"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\1\0\xff\0{", 11)), HasSubstr("the header has 255 bytes, the file only 1"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\2\0\xff\xff\xff\xff{", 13)), HasSubstr("at most 65524 are allowed"));
  EXPECT_THROW(read_npy(scratch / "none.npy"), IoError);
}

// Whatever the bytes are, a file is read or refused.
TEST_F(Npy, SurvivesFiveHundredMutations) {
  const std::string whole = npy_of("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }     \n", std::string(24, 'a'));
  Rng rng(random_key(2, "mutations", {}));
  int refused = 0, read = 0;
  for (int i = 0; i < 500; ++i) {
    std::string bytes = whole;
    const auto place = [&] { return static_cast<std::size_t>(rng.below(bytes.size())); };
    for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
      const std::uint64_t kind = rng.below(4);
      if (kind == 0) bytes[place()] = static_cast<char>(rng.below(256));
      if (kind == 1) bytes.erase(place(), 1 + rng.below(8));
      if (kind == 2) bytes.insert(place(), 1 + rng.below(8), static_cast<char>(rng.below(256)));
      if (kind == 3) bytes[place()] = "0123456789(){},'"[rng.below(16)];
      if (bytes.empty()) bytes = "x";
    }
    const std::string path = scratch.write("mutated.npy", bytes);
    try {
      (void)read_npy(path);
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused + read, 500);
  EXPECT_GT(refused, 300);
  EXPECT_GT(read, 20);
}

}  // namespace
}  // namespace capstan::data
