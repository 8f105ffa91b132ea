#include "data/hdf5/mapped_image.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "autograd/core/error.h"

namespace capstan::data::hdf5 {
namespace {

constexpr std::size_t kHeldBytes = std::size_t{16} << 20;  // written, and still in memory

int take_room(int descriptor, std::size_t bytes) { return ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes)); }

}  // namespace

MappedImage::MappedImage(int descriptor, std::string name, std::size_t expected_bytes)
    : descriptor_(descriptor), name_(std::move(name)), expected_(std::max<std::size_t>(expected_bytes, 1)) {
  const int error = take_room(descriptor_, expected_);
  require<IoError>(error == 0, name_, ": cannot take ", expected_, " bytes on the disk: ", std::strerror(error));
}

MappedImage::~MappedImage() { unmap(); }

void MappedImage::unmap() {
  if (at_ != nullptr) ::munmap(at_, size_);
  at_ = nullptr;
}

void* MappedImage::resize(std::size_t bytes) {
  error_ = bytes > expected_ ? take_room(descriptor_, bytes) : 0;
  if (error_ != 0) return nullptr;
  void* const at = at_ == nullptr ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0)
                                  : ::mremap(at_, size_, bytes, MREMAP_MAYMOVE);
  if (at == MAP_FAILED) {
    error_ = errno;
    return nullptr;
  }
  at_ = static_cast<char*>(at);
  size_ = bytes;
  return at_;
}

bool MappedImage::lend_to(hid_t access) {
  using Op = H5FD_file_image_op_t;
  H5FD_file_image_callbacks_t lender{};
  lender.image_malloc = [](std::size_t bytes, Op, void* self) { return static_cast<MappedImage*>(self)->resize(bytes); };
  lender.image_realloc = [](void*, std::size_t bytes, Op, void* self) { return static_cast<MappedImage*>(self)->resize(bytes); };
  lender.image_memcpy = [](void* to, const void* from, std::size_t bytes, Op, void*) { return std::memcpy(to, from, bytes); };
  lender.image_free = [](void*, Op, void* self) -> herr_t {
    static_cast<MappedImage*>(self)->unmap();
    return 0;
  };
  lender.udata_copy = [](void* self) { return self; };
  lender.udata_free = [](void*) -> herr_t { return 0; };
  lender.udata = this;
  return H5Pset_file_image_callbacks(access, &lender) >= 0;
}

void MappedImage::wrote(std::size_t bytes) {
  held_ += bytes;
  if (held_ < kHeldBytes || at_ == nullptr) return;
  ::madvise(at_, size_, MADV_DONTNEED);  // of a file, whose pages keep what was written
  held_ = 0;
}

}  // namespace capstan::data::hdf5
