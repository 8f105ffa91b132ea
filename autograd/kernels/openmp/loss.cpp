#include "autograd/kernels/loss.h"

#include "autograd/kernels/openmp/row_math.h"
#include "autograd/kernels/scratch.h"

namespace capstan::kernels {
namespace {

constexpr std::int64_t kChunk = 1024;  // of a row, held in the nearest cache

// log sum exp of a row read once: chunk by chunk with the largest so far, rescaling the sum when that grows.
template <class T>
float log_sum_exp(const T* x, std::int64_t n) {
  constexpr float kMinusInfinity = -kInfinity<float>;
  alignas(64) float buffer[kChunk];
  float max = kMinusInfinity, sum = 0;
  for (std::int64_t first = 0; first < n; first += kChunk) {
    const std::int64_t count = std::min(kChunk, n - first);
    const float* chunk = buffer;
    if constexpr (std::is_same_v<T, float>) {
      chunk = x + first;
    } else {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t j = 0; j < count; ++j) buffer[j] = static_cast<float>(x[first + j]);
    }
    const float larger = max_of(chunk, count, max);
    if (larger != max) sum *= std::exp(max - larger);
    max = larger;
    if (max != kMinusInfinity) sum += sum_of_exp(chunk, count, max);
  }
  return max + std::log(sum);
}

// What a row's gradient needs of its target distribution.
struct TargetMass {
  float hit, background, total;  // weight of the target class, of every class (times its class weight), of all

  TargetMass(const ClassTargets& t, std::int64_t row, std::int64_t classes, float all_weights)
      : hit((1.0f - static_cast<float>(t.smoothing)) * (t.class_weights != nullptr ? t.class_weights[t.target[row]] : 1.0f)),
        background(static_cast<float>(t.smoothing) / static_cast<float>(classes)),
        total(hit + background * all_weights) {}
};

float sum_of_weights(const ClassTargets& t, std::int64_t classes) {
  if (t.class_weights == nullptr) return static_cast<float>(classes);
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) sum += static_cast<double>(t.class_weights[c]);
  return static_cast<float>(sum);
}

}  // namespace

template <class T>
void CrossEntropy<T>::fast(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                           Compute<T>* log_sums) {
  const float all_weights = sum_of_weights(targets, classes);
  parallel_rows(rows, classes, 4, [=](std::int64_t r) {
    losses[r] = log_sums[r] = 0;
    if (targets.target[r] == targets.ignore_index) return;
    const T* const x = logits + r * classes;
    const TargetMass mass(targets, r, classes, all_weights);
    const float log_sum = log_sum_exp(x, classes);
    float expected = 0;  // sum of class weight * x
    if (targets.smoothing != 0) {
      const float* const w = targets.class_weights;
      if (w != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : expected)
        for (std::int64_t c = 0; c < classes; ++c) expected += w[c] * static_cast<float>(x[c]);
      } else {
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : expected)
        for (std::int64_t c = 0; c < classes; ++c) expected += static_cast<float>(x[c]);
      }
    }
    log_sums[r] = log_sum;
    losses[r] = mass.hit * (log_sum - static_cast<float>(x[targets.target[r]])) + mass.background * (all_weights * log_sum - expected);
  });
}

template <class T>
void CrossEntropyBackward<T>::fast(const T* logits, const ClassTargets& targets, std::int64_t rows, std::int64_t classes,
                                   const Compute<T>* log_sums, double scale, T* dlogits) {
  const float all_weights = sum_of_weights(targets, classes);
  const auto factor = static_cast<float>(scale);
  parallel_rows(rows, classes, 4, [=](std::int64_t r) {
    T* const dx = dlogits + r * classes;
    if (targets.target[r] == targets.ignore_index) {
      std::fill_n(dx, classes, T(0.0f));
      return;
    }
    const T* const x = logits + r * classes;
    const TargetMass mass(targets, r, classes, all_weights);
    const std::int64_t target = targets.target[r];
    const float log_sum = log_sums[r], total = mass.total * factor, background = mass.background * factor;
    const float at_target = static_cast<float>(x[target]);  // before it may be overwritten
    const float* const w = targets.class_weights;
    if (w != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t c = 0; c < classes; ++c) store(dx[c], total * exp_or_zero(static_cast<float>(x[c]) - log_sum) - background * w[c]);
    } else {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t c = 0; c < classes; ++c) store(dx[c], total * exp_or_zero(static_cast<float>(x[c]) - log_sum) - background);
    }
    const float smoothed = background * (w != nullptr ? w[target] : 1.0f);
    store(dx[target], total * exp_or_zero(at_target - log_sum) - smoothed - mass.hit * factor);
  });
}

template <class T>
void CrossEntropyPartBackward<T>::fast(const Compute<T>* logits, const ClassTargets& targets, const ClassPart& part,
                                       const Compute<T>* log_sums, double scale, T* dlogits, std::int64_t pitch, Compute<T>* class_sums) {
  const float all_weights = sum_of_weights(targets, part.classes);
  const auto factor = static_cast<float>(scale);
  const Scratch<float> unwanted(class_sums == nullptr ? part.count : 0);
  // Threads share the classes, so that one of them makes the sum over all rows of a class.
  const std::int64_t grain = kGrain / (4 * std::max<std::int64_t>(part.rows, 1)) + 1;
  parallel_ranges(part.count, grain, [=, &unwanted](std::int64_t begin, std::int64_t end) {
    float* const sums = class_sums != nullptr ? class_sums : unwanted.data();
    if (class_sums == nullptr) std::fill(sums + begin, sums + end, 0.0f);
    for (std::int64_t r = 0; r < part.rows; ++r) {
      T* const dx = dlogits + r * pitch;
      // Other parts of the rows lie between, which is too far for the processor to foresee.
      if (r + 1 < part.rows) prefetch_row(logits + (r + 1) * part.classes + part.first + begin, end - begin);
      if (targets.target[r] == targets.ignore_index) {
        std::fill(dx + begin, dx + end, T(0.0f));
        continue;
      }
      const float* const x = logits + r * part.classes + part.first;
      const float* const w = targets.class_weights == nullptr ? nullptr : targets.class_weights + part.first;
      const TargetMass mass(targets, r, part.classes, all_weights);
      const float log_sum = log_sums[r], total = mass.total * factor, background = mass.background * factor;
      const std::int64_t target = targets.target[r] - part.first;
      const bool has_target = target >= begin && target < end;
      const float at_target = has_target ? x[target] : 0.0f;  // before it may be overwritten
      const auto run = [&](auto weight) {
#pragma omp simd simdlen(kSimdLength <T>)
        for (std::int64_t j = begin; j < end; ++j) {
          const float d = total * exp_or_zero(x[j] - log_sum) - background * weight(j);
          sums[j] += d;
          store(dx[j], d);
        }
      };
      w == nullptr ? run([](std::int64_t) { return 1.0f; }) : run([w](std::int64_t j) { return w[j]; });
      if (!has_target) continue;
      const float hit = mass.hit * factor, smoothed = background * (w != nullptr ? w[target] : 1.0f);
      sums[target] -= hit;
      store(dx[target], total * exp_or_zero(at_target - log_sum) - smoothed - hit);
    }
  });
}

template <class T>
void SoftCrossEntropy<T>::fast(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes, Compute<T>* losses,
                               Compute<T>* log_sums) {
  parallel_rows(rows, classes, 4, [=](std::int64_t r) {
    const T* const x = logits + r * classes;
    const T* const t = targets + r * classes;
    const float log_sum = log_sum_exp(x, classes);
    float loss = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : loss)
    for (std::int64_t c = 0; c < classes; ++c) loss += static_cast<float>(t[c]) * (log_sum - static_cast<float>(x[c]));
    log_sums[r] = log_sum;
    losses[r] = loss;
  });
}

template <class T>
void SoftCrossEntropyBackward<T>::fast(const T* logits, const T* targets, std::int64_t rows, std::int64_t classes,
                                       const Compute<T>* log_sums, double scale, T* dlogits, T* dtargets) {
  const auto factor = static_cast<float>(scale);
  parallel_rows(rows, classes, 4, [=](std::int64_t r) {
    const T* const x = logits + r * classes;
    const T* const t = targets + r * classes;
    const float log_sum = log_sums[r];
    float mass = 0;
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : mass)
    for (std::int64_t c = 0; c < classes; ++c) mass += static_cast<float>(t[c]);
    if (dtargets != nullptr) {
      T* const dt = dtargets + r * classes;
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t c = 0; c < classes; ++c) store(dt[c], (log_sum - static_cast<float>(x[c])) * factor);
    }
    if (dlogits != nullptr) {
      T* const dx = dlogits + r * classes;
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t c = 0; c < classes; ++c)
        store(dx[c], (mass * exp_or_zero(static_cast<float>(x[c]) - log_sum) - static_cast<float>(t[c])) * factor);
    }
  });
}

template <class T>
double BinaryCrossEntropy<T>::fast(const T* logits, const T* targets, const float* weights, std::int64_t n) {
  constexpr std::int64_t kBlock = 4096;
  const std::int64_t blocks = (n + kBlock - 1) / kBlock;
  const Scratch<float> partial(blocks);
  parallel_tasks(blocks, 4 * n, [=, &partial](std::int64_t block) {
    float sum = 0;
    const std::int64_t first = block * kBlock, end = std::min(n, first + kBlock);
#pragma omp simd simdlen(kSimdLength <float>) reduction(+ : sum)
    for (std::int64_t i = first; i < end; ++i) {
      const float x = static_cast<float>(logits[i]);
      const float loss = std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x))) - x * static_cast<float>(targets[i]);
      sum += weights != nullptr ? weights[i] * loss : loss;
    }
    partial[block] = sum;
  });
  double total = 0;
  for (const float sum : partial.span()) total += static_cast<double>(sum);
  return total;
}

template <class T>
void BinaryCrossEntropyBackward<T>::fast(const T* logits, const T* targets, const float* weights, std::int64_t n, double scale, T* dlogits,
                                         T* dtargets) {
  const auto common = static_cast<float>(scale);
  parallel_ranges(n, kGrain / 4, [=](std::int64_t first, std::int64_t end) {
    if (dtargets != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t i = first; i < end; ++i)
        store(dtargets[i], -static_cast<float>(logits[i]) * common * (weights != nullptr ? weights[i] : 1.0f));
    }
    if (dlogits != nullptr) {
#pragma omp simd simdlen(kSimdLength <float>)
      for (std::int64_t i = first; i < end; ++i) {
        const float p = 1.0f / (1.0f + std::exp(-static_cast<float>(logits[i])));
        store(dlogits[i], (p - static_cast<float>(targets[i])) * common * (weights != nullptr ? weights[i] : 1.0f));
      }
    }
  });
}

template CrossEntropy<float>::Signature CrossEntropy<float>::fast;
template CrossEntropy<bfloat16>::Signature CrossEntropy<bfloat16>::fast;
template CrossEntropyBackward<float>::Signature CrossEntropyBackward<float>::fast;
template CrossEntropyBackward<bfloat16>::Signature CrossEntropyBackward<bfloat16>::fast;
template CrossEntropyPartBackward<float>::Signature CrossEntropyPartBackward<float>::fast;
template CrossEntropyPartBackward<bfloat16>::Signature CrossEntropyPartBackward<bfloat16>::fast;
template SoftCrossEntropy<float>::Signature SoftCrossEntropy<float>::fast;
template SoftCrossEntropy<bfloat16>::Signature SoftCrossEntropy<bfloat16>::fast;
template SoftCrossEntropyBackward<float>::Signature SoftCrossEntropyBackward<float>::fast;
template SoftCrossEntropyBackward<bfloat16>::Signature SoftCrossEntropyBackward<bfloat16>::fast;
template BinaryCrossEntropy<float>::Signature BinaryCrossEntropy<float>::fast;
template BinaryCrossEntropy<bfloat16>::Signature BinaryCrossEntropy<bfloat16>::fast;
template BinaryCrossEntropyBackward<float>::Signature BinaryCrossEntropyBackward<float>::fast;
template BinaryCrossEntropyBackward<bfloat16>::Signature BinaryCrossEntropyBackward<bfloat16>::fast;

}  // namespace capstan::kernels
