// Contact sheets: where panels are.

#include "data/image/contact_sheet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

Image panel(std::int64_t channels, std::uint8_t value) {
  Image image(2, 3, channels);
  std::ranges::fill(image.pixels, value);
  return image;
}

TEST(ContactSheet, PutsPanelsIntoRowsAndColumns) {
  ContactSheet sheet(2, 3, {.height = 2, .width = 3, .gap = 1, .margin = 5, .aside = 4, .paper = 200});
  ASSERT_EQ(sheet.page().height, 5 + 2 + 1 + 2 + 5);
  ASSERT_EQ(sheet.page().width, 5 + 3 + 1 + 4 + 3 + 1 + 3 + 5);
  sheet.place(0, 0, panel(1, 10));
  sheet.place(1, 2, panel(3, 20));
  Image expected(15, 25, 3);
  std::ranges::fill(expected.pixels, 200);
  for (std::int64_t y = 0; y < 2; ++y)
    for (std::int64_t x = 0; x < 9; ++x) {
      expected.row(5 + y)[3 * 5 + x] = 10;
      expected.row(8 + y)[3 * 17 + x] = 20;
    }
  EXPECT_EQ(sheet.page(), expected);
}

TEST(ContactSheet, RefusesWhatDoesNotFit) {
  ContactSheet sheet(1, 1, {.height = 2, .width = 3});
  EXPECT_EQ(sheet.page().width, 3);
  EXPECT_THROW(sheet.place(0, 1, panel(1, 0)), DataError);
  EXPECT_THROW(sheet.place(0, 0, Image(3, 2, 3)), DataError);
}

}  // namespace
}  // namespace capstan::data
