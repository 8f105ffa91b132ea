#pragma once
// What reader and writer share of libhdf5: its lock, open objects, element types, error texts. Not for others: only this folder names the
// library.

#define H5_USE_110_API  // the vocabulary of libhdf5 1.10, also when compiled against a newer one
#include <hdf5.h>

#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "autograd/core/tensor.h"

namespace capstan::data::hdf5 {

inline constexpr std::size_t kMaxAttributeBytes = 32768;  // the 1.6 format cannot hold 64 KiB

/// Held around every use of libhdf5.
class Library {
 public:
  Library();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// A name for one image. libhdf5 takes two open memory files of the same name for one file. Under the lock of Library.
std::string image_name();

/// The innermost entry of libhdf5's error stack.
std::string reason();

/// An open libhdf5 object.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& o) noexcept : id_(std::exchange(o.id_, -1)), close_(o.close_) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(id_, o.id_);
    std::swap(close_, o.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

hid_t stored_type(DType t);
/// A fixed-length UTF-8 text.
Handle text_type(std::size_t bytes);
/// The elements of a contiguous tensor; a Tensor is a handle, so its constness is not that of its memory.
std::span<std::byte> bytes_of(const Tensor& t);

}  // namespace capstan::data::hdf5
