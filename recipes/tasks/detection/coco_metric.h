#pragma once
// CocoMetric: the box metric of COCO, as pycocotools takes it (specification: cocoeval.py, iouType bbox). Fed image by image; it knows no
// files, no network and no batch.
//
//     ap             mean over IoU thresholds .5 .55 ... .95 and categories of the interpolated average precision (101 recalls)
//     ap50, ap75     the same at one threshold
//     ap_small ...   of boxes of an area up to 32^2, from there up to 96^2, and above; ground truth counts with its own `area`
//     ar@1 ...       mean over thresholds and categories of the recall with at most 1, 10, 100 detections an image and category
//     ar_small ...   the same with 100 detections, by area
//
// A number is a share, 0 .. 1, or -1 where no category has a box to be found. Per image, category and area range the detections in the
// order of their scores (equal ones in the order given) take the best ground truth left; crowds, and boxes outside the area range, are
// neither to be found nor an error when they are. Over images, detections with equal scores count in the order of the images' ids.
// One difference from pycocotools 2.0: an annotation whose id is 0 counts as any other, while it takes the detection that meets it for a
// false one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/detection/annotations.h"
#include "recipes/engine/metrics/metric.h"

namespace capstan::detection {

enum class AreaRange : std::uint8_t { all, small, medium, large };

class CocoMetric : public engine::Accumulator {
 public:
  static constexpr std::int64_t kThresholds = 10, kRecalls = 101, kAreas = 4, kMostDetections = 100;
  /// The IoU at which a detection meets a box, .5 + .05 i.
  static double threshold(std::int64_t i);

  struct Options {
    bool per_category = false;                 ///< also report "ap/<category>"
    std::vector<std::string> categories = {};  ///< their names; empty: numbers
  };
  explicit CocoMetric(std::int64_t categories) : CocoMetric(categories, Options{}) {}
  CocoMetric(std::int64_t categories, Options options);

  /// An image, once. Throws InternalError for a category outside 0 .. categories - 1, NumericalError for a score that is no number.
  void add(std::int64_t image, std::span<const data::AnnotatedBox> truth, std::span<const data::DetectedBox> found);

  /// Adds the images of another part, which this one must not have. sums() holds no more than their count.
  void merge(const CocoMetric& part);
  /// What merge adds beside the sums, as bytes.
  std::vector<std::byte> judged() const;
  void add_judged(std::span<const std::byte> judged);

  /// What can be said of the images so far.
  class Result {
   public:
    /// The twelve numbers, in the order of pycocotools and under the names above.
    engine::Metrics numbers() const;
    /// Average precision of a category, or -1; over all thresholds, or at one.
    double ap(std::int64_t category, AreaRange area = AreaRange::all) const;
    double ap_at(std::int64_t threshold, std::int64_t category, AreaRange area = AreaRange::all) const;
    /// Recall with up to 100 detections an image.
    double ar(std::int64_t category, AreaRange area = AreaRange::all) const;
    /// Interpolated precision at the recalls 0, .01 ... 1 (with up to 100 detections an image); all -1 if there is nothing to be found.
    std::span<const double> precision(std::int64_t threshold, std::int64_t category, AreaRange area = AreaRange::all) const;
    /// Boxes to be found, and detections of a category that count.
    std::int64_t truths(std::int64_t category) const { return truths_[static_cast<std::size_t>(category)]; }
    std::int64_t detections(std::int64_t category) const { return detections_[static_cast<std::size_t>(category)]; }
    std::int64_t categories() const { return static_cast<std::int64_t>(truths_.size()); }

   private:
    friend class CocoMetric;
    static constexpr std::array<std::int64_t, 3> kLimits{1, 10, kMostDetections};
    std::size_t precision_at(std::int64_t threshold, std::int64_t category, std::int64_t area) const;
    std::size_t recall_at(std::int64_t threshold, std::int64_t category, std::int64_t area, std::size_t limit) const;
    double mean_precision(std::span<const std::int64_t> thresholds, std::int64_t first, std::int64_t last, AreaRange area) const;
    double mean_recall(std::int64_t first, std::int64_t last, AreaRange area, std::size_t limit) const;

    std::vector<double> precision_;  // [areas, categories, thresholds, recalls]
    std::vector<double> recall_;     // [areas, limits, categories, thresholds]
    std::vector<std::int64_t> truths_, detections_;
  };
  Result result() const;

  std::int64_t images() const { return static_cast<std::int64_t>(sums_[0]); }
  /// Those of Result::numbers(), then those of the categories.
  std::vector<engine::MetricInfo> metrics() const override;
  std::vector<double> values() const override;

 private:
  /// A detection after it was matched, with a bit for each threshold.
  struct Judged {
    double score = 0;
    std::int64_t image = 0;
    std::int64_t rank = 0;                                   // among those of its image and category
    std::array<std::uint16_t, kAreas> matched{}, skipped{};  // skipped: neither true nor false
  };
  struct Category {
    std::vector<Judged> found;
    std::array<std::int64_t, kAreas> to_find{};
  };
  void judge(std::int64_t image, std::span<const data::AnnotatedBox* const> truth, std::span<const data::DetectedBox* const> found,
             Category& category) const;

  Options options_;
  std::vector<Category> categories_;
};

}  // namespace capstan::detection
