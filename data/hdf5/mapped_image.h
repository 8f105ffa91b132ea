#pragma once
// MappedImage: the memory in which libhdf5 builds an image, taken from a file: what is written there is the file's content, and the system
// may write it out and take the pages back, so an image may be larger than memory. Room on the disk is taken before a page is touched: a
// full disk is an error here, not a signal later.

#include <cstddef>
#include <string>

#include "data/hdf5/library.h"

namespace capstan::data::hdf5 {

class MappedImage {
 public:
  /// `descriptor`: of an empty file, open for reading and writing. Takes room for `expected_bytes`. Throws IoError.
  MappedImage(int descriptor, std::string name, std::size_t expected_bytes);
  ~MappedImage();
  MappedImage(const MappedImage&) = delete;
  MappedImage& operator=(const MappedImage&) = delete;

  /// Makes libhdf5 take memory here for the one file that is created with these access properties.
  bool lend_to(hid_t access);
  /// Says that so many bytes were written, some of which then need not stay in memory.
  void wrote(std::size_t bytes);
  /// Why libhdf5 got no more memory; 0: it did.
  int error() const { return error_; }
  const std::string& name() const { return name_; }
  int descriptor() const { return descriptor_; }

 private:
  void* resize(std::size_t bytes);
  void unmap();

  int descriptor_;
  std::string name_;
  std::size_t expected_;
  char* at_ = nullptr;
  std::size_t size_ = 0, held_ = 0;
  int error_ = 0;
};

}  // namespace capstan::data::hdf5
