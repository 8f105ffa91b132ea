#include "autograd/kernels/openmp/planes.h"

#include "autograd/kernels/openmp/parallel.h"

namespace capstan::kernels::openmp {

void for_each_plane(std::int64_t planes, std::int64_t work, const std::function<void(std::int64_t)>& f) {
  parallel_tasks(planes, planes * work, f);
}

}  // namespace capstan::kernels::openmp
