#pragma once
// Which code computes, the one place that decides it. f64 always runs on the reference (plain loops, kernels/reference); f32 and bf16 run
// on the fast kernels (openmp, onednn) unless a ScopedBackend on this thread forces the reference, which is how tests make one the oracle
// of the other.
//
// A kernel is a struct template over the element type that spells its signature once:
//     template <class T>
//     struct Sine {
//       using Signature = void(const T* x, T* y, std::int64_t n);
//       static Signature fast, reference;                     // defined in openmp/<family>.cpp and reference/<family>.cpp
//     };
//     inline constexpr Kernel<Sine, float, bfloat16, double> sine;  // called like a function overloaded for these types
// `fast` and `reference` are members of different names, each defined and instantiated in one file: callers see neither loops nor options.

#include <type_traits>
#include <utility>

#include "autograd/core/dtype.h"
#include "autograd/core/profile.h"

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

/// Whether elements of this type have fast kernels at all.
template <class T>
inline constexpr bool has_fast_kernels = std::is_same_v<T, float> || std::is_same_v<T, bfloat16>;
/// The decision, for kernels that learn their element type at run time.
inline bool runs_fast(DType t) { return (t == DType::f32 || t == DType::bf16) && backend() == Backend::fast; }

/// The scope of one call of a kernel in a profile. A family that is no pass over memory says `static constexpr profile::Kind kind`, and one
/// whose work the sizes of tensors do not tell, `static profile::Work work(the kernel's arguments)`.
template <class Family>
class KernelScope {
 public:
  template <class... Args>
  explicit KernelScope(const Args&... args) : scope_(profile::type_name<Family>(), kind()) {
    if constexpr (requires { Family::work(args...); }) {
      if (profile::is_recording()) profile::add_work(Family::work(args...));
    }
  }

 private:
  static constexpr profile::Kind kind() {
    if constexpr (requires { Family::kind; }) return Family::kind;
    return profile::Kind::pass;
  }
  profile::Scope scope_;
};

/// One kernel for one element type T, callable like a function.
template <class T, class Family, class Signature = typename Family::Signature>
struct KernelFor;

template <class T, class Family, class Result, class... Args>
struct KernelFor<T, Family, Result(Args...)> {
  Result operator()(Args... args) const {
    const KernelScope<Family> scope(args...);
    if constexpr (has_fast_kernels<T>) {
      if (backend() == Backend::fast) return Family::fast(std::forward<Args>(args)...);
    }
    return Family::reference(std::forward<Args>(args)...);
  }
};

/// The kernel `Family` for the element types T: calls Family<T>::fast or Family<T>::reference.
template <template <class> class Family, class... T>
struct Kernel : KernelFor<T, Family<T>>... {
  using KernelFor<T, Family<T>>::operator()...;
};

/// A kernel whose first argument, a description of the problem, names the element type of its operands in `dtype`.
template <class Family, class Signature = typename Family::Signature>
struct KernelByDType;

template <class Family, class Result, class Problem, class... Args>
struct KernelByDType<Family, Result(const Problem&, Args...)> {
  Result operator()(const Problem& problem, Args... args) const {
    const KernelScope<Family> scope(problem, args...);
    return runs_fast(problem.dtype) ? Family::fast(problem, args...) : Family::reference(problem, args...);
  }
};

}  // namespace capstan::kernels
