#include "data/data_report.h"

#include <gtest/gtest.h>

namespace capstan::data {
namespace {

TEST(DataReport, TextsStandBelowEachOtherAndWarningsBehind) {
  DataReport report;
  report.fact("train", "a.tsv: 1,000 events");
  report.fact("columns", "user 1, item 2");
  report.warn("no times");
  EXPECT_EQ(lines_of(report), (std::vector<std::string>{"train    a.tsv: 1,000 events", "columns  user 1, item 2", "warning: no times"}));
}

TEST(DataReport, GroupsDigitsByThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(1234567890123), "1,234,567,890,123");
}

}  // namespace
}  // namespace capstan::data
