#include "data/hdf5/library.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <memory>

#include "autograd/core/error.h"

namespace capstan::data::hdf5 {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and written from memory as it is");

std::recursive_mutex& mutex() {
  static std::recursive_mutex m;
  return m;
}

}  // namespace

Library::Library() : lock_(mutex()) {
  static const bool ready = [] {
    // Without this libhdf5 flushes at exit and crashes there if an earlier write had failed. It must be the very first call.
    H5dont_atexit();
    // A process that is split while another thread is inside the library would leave the child with a lock that nobody opens.
    ::pthread_atfork([] { mutex().lock(); }, [] { mutex().unlock(); }, [] { std::construct_at(&mutex()); });
    return H5open() >= 0 && H5PLset_loading_state(0) >= 0;
  }();
  require<InternalError>(ready, "hdf5: the library does not start");
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // a setting of the calling thread: errors are ours to report
  H5Eclear2(H5E_DEFAULT);
}

std::string image_name() {
  static std::uint64_t count = 0;
  return join_text("image-", ++count);
}

std::string reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
        if (n == 0 && e->desc != nullptr) std::snprintf(static_cast<char*>(out), 200, "%s", e->desc);
        return 0;
      },
      (text.resize(200), text.data()));
  text.resize(std::strlen(text.c_str()));
  return text.empty() ? "unknown reason" : text;
}

hid_t stored_type(DType t) {
  switch (t) {
    case DType::f32: return H5T_IEEE_F32LE;
    case DType::f64: return H5T_IEEE_F64LE;
    case DType::bf16: return H5T_STD_U16LE;  // HDF5 has no bfloat16: the bits, told apart by the attribute `dtype`
    case DType::i32: return H5T_STD_I32LE;
    case DType::i64: return H5T_STD_I64LE;
    case DType::u8: return H5T_STD_U8LE;
  }
  throw InternalError("hdf5: unknown element type");
}

Handle text_type(std::size_t bytes) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, std::max<std::size_t>(bytes, 1));  // HDF5 knows no empty string
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

std::span<std::byte> bytes_of(const Tensor& t) {
  const auto size = size_of(t.dtype());
  return {t.storage().data() + static_cast<std::size_t>(t.layout().offset()) * size, static_cast<std::size_t>(t.numel()) * size};
}

}  // namespace capstan::data::hdf5
