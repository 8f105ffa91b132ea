#include "autograd/kernels/backend.h"

#include <utility>

namespace capstan::kernels {
namespace {
thread_local Backend current = Backend::fast;
}

Backend backend() { return current; }
ScopedBackend::ScopedBackend(Backend b) : before_(std::exchange(current, b)) {}
ScopedBackend::~ScopedBackend() { current = before_; }

}  // namespace capstan::kernels
