#include "data/prepared.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/splits.h"
#include "tests/data/scratch.h"
#include "tests/data/shown.h"

namespace capstan::data {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(Prepared, InteractionsRoundTrip) {
  const Scratch dir;
  for (const std::string text : {"u a 3\nu b 1\nv a 2\n", "u a\nv b\nv c\n"}) {
    const auto x = drop_short(read_interactions(dir.write("in", text), {.header = Header::absent}), 2);
    Hdf5Writer w;
    write_interactions(w, "/x", x);
    const auto y = read_interactions(Hdf5Reader(w.finish(), "mem", {}), "/x");
    EXPECT_EQ(shown(y), shown(x));
    EXPECT_EQ(y.offsets, x.offsets);
    EXPECT_EQ(y.items, x.items);
    EXPECT_EQ(y.times, x.times);
    EXPECT_EQ(y.users, x.users);
    EXPECT_EQ(*y.item_ids, *x.item_ids);
    EXPECT_EQ(*y.user_ids, *x.user_ids);
    EXPECT_EQ(y.item_ids->find("b"), x.item_ids->find("b"));
  }
}

TEST(Prepared, MadeOnceThenUsedUntilSourceOrOptionsChange) {
  const Scratch dir;
  const std::string source = dir.write("in", "u a\nu b\n"), cache = dir / "cache.h5";
  int made = 0;
  std::string why;
  const auto get = [&](std::string_view options) {
    const std::vector<std::string> sources{source};
    const auto make = [&] {
      ++made;
      return read_interactions(source, {.header = Header::absent});
    };
    return shown(prepared_interactions(cache, prepared_key(sources, options), make, &why));
  };
  EXPECT_EQ(get("k = 1"), std::vector<std::string>{"u: a b"});
  EXPECT_EQ(why, "there was none");
  EXPECT_EQ(get("k = 1"), std::vector<std::string>{"u: a b"});
  EXPECT_EQ(why, "");
  EXPECT_EQ(made, 1);
  get("k = 2");
  EXPECT_THAT(why, HasSubstr("other sources or options"));
  dir.write("in", "u a\nu c\n");
  EXPECT_EQ(get("k = 2"), std::vector<std::string>{"u: a c"});
  EXPECT_EQ(made, 3);

  auto bytes = read_file(cache);
  bytes[bytes.size() / 2] ^= std::byte{1};
  write_file_durably(cache, bytes);
  EXPECT_EQ(get("k = 2"), std::vector<std::string>{"u: a c"});
  EXPECT_THAT(why, HasSubstr("damaged"));
  EXPECT_EQ(get("k = 2"), std::vector<std::string>{"u: a c"});
  EXPECT_EQ(made, 4);
}

TEST(Prepared, EvaluationLeavesNothing) {
  const Scratch dir;
  int made = 0;
  const auto make = [&] {
    ++made;
    return read_interactions(dir.write("in", "u a\nu b\n"), {.header = Header::absent});
  };
  std::string why;
  prepared_interactions(dir / "cache.h5", "k", make, &why, KeepPrepared::no);
  EXPECT_FALSE(std::filesystem::exists(dir / "cache.h5"));
  EXPECT_EQ(why, "there was none");
  prepared_interactions(dir / "cache.h5", "k", make);
  prepared_interactions(dir / "cache.h5", "k", make, &why, KeepPrepared::no);
  EXPECT_EQ(made, 2) << "what is there is used";
}

TEST(Prepared, WhatWasReadIsToldAgain) {
  const Scratch dir;
  DataReport first, second;
  first.fact("before", "of another file");
  const auto get = [&](DataReport& report) {
    const auto make = [&] { return read_interactions(dir.write("in", "user,item\nu,a\nu,null\n"), {}, &report); };
    prepared_interactions(dir / "cache.h5", "k", make, nullptr, KeepPrepared::yes, &report);
    return lines_of(report);
  };
  const auto told = get(first), again = get(second);
  EXPECT_THAT(told.front(), HasSubstr("of another file"));
  ASSERT_EQ(again.size() + 1, told.size());
  EXPECT_THAT(again, Contains(HasSubstr("1 event has the item 'null'")));
  EXPECT_THAT(again, Contains(HasSubstr("separator comma")));
  EXPECT_THAT(again, Not(Contains(HasSubstr("of another file"))));
}

TEST(Prepared, OnePreparesTheOthersWait) {
  const Scratch dir;
  const std::string source = dir.write("in", "u a\nu b\n");
  std::atomic<int> made = 0;
  const auto make = [&] {
    ++made;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return read_interactions(source, {.header = Header::absent});
  };
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < 4; ++i) all.emplace_back([&] { prepared_interactions(dir / "cache.h5", "k", make); });
  }
  EXPECT_EQ(made, 1);
  EXPECT_FALSE(std::filesystem::exists(dir / "cache.h5.lock"));
}

TEST(Prepared, KeyNamesSourcesByContent) {
  const Scratch dir;
  const std::vector<std::string> one{dir.write("a", "1 2\n")}, same{dir.write("a", "1 2\n")};
  EXPECT_EQ(prepared_key(one, "x"), prepared_key(same, "x"));
  EXPECT_NE(prepared_key(one, "x"), prepared_key(one, "y"));
  EXPECT_NE(prepared_key(one, "x"), prepared_key({}, "x"));
  const std::vector<std::string> absent{dir / "absent"};
  EXPECT_THROW(prepared_key(absent, ""), IoError);
}

TEST(Prepared, ArraysThatDoNotFitAreRefused) {
  Interactions x;
  x.offsets = {0, 2};
  x.items = {0, 1};
  x.users = {0};
  IdMap user, items;
  user.add("u");
  items.add("a");
  x.user_ids = std::make_shared<IdMap>(user);
  x.item_ids = std::make_shared<IdMap>(items);  // item 1 has no id
  Hdf5Writer w;
  write_interactions(w, "/x", x);
  EXPECT_THROW(read_interactions(Hdf5Reader(w.finish(), "mem", {}), "/x"), DataError);
}

}  // namespace
}  // namespace capstan::data
