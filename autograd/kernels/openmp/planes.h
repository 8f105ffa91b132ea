#pragma once
// Planes of images shared out to threads: for kernels whose planes do not depend on each other.

#include <cstdint>
#include <functional>

namespace capstan::kernels::openmp {

/// Calls f(plane) for every plane in [0, planes), a plane costing `work` additions.
void for_each_plane(std::int64_t planes, std::int64_t work, const std::function<void(std::int64_t)>& f);

}  // namespace capstan::kernels::openmp
