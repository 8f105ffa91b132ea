#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "autograd/core/error.h"
#include "data/hdf5/format.h"
#include "data/hdf5/hdf5.h"
#include "data/hdf5/library.h"
#include "data/hdf5/mapped_image.h"

namespace capstan::data {
namespace {

using hdf5::bytes_of;
using hdf5::Handle;
using hdf5::image_name;
using hdf5::kMaxAttributeBytes;
using hdf5::Library;
using hdf5::reason;
using hdf5::stored_type;
using hdf5::text_type;

constexpr std::size_t kMappedStep = std::size_t{4} << 20;  // by which an image in a file grows

}  // namespace

struct Hdf5Writer::Impl {
  std::unique_ptr<hdf5::MappedImage> mapped = nullptr;  // outlives the file in it
  Handle file, with_parents;

  void create(std::size_t step) {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    check(access.ok() && H5Pset_fapl_core(access, step, false) >= 0 && (mapped == nullptr || mapped->lend_to(access)), "/",
          "set the memory driver");
    file = Handle(H5Fcreate(image_name().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    with_parents = Handle(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    check(file.ok() && H5Pset_create_intermediate_group(with_parents, 1) >= 0, "/", "create the image");
  }
  /// Writes out what libhdf5 holds back; returns the size of the image.
  std::size_t complete() const {
    check(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, "/", "flush the image");
    const auto size = H5Fget_file_image(file, nullptr, 0);
    check(size > 0, "/", "measure the image");
    return static_cast<std::size_t>(size);
  }
  void check(bool ok, std::string_view path, std::string_view what) const {
    if (!ok && mapped != nullptr && mapped->error() != 0)
      throw IoError(join_text(mapped->name(), ": cannot take more room on the disk: ", std::strerror(mapped->error())));
    require<DataError>(ok, "hdf5 writer: ", path, ": cannot ", what, ": ", ok ? std::string() : reason());
  }
  void attribute(hid_t object, std::string_view path, std::string_view name, hid_t type, const void* value) const {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const Handle a(H5Acreate2(object, std::string(name).c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    check(a.ok() && H5Awrite(a, type, value) >= 0, path, join_text("write attribute ", name));
  }
  void text_attribute(hid_t object, std::string_view path, std::string_view name, std::string_view text) const {
    require<DataError>(text.size() <= kMaxAttributeBytes, "hdf5 writer: ", path, ": attribute ", name, " has ", text.size(),
                       " bytes, at most ", kMaxAttributeBytes, " fit; write a text dataset");
    attribute(object, path, name, text_type(text.size()), text.empty() ? "" : text.data());
  }
  void dataset(const std::string& path, hid_t type, hid_t space, hid_t create, std::string_view kind, const Shape& shape,
               std::span<const std::byte> bytes) const {
    const Handle set(H5Dcreate2(file, path.c_str(), type, space, with_parents, create, H5P_DEFAULT), H5Dclose);
    check(set.ok(), path, "create the dataset");
    if (!bytes.empty()) check(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0, path, "write the dataset");
    text_attribute(set, path, "dtype", kind);
    const std::uint32_t crc = dataset_checksum(path, kind, shape, bytes);
    attribute(set, path, "crc32c", H5T_STD_U32LE, &crc);
    if (mapped != nullptr) mapped->wrote(bytes.size());
  }
};

Hdf5Writer::Hdf5Writer(std::size_t expected_bytes) : impl_(std::make_unique<Impl>()) {
  const Library library;
  impl_->create(std::max<std::size_t>(expected_bytes + expected_bytes / 64, std::size_t{1} << 20));
}
Hdf5Writer::Hdf5Writer(int descriptor, std::string name, std::size_t expected_bytes) : impl_(std::make_unique<Impl>()) {
  const Library library;
  impl_->mapped = std::make_unique<hdf5::MappedImage>(descriptor, std::move(name), expected_bytes);
  impl_->create(kMappedStep);
}
Hdf5Writer::~Hdf5Writer() {
  if (impl_) {
    const Library library;
    impl_.reset();
  }
}
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer& Hdf5Writer::operator=(Hdf5Writer&& other) noexcept {
  impl_.swap(other.impl_);
  return *this;
}

void Hdf5Writer::group(std::string_view path) {
  const Library library;
  const std::string name = normal_path(path);
  const Handle g(H5Gcreate2(impl_->file, name.c_str(), impl_->with_parents, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  impl_->check(g.ok(), name, "create the group");
}

void Hdf5Writer::write(std::string_view path, const Tensor& tensor, const Hdf5Storage& storage) {
  const Library library;
  const std::string name = normal_path(path);
  require<InternalError>(tensor.defined(), "hdf5 writer: ", name, ": tensor is undefined");
  const Tensor t = tensor.contiguous();
  std::array<hsize_t, kMaxRank> sizes{};
  std::transform(t.shape().begin(), t.shape().end(), sizes.begin(), [](std::int64_t n) { return static_cast<hsize_t>(n); });
  const Handle space(t.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(t.rank(), sizes.data(), nullptr), H5Sclose);
  const Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  impl_->check(space.ok() && H5Pset_obj_track_times(create, false) >= 0, name, "describe the dataset");
  if (storage.deflate > 0 && t.rank() > 0 && t.numel() > 0) {
    const hsize_t row_bytes = bytes_of(t).size() / sizes[0];
    const auto wanted = storage.chunk_rows > 0 ? static_cast<hsize_t>(storage.chunk_rows) : (hsize_t{1} << 20) / row_bytes;
    sizes[0] = std::clamp<hsize_t>(wanted, 1, sizes[0]);
    const bool ok = H5Pset_chunk(create, t.rank(), sizes.data()) >= 0 && H5Pset_shuffle(create) >= 0 &&
                    H5Pset_deflate(create, static_cast<unsigned>(storage.deflate)) >= 0;
    impl_->check(ok, name, "set chunks and deflate");
  }
  impl_->dataset(name, stored_type(t.dtype()), space, create, name_of(t.dtype()), t.shape(), bytes_of(t));
}

void Hdf5Writer::write_text(std::string_view path, std::string_view text) {
  const Library library;
  const std::string name = normal_path(path);
  require<DataError>(text.find('\0') == text.npos, "hdf5 writer: ", name, ": a text must not contain NUL characters");
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  impl_->check(space.ok() && H5Pset_obj_track_times(create, false) >= 0, name, "describe the dataset");
  const std::string_view stored = text.empty() ? std::string_view("\0", 1) : text;
  impl_->dataset(name, text_type(text.size()), space, create, "text", Shape{static_cast<std::int64_t>(text.size())},
                 std::as_bytes(std::span(stored)));
}

void Hdf5Writer::set(std::string_view path, std::string_view name, const Hdf5Attribute& value) {
  const Library library;
  const std::string where = normal_path(path);
  const Handle object(H5Oopen(impl_->file, where.c_str(), H5P_DEFAULT), H5Oclose);
  impl_->check(object.ok(), where, join_text("open it for attribute ", name));
  if (const auto* i = std::get_if<std::int64_t>(&value)) impl_->attribute(object, where, name, H5T_STD_I64LE, i);
  if (const auto* d = std::get_if<double>(&value)) impl_->attribute(object, where, name, H5T_IEEE_F64LE, d);
  if (const auto* s = std::get_if<std::string>(&value)) impl_->text_attribute(object, where, name, *s);
}

std::vector<std::byte> Hdf5Writer::finish() {
  const Library library;
  require<InternalError>(impl_->mapped == nullptr, "hdf5 writer: this image is in a file");
  const std::size_t size = impl_->complete();
  std::vector<std::byte> image;
  image.reserve(size + kSealBytes);
  image.resize(size);
  impl_->check(H5Fget_file_image(impl_->file, image.data(), image.size()) == static_cast<ssize_t>(size), "/", "copy the image");
  impl_.reset();
  append_seal(image);
  return image;
}

Digest Hdf5Writer::finish_file() {
  const Library library;
  require<InternalError>(impl_->mapped != nullptr, "hdf5 writer: this image is in memory");
  const std::size_t size = impl_->complete();
  const int descriptor = impl_->mapped->descriptor();
  const std::string name = impl_->mapped->name();
  impl_.reset();
  const auto done = [&](bool ok, std::string_view what) {
    require<IoError>(ok, name, ": ", what, " failed: ", ok ? "" : std::strerror(errno));
  };
  done(::ftruncate(descriptor, static_cast<off_t>(size)) == 0, "setting its size");
  done(::lseek(descriptor, 0, SEEK_SET) == 0, "going to its begin");
  const Digest image = digest_descriptor(descriptor, name);
  require<IoError>(image.bytes == size, name, ": has ", image.bytes, " bytes, not the ", size, " that were written");
  const std::string seal = seal_text(size, image.crc32c);
  const auto line = std::as_bytes(std::span(seal));
  write_all(descriptor, line, name);
  return digest_of(line, image);
}

}  // namespace capstan::data
