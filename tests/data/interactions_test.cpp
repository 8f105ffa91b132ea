#include "data/interactions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"
#include "tests/data/shown.h"
#include "tests/message_of.h"

namespace capstan::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const std::string& content, const ReadOptions& options = {}) {
  const Scratch dir;
  const std::string path = dir.write("f", content);
  const std::string message = message_of<DataError>([&] { read_interactions(path, options); });
  return message.starts_with(path) ? message.substr(path.size()) : message;
}

Interactions read(const std::string& content, const ReadOptions& options = {}) {
  const Scratch dir;
  return read_interactions(dir.write("f", content), options);
}

TEST(IdMap, KeepsNamesAndIndices) {
  IdMap ids;
  EXPECT_EQ(ids.find("a"), -1);
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(ids.add("item number " + std::to_string(i)), i);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(ids.add("item number " + std::to_string(i)), i);
    EXPECT_EQ(ids.find("item number " + std::to_string(i)), i);
    EXPECT_EQ(ids[i], "item number " + std::to_string(i));
  }
  EXPECT_EQ(ids.size(), 5000);
  EXPECT_EQ(ids.find("item number 5000"), -1);
  EXPECT_EQ(ids.add(""), 5000);
  EXPECT_EQ(ids.find(""), 5000);
}

TEST(Interactions, PlainUserItem) {
  const auto x = read("7 30\n7 10\n2 30\n7 20\n");
  EXPECT_THAT(shown(x), ElementsAre("7: 30 10 20", "2: 30"));
  EXPECT_THAT(x.items, ElementsAre(0, 1, 2, 0));
  EXPECT_THAT(x.offsets, ElementsAre(0, 3, 4));
  EXPECT_TRUE(x.times.empty());
  EXPECT_FALSE(x.has_times());
}

TEST(Interactions, SpacesBlankLinesAndMissingLastEnd) {
  EXPECT_THAT(shown(read("\n  u1\ti1 \r\n\n \nu1\ti2")), ElementsAre("u1: i1 i2"));
  EXPECT_THAT(shown(read("u1   i1\nu1 i2\n")), ElementsAre("u1: i1 i2"));
}

TEST(Interactions, TimesSortStably) {
  const auto x = read("u a 5\nv b 1\nu c 3\nu d 5\nu e 3\n");
  EXPECT_THAT(shown(x), ElementsAre("u: c e a d", "v: b"));
  EXPECT_THAT(x.times, ElementsAre(3, 3, 5, 5, 1));
}

TEST(Interactions, NumericOrder) {
  const auto x = read("10 9\n2 100\n2 9\n", {.order = IdOrder::numeric});
  EXPECT_THAT(shown(x), ElementsAre("2: 100 9", "10: 9"));
  EXPECT_THAT(x.items, ElementsAre(1, 0, 0));
  EXPECT_EQ(refusal("1 2\n2 x\n", {.order = IdOrder::numeric}), ": item id \"x\" is not an integer, as numeric order needs");
}

TEST(Interactions, HeaderForms) {
  EXPECT_THAT(shown(read("SessionId\tItemId\tTime\n1\ta\t2.5\n1\tb\t0.5\n")), ElementsAre("1: b a"));
  EXPECT_THAT(shown(read("user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\ta\t5\t9\n1\tb\t4\t8\n")), ElementsAre("1: b a"));
  EXPECT_THAT(shown(read("item,who,when\na,1,9\nb,1,8\n", {.user_column = "who", .time_column = "when"})), ElementsAre("1: b a"));
  EXPECT_THAT(shown(read("who,item\n1,a\n", {.user_column = "who"})), ElementsAre("1: a"));
  EXPECT_THAT(shown(read("user,item\n\"x, y\",\"say \"\"hi\"\"\"\n")), ElementsAre("x, y: say \"hi\""));
  EXPECT_THAT(shown(read("alice book\n", {.header = Header::absent})), ElementsAre("alice: book"));
}

TEST(Interactions, ColumnsByNumber) {
  // The form of yoochoose-clicks.dat: session, date, item, category.
  const auto x = read("1,2014-04-07T10:51:09.277Z,214,0\n1,2014-04-07T10:51:08.000Z,213,0\n",
                      {.user_column = "1", .item_column = "3", .time_column = "2"});
  EXPECT_THAT(shown(x), ElementsAre("1: 213 214"));
  EXPECT_THAT(x.times, ElementsAre(1396867868.0, 1396867869.277));
  EXPECT_THAT(refusal("1,2\n", {.item_column = "3"}), HasSubstr(":1: no column \"3\": without a header columns are numbered from 1 to 2"));
}

TEST(Interactions, Dates) {
  const auto x = read("u a 1970-01-02\nu b 2000-02-29T23:59:59Z\n");
  EXPECT_THAT(x.times, ElementsAre(86400.0, 951868799.0));
  EXPECT_THAT(refusal("u a 2001-02-29\n"), HasSubstr(":1: time \"2001-02-29\" of column 3 is neither"));
}

TEST(Interactions, DatesWithAZone) {
  const auto x = read("user,item,event_time\nu,a,2019-10-01 00:00:01 UTC\nu,b,2019-10-01 00:00:02+00:00\n");
  EXPECT_THAT(x.times, ElementsAre(1569888001.0, 1569888002.0));
  EXPECT_THAT(refusal("user,item,time\nu,a,2019-10-01 00:00:01 CET\n"),
              HasSubstr(":2: time \"2019-10-01 00:00:01 CET\" of column 3 'time' is neither"));
}

// The form of train-item-views.csv: the day, and milliseconds within the session.
TEST(Interactions, SemicolonsAndATimeInTwoColumns) {
  const std::string file =
      "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;1970-01-03\n1;NA;31331;1031018.5;1970-01-03\n1;NA;9;7;1970-01-03\n";
  const auto x = read(
      file,
      {.user_column = "sessionId", .time_column = "eventdate", .time_offset_column = "timeframe", .time_unit = TimeUnit::milliseconds});
  EXPECT_THAT(shown(x), ElementsAre("1: 9 81766 31331"));
  EXPECT_THAT(x.times, ElementsAre(172800.007, 173326.309, 173831.0185));
  EXPECT_EQ(refusal("sessionId;itemId;day;ms\n1;2;1970-01-01;x\n", {.time_column = "day", .time_offset_column = "ms"}),
            ":2: time offset \"x\" is not a number");
  EXPECT_EQ(refusal("sessionId;itemId\n1;2\n", {.time_offset_column = "ms"}),
            ":1: no time offset column \"ms\"; the header has: sessionId, itemId");
}

TEST(Interactions, OnlyChosenEvents) {
  const std::string file = "timestamp,visitorid,event,itemid\n2000,u,view,a\n1500,u,cart,b\n1000,u,buy,c\n500,u,page,\n";
  const auto x = read(file, {.time_unit = TimeUnit::milliseconds, .event_column = "event", .events = {"view", "buy"}});
  EXPECT_THAT(shown(x), ElementsAre("u: c a"));
  EXPECT_THAT(x.times, ElementsAre(1.0, 2.0));
  EXPECT_EQ(refusal(file, {.event_column = "event", .events = {"View"}}), ": no line has one of the chosen events in column \"event\"");
  EXPECT_THAT(refusal(file, {.event_column = "event", .events = {"page"}}), HasSubstr(":5: empty item id"));
  EXPECT_THROW(read(file, {.event_column = "event"}), ConfigError);
}

TEST(Interactions, Refusals) {
  EXPECT_EQ(refusal(""), ": file is empty, expected lines \"user item [time]\"");
  EXPECT_EQ(refusal("user_id,item_id\n"), ": no interactions in this file, which has nothing but a header");
  EXPECT_EQ(refusal("1 2\n1 3\n4\n"), ":3: 1 field, expected 2");
  EXPECT_EQ(refusal("1 2\n1 3 7\n"), ":2: 3 fields, expected 2");
  EXPECT_THAT(refusal("1 2 3 4\n"), HasSubstr(":1: 4 fields (1, 2, 3, 4), expected \"user item\" or \"user item time\""));
  EXPECT_EQ(refusal("u a 1\nu b x1\n"), ":2: time \"x1\" of column 3 is neither a number nor a date like 2014-04-07T10:51:09Z");
  EXPECT_THAT(refusal("u a 1\nu b nan\n"), HasSubstr(":2: time \"nan\""));
  EXPECT_THAT(refusal("u a 1\nu b 1e999\n"), HasSubstr(":2: time \"1e999\""));
  EXPECT_EQ(refusal("user\titem\n1\ta\n\tb\n"), ":3: empty user id in column 1");
  EXPECT_EQ(refusal("user\titem\n1\t \n"), ":2: empty item id in column 2");
  EXPECT_EQ(refusal("user\tx\titem\n1\ta\n"), ":2: 2 fields, expected at least 3");
  EXPECT_EQ(refusal("SessionId,Thing,Time\n1,2,3\n"),
            ":1: no item column; the header has: SessionId, Thing, Time; data.item_column names the one that is meant");
  EXPECT_EQ(refusal("SessionId,ItemId\n1,2\n", {.time_column = "When"}), ":1: no time column \"When\"; the header has: SessionId, ItemId");
  EXPECT_EQ(refusal("SessionId,ItemId\n1,2\n", {.user_column = "sessionid"}),
            ":1: no user column \"sessionid\"; the header has: SessionId, ItemId");
  EXPECT_THAT(refusal("kunde,ware\n1,2\n"), HasSubstr(":1: this looks like a header without a known column"));
  EXPECT_THROW(read_interactions("/nowhere/at/all"), IoError);
}

/// What a report says, a line each.
std::string report_of(const std::string& content, const ReadOptions& options = {}) {
  const Scratch dir;
  DataReport report;
  const Interactions x = read_interactions(dir.write("f", content), options, &report);
  report_events(x, "train", options.sessions ? "sessions" : "users", report);
  std::string all;
  for (const std::string& line : lines_of(report)) all += line + "\n";
  return all;
}

TEST(Interactions, ASessionComesBeforeAUserWhereSessionsAreTheSequence) {
  const std::string file = "UserId\tuser_session\tItemId\nu\t1\ta\nu\t2\tb\nu\t2\tc\n";
  EXPECT_THAT(shown(read(file, {.sessions = true})), ElementsAre("1: a", "2: b c"));
  EXPECT_THAT(shown(read(file)), ElementsAre("u: a b c"));
  EXPECT_THAT(report_of(file, {.sessions = true}), HasSubstr("session 2 'user_session', item 3 'ItemId'"));
}

TEST(Interactions, SessionIdsThatRestartWithEveryUser) {
  const std::string file = "SessionId,ItemId,UserId\n0,a,u\n0,b,u\n1,c,u\n0,d,v\n";
  EXPECT_THAT(report_of(file, {.sessions = true}), HasSubstr("1 of 2 session ids are used by several users of column 3 'UserId'"));
  EXPECT_EQ(read(file, {.sessions = true, .owner_column = "UserId"}).sequences(), 3);
  EXPECT_THAT(report_of(file, {.sessions = true, .owner_column = "UserId"}), testing::Not(HasSubstr("several users")));
}

TEST(Interactions, TimeColumnsUnderOtherNames) {
  for (const std::string name : {"date_added", "created_at", "click_time", "Created", "eventTimestamp"}) {
    EXPECT_THAT(shown(read("user_id,item_id,rating," + name + "\nu,b,5,20\nu,a,5,10\n")), ElementsAre("u: a b")) << name;
    EXPECT_THAT(report_of("user_id,item_id," + name + "\nu,b,20\nu,a,10\n"), HasSubstr("(its name speaks of a time)")) << name;
  }
  EXPECT_THAT(report_of("user_id,item_id,timestamp\nu,b,20\nu,a,10\n"), HasSubstr("from the newest event to the oldest"));
  EXPECT_THAT(shown(read("u c 2\nu b 1\nu a 1\n")), ElementsAre("u: a b c")) << "events of the same time too";
  EXPECT_THAT(shown(read("u c 2\nu b 1\nu a 1\nu d 3\n")), ElementsAre("u: b a c d")) << "no order: as they stand";
  EXPECT_THAT(report_of("user_id,item_id,visited_at\nu,b,20\nu,a,10\n"), HasSubstr("time 3 'visited_at'"));
  EXPECT_THAT(report_of("user_id,item_id,timeframe,eventdate\nu,b,20,2016-05-09\nu,a,10,2016-05-09\n"),
              HasSubstr("time 4 'eventdate' (its name speaks of a time) (not read as times: timeframe)"));
  EXPECT_THAT(report_of("user_id,item_id,seen\nu,b,2020-01-02\nu,a,2020-01-01\n"),
              HasSubstr("no column of times was recognised, so the order of the file counts; is it column 3 'seen'?"));
  EXPECT_THAT(report_of("u::a::5::978300760\n", {.user_column = "1", .item_column = "2"}), HasSubstr("is it column 4?"));
  const std::string no_times = "user_id,item_id,mealtime\nu,b,noon\nu,a,noon\n";
  EXPECT_THAT(shown(read(no_times)), ElementsAre("u: b a"));
  EXPECT_THAT(report_of(no_times), HasSubstr("no column of times was recognised"));
  EXPECT_THAT(shown(read("user_id,item_id,time\nu,b,2\nu,a,1\n", {.time_column = "none"})), ElementsAre("u: b a"));
}

TEST(Interactions, RatingsTakenAsTimesAreNoticed) {
  std::string file;
  for (int i = 0; i < 60; ++i) file += join_text("u", i % 7, " i", i, " ", 1 + i % 5, "\n");
  EXPECT_THAT(report_of(file), HasSubstr("holds only 5 different values (1, 2, 3, 4, 5): ratings?"));
  EXPECT_THAT(report_of(file, {.time_column = "none"}), testing::Not(HasSubstr("ratings?")));
  EXPECT_TRUE(read(file, {.time_column = "none"}).times.empty());
}

TEST(Interactions, TimesInAnotherUnitAreNoticed) {
  EXPECT_THAT(report_of("u a 1700000000000\nu b 1700000030000\n"),
              HasSubstr("milliseconds read as seconds? data.time_unit = milliseconds"));
  EXPECT_THAT(report_of("u a 1700000000000000\nu b 1700000030000000\n"), HasSubstr("data.time_unit = microseconds"));
  EXPECT_THAT(report_of("u a 1700000000000000000\nu b 1700000030000000000\n"), HasSubstr("data.time_unit = nanoseconds"));
  EXPECT_THAT(report_of("u a 1\nu b 1e300\n"), HasSubstr("is this a column of times?"));
  EXPECT_THAT(report_of("u a 20200131\nu b 20200201\n"), HasSubstr("times such as 20200131 are read as seconds: are they days written"));
  EXPECT_THAT(report_of("u a 20200131235959\nu b 20200201000000\n"), HasSubstr("are they days written without dashes?"));
  EXPECT_THAT(report_of("u a 1700000000\nu b 1700000030\n", {.time_unit = TimeUnit::milliseconds}), HasSubstr("are they seconds?"));
  EXPECT_THAT(report_of("u a 1700000000\nu b 0\n"), HasSubstr("1 event has the time 0 or -1: is it missing there?"));
  EXPECT_THAT(read("u a 1700000000000000\n", {.time_unit = TimeUnit::microseconds}).times, ElementsAre(1.7e9));
}

TEST(Interactions, TiedTimesAreNoticed) {
  const std::string fine = report_of("u a 1700000000\nu b 1700086400\nu c 1700086400\n");
  EXPECT_THAT(fine, HasSubstr("2023-11-14 to 2023-11-15 (24 hours); 66.7 % of the events have the time of a neighbour"));
  EXPECT_THAT(fine, testing::Not(HasSubstr("warning")));
  std::string days = "user,item,day\n", seconds;
  for (int i = 0; i < 40; ++i) {
    days += join_text("u", i % 2, ",i", i, ",2020-01-0", 1 + i / 20, "\n");
    seconds += join_text("u", i % 2, " i", i, " ", 1700000001 + i / 20, "\n");
  }
  const std::string by_day = report_of(days, {.time_column = "day"});
  EXPECT_THAT(by_day, HasSubstr("(days without the time of day): most of the order is that of the file; data.time_offset_column names"));
  const std::string by_second = report_of(seconds);
  EXPECT_THAT(by_second, HasSubstr("100 % of the events have the time of a neighbour in their sequence: most of the order"));
  EXPECT_THAT(report_of("u a 7\nu b 7\n"), HasSubstr("all times are equal"));
}

TEST(Interactions, IdsThatStandForMissingOnesAndRepeatsAreNoticed) {
  const std::string report = report_of("user,item\nu,a\nNaN,b\nNaN,c\nv,null\nv,d\nv,d\n");
  EXPECT_THAT(report, HasSubstr("2 events have the user 'NaN': is it missing there? It counts as one user"));
  EXPECT_THAT(report, HasSubstr("1 event has the item 'null'"));
  EXPECT_THAT(report, HasSubstr("1 event repeats the item just before it"));
}

TEST(Interactions, SessionsThatLastForDaysAreNoticed) {
  const std::string file = "user_id,item_id,time\nu,a,0\nu,b,100000\nv,a,0\n";
  const std::string sessions = report_of(file, {.sessions = true});
  EXPECT_THAT(sessions, HasSubstr("(no session column was recognised: a session is all of a user)"));
  EXPECT_THAT(sessions, HasSubstr("1 of 1 sessions last longer than a day"));
  EXPECT_THAT(report_of(file), testing::Not(HasSubstr("longer than a day")));
}

TEST(Interactions, DatesWithZonesAndWithoutSeconds) {
  const auto time = [](const std::string& date) { return read("u,a," + date + "\n").times.front(); };
  EXPECT_EQ(time("2020-01-01T08:00"), time("2020-01-01 08:00:00Z"));
  EXPECT_EQ(time("2020/01/01 08:00"), time("2020-01-01 08:00"));
  EXPECT_EQ(time("2020-01-01T08:00:00+02:00"), time("2020-01-01T06:00:00"));
  EXPECT_EQ(time("2020-01-01T08:00:00.5-0530"), time("2020-01-01T13:30:00.5"));
  for (const std::string bad :
       {"2020-01-01T08", "2020-01-01T08:61", "2020-01-01T08:00+2", "2020-01-01T08:00:00 CET", "2020-02-30", "2020/01-01", "01/02/2020"})
    EXPECT_THAT(refusal("u,a," + bad + "\n"), HasSubstr("of column 3 is neither a number nor a date")) << bad;
}

TEST(Interactions, ColumnsUnderTheNamesOfOtherPrograms) {
  EXPECT_THAT(shown(read("reviewerID,asin,unixReviewTime\nu,b,2\nu,a,1\n")), ElementsAre("u: a b"));
  EXPECT_THAT(shown(read("user_id,visit_id,item_id\nu,1,a\nu,2,b\n", {.sessions = true})), ElementsAre("1: a", "2: b"));
  EXPECT_THAT(shown(read("user_id,session_start,web_session_key,item_id\nu,9,1,a\nu,8,2,b\n", {.sessions = true})),
              ElementsAre("1: a", "2: b"));
}

TEST(Interactions, LinesThatEndWithASeparator) {
  EXPECT_THAT(shown(read("u,b,2,\nu,a,1,\n")), ElementsAre("u: a b"));
  EXPECT_THAT(refusal("u,b,2,\nu,a,,\n"), HasSubstr(":2: 2 fields, expected 3"));
}

TEST(Interactions, FormsThatAreNoTableAreNamed) {
  EXPECT_THAT(refusal("# ratings, of all\nuser,item\n"), HasSubstr("data.comment = # leaves out lines that begin so"));
  EXPECT_THAT(refusal("1::7::5::978300760\n"), HasSubstr("4 fields (1, 7, 5, 978300760)"));
  EXPECT_THAT(refusal("u1\nu2\n"), HasSubstr("data.separator"));
  EXPECT_THAT(refusal("user^item\nu1^i1\n"), HasSubstr(":1: 1 field (user^item), expected"));
  EXPECT_THAT(refusal("user^item\nu1^i1\n", {.header = Header::present}), HasSubstr("data.separator says"));
  EXPECT_THAT(refusal("i1 i2 i3 i4 i5\n"), HasSubstr("where a line is a whole sequence, data.form = lines"));
  EXPECT_THAT(refusal("user,item\n"), HasSubstr("nothing but a header"));
}

TEST(Interactions, HeaderWithColumnsByNumberAndARepeatedHeader) {
  EXPECT_THAT(shown(read("\"User-ID\";\"ISBN\"\n\"u\";\"i1\"\n", {.user_column = "1", .item_column = "2"})), ElementsAre("u: i1"));
  EXPECT_THAT(shown(read("kunde,ware\nk,w\n", {.user_column = "1", .item_column = "2", .header = Header::present})), ElementsAre("k: w"));
  EXPECT_THAT(refusal("user,item,item\nu,a,b\n"), HasSubstr(":1: columns 3 and 2 are both named \"item\": say by its number"));
  EXPECT_THAT(shown(read("user,item,item\nu,a,b\n", {.item_column = "3"})), ElementsAre("u: b"));
  EXPECT_THAT(refusal("user,item\nu,a\nuser,item\nu,b\n"), HasSubstr(":3: the header of line 1 again"));
  EXPECT_THAT(refusal("user_id:token\titem_id:token\nu\ta\nuser_id:token\titem_id:token\n"), HasSubstr(":3: the header of line 1 again"));
  EXPECT_THAT(refusal("user,item\nu,a, the\n"), HasSubstr(":2: 3 fields, but the header names 2 columns"));
  EXPECT_THAT(shown(read("user,item\nu,a,\n")), ElementsAre("u: a"));
}

TEST(Interactions, LinesThatAreNotUtf8AreCounted) {
  EXPECT_THAT(report_of("u1 caf\xe9\nu1 b\n"), HasSubstr("1 line"));
  EXPECT_THAT(shown(read("u1 caf\xe9\nu1 b\n")), ElementsAre("u1: caf\xe9 b"));
}

TEST(Interactions, BadLinesCanBeLeftOut) {
  const ReadOptions options{.bad_lines = BadLines::skip};
  const std::string file = "user,item,time\nu,a,1\nu\nv,,2\nw,b,noon\nuser,item,time\nu,b,3,4\nu,c,2\n";
  const Interactions x = read(file, options);
  EXPECT_THAT(shown(x), ElementsAre("u: a c"));
  EXPECT_EQ(x.item_count(), 2) << "nothing of a bad line is kept";
  EXPECT_EQ(x.user_ids->size(), 1);
  EXPECT_THAT(report_of(file, options), HasSubstr("5 lines that could not be read are left out (data.bad_lines = skip), the first: "));
  EXPECT_THAT(report_of(file, options), HasSubstr("f:3: 1 field, expected at least 3"));
  EXPECT_THAT(refusal("user,item\nu,\n", options), HasSubstr("no line could be read; "));
}

TEST(Interactions, LinesBelowARating) {
  const std::string file = "user,item,rating\nu,a,5\nu,b,2\nu,c,4\n";
  EXPECT_THAT(shown(read(file, {.min_rating = 4})), ElementsAre("u: a c"));
  EXPECT_THAT(report_of(file, {.min_rating = 4}), HasSubstr("1 lines rated below 4"));
  EXPECT_THAT(refusal("u a 5\n", {.min_rating = 4}), HasSubstr("no column of ratings"));
}

TEST(Interactions, SessionLines) {
  const Scratch dir;
  const auto x = read_session_lines(dir.write("s", "5 7 5\n\n7\t9\n"));
  EXPECT_THAT(shown(x), ElementsAre("1: 5 7 5", "3: 7 9"));
  EXPECT_THAT(x.items, ElementsAre(0, 1, 0, 1, 2));
  EXPECT_THAT(message_of<DataError>([&] { read_session_lines(dir.write("e", "\n")); }), HasSubstr("no interactions"));
}

TEST(Interactions, Gzip) {
  const Scratch dir;
  const std::string path = dir / "x.gz";
  gzFile f = gzopen(path.c_str(), "wb");
  gzputs(f, "1 2\n1 3\n");
  gzclose(f);
  EXPECT_THAT(shown(read_interactions(path)), ElementsAre("1: 2 3"));
}

}  // namespace
}  // namespace capstan::data
