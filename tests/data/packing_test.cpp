#include "data/packing.h"

#include <gtest/gtest.h>

namespace capstan::data {
namespace {

TEST(Packing, GivesBackWhatWasPutInItsOrder) {
  const std::vector<double> numbers{1.5, -2}, none;
  Packer out;
  out.put(std::int64_t{7});
  out.put_text("a\tb");
  out.put_list(std::span(numbers));
  out.put_list(std::span(none));
  out.put_text("");
  const std::vector<std::byte> bytes = std::move(out).bytes();
  Unpacker in(bytes);
  EXPECT_EQ(in.get<std::int64_t>(), 7);
  EXPECT_EQ(in.text(), "a\tb");
  EXPECT_EQ(in.list<double>(), numbers);
  EXPECT_FALSE(in.done());
  EXPECT_EQ(in.list<double>(), none);
  EXPECT_EQ(in.text(), "");
  EXPECT_TRUE(in.done());
}

TEST(Packing, RefusesToReadBeyondTheEnd) {
  Packer out;
  out.put_text("four");
  const std::vector<std::byte> bytes = std::move(out).bytes();
  EXPECT_THROW(Unpacker(bytes).list<double>(), InternalError);
  EXPECT_THROW(Unpacker(std::span(bytes).first(7)).text(), InternalError);
  Unpacker in(bytes);
  in.text();
  EXPECT_THROW(in.get<char>(), InternalError);
}

}  // namespace
}  // namespace capstan::data
