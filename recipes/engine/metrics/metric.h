#pragma once
// Metrics: declared before they are taken, each with its direction, and summed up over cases by accumulators that merge.
//
// An accumulator keeps sums over its cases and nothing else, never a mean, so adding the sums of several parts (threads, processes)
// gives the metric of all cases. A NaN score is a NumericalError: it would otherwise rank first or last by accident of comparison.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::engine {

struct Metric {
  std::string name;  ///< "ndcg@10", "full/ndcg@10"
  double value = 0;
};
/// In the order of reporting; names are unique.
using Metrics = std::vector<Metric>;

/// The value of a metric; ConfigError listing the known names if there is none of this name.
double value_of(const Metrics& metrics, std::string_view name);

/// Which way a metric gets better; `none`: it describes what was measured (a count of cases) and selects nothing.
enum class Goal { minimize, maximize, none };

struct MetricInfo {
  std::string name;
  Goal goal = Goal::maximize;
};

class Accumulator {
 public:
  virtual ~Accumulator() = default;
  /// Names and directions; does not depend on the cases.
  virtual std::vector<MetricInfo> metrics() const = 0;
  /// Aligned with metrics(), of the sums so far; NaN where there was no case.
  virtual std::vector<double> values() const = 0;
  /// All that has been accumulated.
  std::span<double> sums() { return sums_; }
  std::span<const double> sums() const { return sums_; }
  /// Adds the sums of another part. Throws InternalError if it has another number of them.
  void merge(const Accumulator& part);

 protected:
  explicit Accumulator(std::size_t sums) : sums_(sums) {}
  Accumulator(const Accumulator&) = default;
  Accumulator(Accumulator&&) = default;
  Accumulator& operator=(const Accumulator&) = default;
  Accumulator& operator=(Accumulator&&) = default;

  std::vector<double> sums_;
};

/// The declared metrics of accumulators in their order, and their values.
std::vector<MetricInfo> declared(std::span<Accumulator* const> accumulators);
Metrics reported(std::span<Accumulator* const> accumulators);

/// A mean of cases under one name.
class Mean : public Accumulator {
 public:
  explicit Mean(std::string name = "mean", Goal goal = Goal::maximize) : Accumulator(2), info_{std::move(name), goal} {}
  void add(double value, double count = 1) { sums_[0] += value * count, sums_[1] += count; }
  double value() const;  ///< NaN without cases
  double count() const { return sums_[1]; }
  std::vector<MetricInfo> metrics() const override { return {info_}; }
  std::vector<double> values() const override { return {value()}; }

 private:
  MetricInfo info_;
};

/// A number of things, such as cases or skipped images.
class Count : public Accumulator {
 public:
  explicit Count(std::string name) : Accumulator(1), name_(std::move(name)) {}
  void add(double count = 1) { sums_[0] += count; }
  std::vector<MetricInfo> metrics() const override { return {{name_, Goal::none}}; }
  std::vector<double> values() const override { return sums_; }

 private:
  std::string name_;
};

}  // namespace capstan::engine
