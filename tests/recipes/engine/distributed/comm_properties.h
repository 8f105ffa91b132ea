#pragma once
// What every kind of Comm promises, checked by all ranks together.

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "recipes/engine/distributed/comm.h"

namespace capstan::engine::test {

constexpr std::size_t kCommSizes[] = {0, 1, 7, 64, 1009, 4096, 20011};

/// Number i of rank r: positive and negative, of sizes whose sums round.
inline double number_of(int rank, std::size_t i) {
  return std::sin(1.0 + static_cast<double>(i) * 0.37 + rank * 1.3) * std::pow(10.0, static_cast<double>(i % 5));
}

inline std::byte byte_of(int rank, std::size_t i) {
  return static_cast<std::byte>((static_cast<std::size_t>(rank) * 31 + i * 7 + 3) & 0xFF);
}

inline std::vector<std::byte> bytes_of_rank(int rank, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_of(rank, i);
  return bytes;
}

/// Unequal counts for all ranks with this sum: the first ranks may have none.
inline std::vector<std::size_t> unequal_parts(std::size_t total, int ranks) {
  std::vector<std::size_t> counts;
  std::size_t rest = total;
  for (int r = 0; r + 1 < ranks; ++r) {
    counts.push_back(rest * static_cast<std::size_t>(r) / static_cast<std::size_t>(ranks + 1));
    rest -= counts.back();
  }
  counts.push_back(rest);
  return counts;
}

template <class T>
std::vector<T> numbers_of(int rank, std::size_t size) {
  std::vector<T> numbers(size);
  for (std::size_t i = 0; i < size; ++i) numbers[i] = static_cast<T>(number_of(rank, i));
  return numbers;
}

/// |a - b| within a few roundings of the largest of the terms.
template <class T>
void expect_sum(const std::vector<T>& got, int ranks, std::size_t i) {
  double expected = 0, scale = 0;
  for (int r = 0; r < ranks; ++r) {
    const auto term = static_cast<double>(static_cast<T>(number_of(r, i)));
    expected += term;
    scale += std::abs(term);
  }
  ASSERT_NEAR(static_cast<double>(got[i]), expected, scale * (sizeof(T) == 4 ? 4e-7 : 1e-15)) << "element " << i << " of " << got.size();
}

template <class T>
void check_sum(Comm& comm, std::size_t size) {
  std::vector<T> data = numbers_of<T>(comm.rank(), size), again = data;
  comm.sum(std::span<T>(data));
  for (std::size_t i = 0; i < size; ++i) expect_sum(data, comm.size(), i);
  comm.sum(std::span<T>(again));
  EXPECT_EQ(data, again) << "two sums of the same numbers";
  const auto all = comm.gather(std::as_bytes(std::span<const T>(data)));
  for (const auto& other : all) EXPECT_EQ(other, all[0]) << "the same bits on all ranks";
}

inline void check_parts(Comm& comm, std::size_t size) {
  const std::vector<std::size_t> counts = unequal_parts(size, comm.size());
  std::vector<float> data = numbers_of<float>(comm.rank(), size);
  comm.sum_parts(data, counts);
  std::size_t begin = 0;
  for (int r = 0; r < comm.rank(); ++r) begin += counts[static_cast<std::size_t>(r)];
  for (std::size_t i = begin; i < begin + counts[static_cast<std::size_t>(comm.rank())]; ++i) expect_sum(data, comm.size(), i);

  // Each rank's part of the sums to all: the whole of them.
  std::vector<std::size_t> bytes;
  for (const std::size_t count : counts) bytes.push_back(count * sizeof(float));
  comm.gather_parts(std::as_writable_bytes(std::span(data)), bytes);
  for (std::size_t i = 0; i < size; ++i) expect_sum(data, comm.size(), i);
}

inline void check_bytes(Comm& comm, std::size_t size) {
  for (int root = 0; root < comm.size(); ++root) {
    std::vector<std::byte> data = bytes_of_rank(comm.rank(), size);
    comm.broadcast(data, root);
    EXPECT_EQ(data, bytes_of_rank(root, size));
  }
  const auto all = comm.gather(bytes_of_rank(comm.rank(), size * static_cast<std::size_t>(comm.rank() + 1) / 2));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(comm.size()));
  for (int r = 0; r < comm.size(); ++r)
    EXPECT_EQ(all[static_cast<std::size_t>(r)], bytes_of_rank(r, size * static_cast<std::size_t>(r + 1) / 2));

  // From rank a to rank b go size * a / (b + 1) bytes that begin like those of rank a + 2 b.
  const auto between = [&](int a, int b) {
    return bytes_of_rank(a + 2 * b, size * static_cast<std::size_t>(a) / static_cast<std::size_t>(b + 1));
  };
  std::vector<std::vector<std::byte>> sent, received;
  for (int r = 0; r < comm.size(); ++r) {
    sent.push_back(between(comm.rank(), r));
    received.emplace_back(between(r, comm.rank()).size());
  }
  comm.exchange(std::vector<std::span<const std::byte>>(sent.begin(), sent.end()),
                std::vector<std::span<std::byte>>(received.begin(), received.end()));
  for (int r = 0; r < comm.size(); ++r) EXPECT_EQ(received[static_cast<std::size_t>(r)], between(r, comm.rank())) << "from rank " << r;
}

inline void check_comm(Comm& comm) {
  ASSERT_GE(comm.rank(), 0);
  ASSERT_LT(comm.rank(), comm.size());
  EXPECT_FALSE(comm.transport().empty());
  for (int r = 0; r < comm.size(); ++r) EXPECT_FALSE(comm.host(r).empty());
  for (const std::size_t size : kCommSizes) {
    SCOPED_TRACE(testing::Message() << "rank " << comm.rank() << " of " << comm.size() << ", size " << size);
    check_sum<float>(comm, size);
    check_sum<double>(comm, size);
    check_parts(comm, size);
    check_bytes(comm, size);
    comm.barrier();
  }
}

}  // namespace capstan::engine::test
