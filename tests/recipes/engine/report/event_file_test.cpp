// Event files: frames and checksums, what the events say, and a run that goes on. The decoder here is written from the formats, not from
// the encoder; tests/goldens/read_events.py reads the files with TensorBoard itself.

#include "recipes/engine/report/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>

#include "autograd/core/error.h"
#include "tests/data/scratch.h"

namespace capstan::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

/// CRC-32C, bit by bit.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
  }
  return ~crc;
}
std::uint32_t masked(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

template <class T>
T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::vector<std::string> contents(std::string_view file) {
  std::vector<std::string> out;
  while (!file.empty()) {
    const auto size = number_at<std::uint64_t>(file, 0);
    EXPECT_EQ(number_at<std::uint32_t>(file, 8), masked(checksum(file.substr(0, 8))));
    out.emplace_back(file.substr(12, size));
    EXPECT_EQ(number_at<std::uint32_t>(file, 12 + size), masked(checksum(out.back())));
    file.remove_prefix(16 + size);
  }
  return out;
}

struct Message {
  std::vector<std::pair<int, std::uint64_t>> numbers;
  std::vector<std::pair<int, std::string>> texts;
};
Message decoded(std::string_view bytes) {
  Message out;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const auto c = static_cast<unsigned char>(bytes[at++]);
      v |= static_cast<std::uint64_t>(c & 0x7F) << shift;
      if (c < 0x80) return v;
    }
  };
  while (at < bytes.size()) {
    const std::uint64_t key = varint();
    const int field = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0: out.numbers.emplace_back(field, varint()); break;
      case 1: out.numbers.emplace_back(field, number_at<std::uint64_t>(bytes, at)), at += 8; break;
      case 5: out.numbers.emplace_back(field, number_at<std::uint32_t>(bytes, at)), at += 4; break;
      case 2: {
        const std::uint64_t size = varint();
        out.texts.emplace_back(field, bytes.substr(at, size));
        at += size;
        break;
      }
      default: ADD_FAILURE() << "wire type " << (key & 7); return out;
    }
  }
  return out;
}

struct Event {
  double time = 0;
  std::int64_t step = 0;
  std::string version;
  bool start = false;
  std::vector<std::pair<std::string, float>> values;
};
Event event_of(std::string_view bytes) {
  Event out;
  const Message m = decoded(bytes);
  for (const auto& [field, v] : m.numbers) {
    if (field == 1) out.time = std::bit_cast<double>(v);
    if (field == 2) out.step = static_cast<std::int64_t>(v);
  }
  for (const auto& [field, text] : m.texts) {
    if (field == 3) out.version = text;
    if (field == 7) out.start = decoded(text).numbers == std::vector<std::pair<int, std::uint64_t>>{{1, 1}};
    if (field != 5) continue;
    for (const auto& [one, value] : decoded(text).texts) {
      EXPECT_EQ(one, 1);
      const Message v = decoded(value);
      out.values.emplace_back(v.texts.at(0).second, std::bit_cast<float>(static_cast<std::uint32_t>(v.numbers.at(0).second)));
    }
  }
  return out;
}
std::vector<Event> events_in(const std::string& path) {
  std::vector<Event> out;
  for (const std::string& c : contents(data::content(path))) out.push_back(event_of(c));
  return out;
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& e : std::filesystem::directory_iterator(directory)) out.push_back(e.path());
  std::ranges::sort(out);
  return out;
}

const JsonRow kRow{{"step", std::int64_t{300}},
                   {"epoch", std::int64_t{2}},
                   {"split", std::string("train")},
                   {"loss", 2.5},
                   {"note", std::string("text is left out")},
                   {"lr", std::numeric_limits<double>::quiet_NaN()}};

TEST(EventRecord, KnownAnswers) {
  EXPECT_EQ(checksum("123456789"), 0xE3069283U);  // the check value of the polynomial
  // The empty record, as TensorFlow writes it.
  EXPECT_EQ(event_record(""), std::string("\0\0\0\0\0\0\0\0\x29\x03\x98\x07\xd8\xea\x82\xa2", 16));
  EXPECT_THAT(contents(event_record("abc") + event_record("")), ElementsAre("abc", ""));
}

TEST(Event, SaysARow) {
  const Event e = event_of(row_event(1700000000.5, kRow));
  EXPECT_EQ(e.time, 1700000000.5);
  EXPECT_EQ(e.step, 300);
  ASSERT_EQ(e.values.size(), 3u);
  EXPECT_THAT(e.values[0], Pair("train/epoch", 2.f));
  EXPECT_THAT(e.values[1], Pair("train/loss", 2.5f));
  EXPECT_EQ(e.values[2].first, "train/lr");
  EXPECT_TRUE(std::isnan(e.values[2].second));
  EXPECT_EQ(row_event(1, {{"step", std::int64_t{1}}, {"split", std::string("train")}}), "");
}

TEST(Event, BytesOfAVersionAreThoseOfTheFormat) {
  EXPECT_EQ(version_event(1), std::string("\x09\0\0\0\0\0\0\xf0\x3f\x1a\x0d", 11) + "brain.Event:2");
}

TEST(EventFile, ARunThatGoesOnVoidsLaterSteps) {
  const data::Scratch scratch;
  const std::string directory = scratch / "tensorboard";
  { EventFile(directory, 0).row(kRow); }
  { EventFile(directory, 201).row(kRow); }
  const auto files = files_in(directory);
  ASSERT_EQ(files.size(), 2u);  // of the same process and second
  EXPECT_THAT(files[0], HasSubstr("/events.out.tfevents."));
  for (std::size_t i = 0; i < 2; ++i) {
    const auto events = events_in(files[i]);
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].version, "brain.Event:2");
    EXPECT_TRUE(events[1].start);
    EXPECT_EQ(events[1].step, i == 0 ? 0 : 201);
    EXPECT_EQ(events[2].step, 300);
    EXPECT_GT(events[2].time, 1.6e9);
  }
}

TEST(EventFile, WhatCannotBeWrittenIsSaid) {
  const data::Scratch scratch;
  EXPECT_THROW(EventFile(scratch.write("file", "") + "/below", 0), IoError);
}

TEST(WriteEvents, TakesTimesFromTheLogAndReplacesItself) {
  const data::Scratch scratch;
  RunRecord run;
  run.rows = {kRow, kRow};
  run.rows[1][0].second = std::int64_t{400};
  run.moments = {{0, 1000}, {400, 1800}};
  const std::string directory = scratch / "out";
  const std::string path = write_events(run, directory);
  EXPECT_EQ(write_events(run, directory), path);
  EXPECT_THAT(files_in(directory), ElementsAre(path));
  const auto events = events_in(path);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[2].time, 1600);
  EXPECT_EQ(events[3].time, 1800);
  EXPECT_EQ(events[3].step, 400);
}

}  // namespace
}  // namespace capstan::engine
