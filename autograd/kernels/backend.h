#pragma once
// Which kernels compute. f64 always runs on kernels/reference; f32 and bf16 run on the fast kernels (openmp, onednn) unless
// a ScopedBackend on this thread forces the reference, which is how tests make one the oracle of the other.

namespace capstan::kernels {

enum class Backend { fast, reference };

Backend backend();

/// Selects the back end on this thread until the guard goes.
class ScopedBackend {
 public:
  explicit ScopedBackend(Backend b);
  ~ScopedBackend();
  ScopedBackend(const ScopedBackend&) = delete;
  ScopedBackend& operator=(const ScopedBackend&) = delete;

 private:
  Backend before_;
};

}  // namespace capstan::kernels
