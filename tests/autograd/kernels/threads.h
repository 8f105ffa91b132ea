#pragma once
// Kernels on more work than it takes to start threads (2 * kGrain, openmp/parallel.h): one, two and three threads must give the same bits,
// and what the reference gives. The samples of the ops are far smaller and run on one thread.

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/core/rng.h"
#include "autograd/kernels/backend.h"

namespace capstan::kernels::testing_threads {

template <class T>
std::vector<T> random_values(std::int64_t n, std::uint64_t seed, double low = -1, double high = 1) {
  Rng rng(random_key(seed, "threads_test"));
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = T(static_cast<float>(rng.uniform(low, high)));
  return values;
}
inline std::vector<std::int64_t> random_indices(std::int64_t n, std::int64_t size, std::uint64_t seed) {
  Rng rng(random_key(seed, "threads_test"));
  std::vector<std::int64_t> values(static_cast<std::size_t>(n));
  for (std::int64_t& v : values) v = static_cast<std::int64_t>(rng.uniform(0, static_cast<double>(size)));
  return values;
}
template <class T>
std::vector<T> zeros(std::int64_t n) {
  return std::vector<T>(static_cast<std::size_t>(n));
}

/// All results of a kernel, one after another.
struct Results {
  std::vector<double> values;
  template <class T>
  void add(const T& more) {
    for (const auto v : more) values.push_back(static_cast<double>(v));
  }
};

/// What a kernel promises of its results with another number of threads: the same bits, or only the same rounding error, because it
/// computes products with the library, which may divide a sum among threads.
enum class Promise { same_bits, same_rounding };

inline void expect_near(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_LE(std::abs(actual[i] - expected[i]), tolerance * (1 + std::abs(expected[i])))
        << what << " differ at element " << i << ": " << actual[i] << " and " << expected[i];
}

/// `tolerance` is relative to 1 + |value|.
inline void check(const std::string& name, double tolerance, const std::function<void(Results&)>& run,
                  Promise promise = Promise::same_bits) {
  SCOPED_TRACE(name);
  const int before = omp_get_max_threads();
  std::vector<Results> by_threads;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    run(by_threads.emplace_back());
  }
  omp_set_num_threads(before);
  const std::vector<double>& one = by_threads[0].values;
  for (const std::size_t threads : {2u, 3u})
    expect_near(by_threads[threads - 1].values, one, promise == Promise::same_bits ? 0 : tolerance,
                std::to_string(threads) + " threads and one");
  const ScopedBackend reference(Backend::reference);
  Results expected;
  run(expected);
  expect_near(one, expected.values, tolerance, "fast and reference");
}

}  // namespace capstan::kernels::testing_threads
