#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/hdf5/format.h"
#include "data/hdf5/hdf5.h"
#include "data/hdf5/library.h"
#include "data/streamed_file.h"

namespace capstan::data {
namespace {

using hdf5::bytes_of;
using hdf5::Handle;
using hdf5::image_name;
using hdf5::kMaxAttributeBytes;
using hdf5::Library;
using hdf5::reason;
using hdf5::stored_type;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxObjects = 1u << 20;
constexpr unsigned kTrySeconds = 60;
constexpr std::uint64_t kMaxChunkBytes = std::uint64_t{1} << 28;
constexpr std::uint64_t kMaxDeflateRatio = 1100;  // deflate cannot pack tighter than 1032 : 1

// Callbacks that let libhdf5 work on our image in place; by default it would copy it twice.
H5FD_file_image_callbacks_t shared_image(void* image) {
  H5FD_file_image_callbacks_t c{};
  c.image_malloc = [](std::size_t, H5FD_file_image_op_t, void* data) { return data; };
  c.image_memcpy = [](void* to, const void*, std::size_t, H5FD_file_image_op_t, void*) { return to; };
  c.image_realloc = [](void*, std::size_t, H5FD_file_image_op_t, void*) -> void* { return nullptr; };
  c.image_free = [](void*, H5FD_file_image_op_t, void*) -> herr_t { return 0; };
  c.udata_copy = [](void* data) { return data; };
  c.udata_free = [](void*) -> herr_t { return 0; };
  c.udata = image;
  return c;
}

struct Link {
  std::string name;
  H5L_type_t type;
};

std::vector<Link> links_of(hid_t group, bool& ok) {
  std::vector<Link> links;
  hsize_t position = 0;
  ok = H5Literate(
           group, H5_INDEX_NAME, H5_ITER_INC, &position,
           [](hid_t, const char* name, const H5L_info_t* info, void* out) noexcept -> herr_t {
             auto& all = *static_cast<std::vector<Link>*>(out);
             if (all.size() >= kMaxObjects) return -1;
             all.push_back({name, info->type});
             return 0;
           },
           &links) >= 0;
  return links;
}

}  // namespace

struct Hdf5Reader::Impl {
  std::string path;
  std::vector<std::byte> memory;
  std::optional<MappedFile> map;
  std::span<const std::byte> image;  // one of the two
  std::size_t hdf5_bytes = 0;        // of image; the seal follows
  bool sealed = false;
  Options options;
  mutable Handle file;  // see opened()
  std::vector<Hdf5Entry> entries;
  std::vector<std::string> groups;
  std::set<haddr_t> seen;
  std::uint64_t total_bytes = 0;

  template <class... Parts>
  void check(bool ok, std::string_view name, const Parts&... parts) const {
    require<DataError>(ok, path, ": ", name, ": ", parts...);
  }
  void done(bool ok, std::string_view name, std::string_view what) const {
    if (!ok) throw DataError(join_text(path, ": ", name, ": cannot ", what, ": ", reason()));
  }

  void open() {
    std::tie(hdf5_bytes, sealed) = check_seal(image, path, [this] {
      if (map) map->release();
    });
    require<DataError>(sealed || !options.require_seal, path,
                       ": file is cut short or was not written by capstan: no seal at the end of its ", image.size(), " bytes");
    if (!sealed) require_harmless();
    find_all();
  }

  void find_all() {
    const Handle root(H5Gopen2(opened(), "/", H5P_DEFAULT), H5Gclose);
    done(root.ok(), "/", "open the root group");
    groups.push_back("/");
    walk(root, "", 0);
    std::sort(groups.begin(), groups.end());
    std::sort(entries.begin(), entries.end(), [](const Hdf5Entry& a, const Hdf5Entry& b) { return a.name < b.name; });
  }

  /// libhdf5 may crash on bytes that no seal vouches for. Everything that a reader may do with them is done in a child process first.
  void require_harmless() {
    const pid_t child = ::fork();
    require<IoError>(child >= 0, path, ": cannot start a process to try it in: ", std::strerror(errno));
    if (child == 0) {
      for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL}) ::signal(number, SIG_DFL);
      ::alarm(kTrySeconds);
      const auto tried = [](const auto& f) {
        try {
          f();
        } catch (...) {  // the parent will meet it, too, and say what it is
        }
      };
      tried([&] { find_all(); });
      for (const std::string& group : groups) tried([&] { try_attributes(group); });
      for (const Hdf5Entry& e : entries) {
        tried([&] { try_attributes(e.name); });
        tried([&] {
          std::vector<std::byte> bytes(static_cast<std::size_t>(e.spec.shape.numel()) * size_of(e.spec.dtype));
          read(e, bytes);
        });
      }
      file = Handle();
      ::_exit(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    require<DataError>(WIFEXITED(status) || WTERMSIG(status) != SIGALRM, path, ": libhdf5 does not come to an end of it within ",
                       kTrySeconds, " s: the file is damaged or made to do harm");
    require<DataError>(WIFEXITED(status), path, ": libhdf5 crashes on it (signal ", WTERMSIG(status),
                       "): the file is damaged or made to do harm");
  }

  void try_attributes(const std::string& name) const {
    const Handle object(H5Oopen(opened(), name.c_str(), H5P_DEFAULT), H5Oclose);
    for (const std::string& a : attribute_names(object, name)) attribute(object, a);
  }

  std::vector<std::string> attribute_names(hid_t object, std::string_view name) const {
    done(object >= 0, name, "open the object");
    std::vector<std::string> names;
    hsize_t position = 0;
    const auto collect = [](hid_t, const char* found, const H5A_info_t*, void* out) noexcept -> herr_t {
      static_cast<std::vector<std::string>*>(out)->push_back(found);
      return 0;
    };
    done(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &position, collect, &names) >= 0, name, "list the attributes");
    return names;
  }

  /// libhdf5's file, opened again if it was released.
  hid_t opened() const {
    if (file.ok()) return file;
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    auto callbacks = shared_image(const_cast<std::byte*>(image.data()));  // opened for reading, nothing is written
    const bool ready = access.ok() && H5Pset_fapl_core(access, 1u << 16, false) >= 0 &&
                       H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 && H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
                       H5Pset_file_image(access, const_cast<std::byte*>(image.data()), hdf5_bytes) >= 0;
    done(ready, "/", "set the memory driver");
    file = Handle(H5Fopen(image_name().c_str(), H5F_ACC_RDONLY, access), H5Fclose);
    done(file.ok(), "/", "open it as HDF5");
    return file;
  }

  void walk(hid_t group, const std::string& prefix, int depth) {
    check(depth < kMaxDepth, prefix, "groups are nested deeper than ", kMaxDepth);
    bool ok = false;
    const auto links = links_of(group, ok);
    done(ok, prefix.empty() ? "/" : prefix, "list the group");
    for (const auto& [link, type] : links) {
      const std::string name = prefix + "/" + link;
      check(type == H5L_TYPE_HARD, name, "soft and external links are refused");
      check(seen.size() < kMaxObjects, name, "more than ", kMaxObjects, " objects");
      const Handle object(H5Oopen(group, link.c_str(), H5P_DEFAULT), H5Oclose);
      H5O_info_t info{};
      done(object.ok() && H5Oget_info(object, &info) >= 0, name, "open the object");
      check(seen.insert(info.addr).second, name, "a second name for one object is refused");
      check(info.type == H5O_TYPE_GROUP || info.type == H5O_TYPE_DATASET, name, "neither a group nor a dataset");
      if (info.type == H5O_TYPE_GROUP) {
        groups.push_back(name);
        walk(object, name, depth + 1);
      } else {
        entries.push_back(inspect(object, name));
      }
    }
  }

  /// Type, shape and storage of a dataset, each checked; reads no data.
  Hdf5Entry inspect(hid_t set, const std::string& name) {
    Hdf5Entry e;
    e.name = name;
    const Handle create(H5Dget_create_plist(set), H5Pclose), space(H5Dget_space(set), H5Sclose), type(H5Dget_type(set), H5Tclose);
    done(create.ok() && space.ok() && type.ok(), name, "read the description");
    const auto layout = H5Pget_layout(create);
    check(layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT, name, "virtual layout is refused");
    check(H5Pget_external_count(create) == 0, name, "external storage is refused");

    const int rank = H5Sget_simple_extent_ndims(space);
    check(H5Sget_simple_extent_type(space) != H5S_NULL && rank >= 0 && rank <= kMaxRank, name, "needs at most ", kMaxRank, " axes");
    std::array<hsize_t, H5S_MAX_RANK> sizes{};
    H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
    std::array<std::int64_t, kMaxRank> shape{};
    std::uint64_t declared = H5Tget_size(type);
    check(declared > 0, name, "elements without size");
    for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
      check(sizes[i] < (hsize_t{1} << 62) && !__builtin_mul_overflow(declared, sizes[i], &declared), name, "declares too many bytes");
      shape[i] = static_cast<std::int64_t>(sizes[i]);
    }
    check(H5Tcommitted(type) == 0, name, "a committed type is refused");
    if (H5Tget_class(type) == H5T_STRING) {
      check(H5Tis_variable_str(type) == 0 && rank == 0, name, "only single texts of fixed length are read");
      e.is_text = true;
      e.spec = {Shape{static_cast<std::int64_t>(declared)}, DType::u8};
    } else {
      e.spec = {Shape(std::span<const std::int64_t>(shape.data(), static_cast<std::size_t>(rank))), dtype(set, type, name)};
    }

    e.stored_bytes = H5Dget_storage_size(set);
    total_bytes += std::min(declared, options.max_bytes + 1);
    check(total_bytes <= options.max_bytes, name, "file declares more than ", options.max_bytes, " bytes");
    check(e.stored_bytes <= hdf5_bytes, name, "declares ", e.stored_bytes, " stored bytes in a file of ", hdf5_bytes);
    if (layout == H5D_CHUNKED) {
      check_chunks(create, name, rank, H5Tget_size(type), declared, e.stored_bytes);
    } else {
      check(e.stored_bytes == declared, name, "declares ", declared, " bytes but stores ", e.stored_bytes);
      if (layout == H5D_CONTIGUOUS && declared > 0) {
        const haddr_t offset = H5Dget_offset(set);
        check(offset != HADDR_UNDEF && offset <= hdf5_bytes - declared, name, "its ", declared, " bytes lie outside the file");
      }
    }
    return e;
  }

  void check_chunks(hid_t create, const std::string& name, int rank, std::uint64_t element, std::uint64_t declared,
                    std::uint64_t stored) const {
    for (int i = 0; i < H5Pget_nfilters(create); ++i) {
      unsigned flags = 0, config = 0;
      std::size_t values = 0;
      const auto filter = H5Pget_filter2(create, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
      check(filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32, name, "filter ",
            static_cast<int>(filter), " is refused; deflate, shuffle and fletcher32 are read");
    }
    std::array<hsize_t, H5S_MAX_RANK> chunk{};
    done(H5Pget_chunk(create, H5S_MAX_RANK, chunk.data()) == rank, name, "read the chunk shape");
    std::uint64_t bytes = element;
    for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
      check(!__builtin_mul_overflow(bytes, chunk[i], &bytes) && bytes <= kMaxChunkBytes, name, "chunks are larger than ", kMaxChunkBytes,
            " bytes");
    }
    const bool deflated = H5Pget_nfilters(create) > 0;
    check(declared / (deflated ? kMaxDeflateRatio : 1) <= stored, name, "declares ", declared, " bytes but stores ", stored);
  }

  DType dtype(hid_t set, hid_t type, const std::string& name) const {
    const auto note = attribute(set, "dtype");
    const auto* text = note ? std::get_if<std::string>(&*note) : nullptr;
    for (const DType t : {DType::f32, DType::bf16, DType::f64, DType::i32, DType::i64, DType::u8}) {
      const bool named = text == nullptr ? t != DType::bf16 : *text == name_of(t);
      if (named && H5Tequal(type, stored_type(t)) > 0) return t;
    }
    throw DataError(join_text(path, ": ", name,
                              ": element type is not one of f32, bf16, f64, i32, i64, u8, or not the one that its attribute",
                              " dtype names", text == nullptr ? std::string() : " (" + text->substr(0, 32) + ")"));
  }

  std::optional<Hdf5Attribute> attribute(hid_t object, const std::string& name) const {
    if (H5Aexists(object, name.c_str()) <= 0) return std::nullopt;
    const Handle a(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
    const Handle type(a.ok() ? H5Aget_type(a) : -1, H5Tclose), space(a.ok() ? H5Aget_space(a) : -1, H5Sclose);
    if (!type.ok() || !space.ok() || H5Sget_simple_extent_npoints(space) != 1) return std::nullopt;
    const auto size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
      case H5T_INTEGER: {
        std::int64_t v = 0;
        if (H5Aread(a, H5T_NATIVE_INT64, &v) >= 0) return v;
        break;
      }
      case H5T_FLOAT: {
        double v = 0;
        if (H5Aread(a, H5T_NATIVE_DOUBLE, &v) >= 0) return v;
        break;
      }
      case H5T_STRING: {
        if (H5Tis_variable_str(type) != 0 || size > 2 * kMaxAttributeBytes) break;
        std::string v(size, '\0');
        if (H5Aread(a, type, v.data()) >= 0) return v.substr(0, v.find('\0'));
        break;
      }
      default: break;
    }
    return std::nullopt;
  }

  const Hdf5Entry& entry(std::string_view name, bool text) const {
    const auto at =
        std::lower_bound(entries.begin(), entries.end(), name, [](const Hdf5Entry& e, std::string_view n) { return e.name < n; });
    check(at != entries.end() && at->name == name, name, "no such dataset");
    check(at->is_text == text, name, text ? "is a tensor, expected a text" : "is a text, expected a tensor");
    return *at;
  }

  void read(const Hdf5Entry& e, std::span<std::byte> out) const {
    const Handle set(H5Dopen2(opened(), e.name.c_str(), H5P_DEFAULT), H5Dclose);
    done(set.ok(), e.name, "open the dataset");
    const Handle type(H5Dget_type(set), H5Tclose);
    done(type.ok() && (out.empty() || H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) >= 0), e.name, "read the dataset");
    const auto stored = attribute(set, "crc32c");
    if (!stored && !sealed) return;  // of another program
    const auto* want = stored ? std::get_if<std::int64_t>(&*stored) : nullptr;
    check(want != nullptr, e.name, "has no checksum");
    const bool empty_text = e.is_text && out.size() == 1 && out[0] == std::byte{0};
    const Shape shape = empty_text ? Shape{0} : e.spec.shape;
    const auto got = dataset_checksum(e.name, e.is_text ? "text" : name_of(e.spec.dtype), shape, out);
    check(*want == got, e.name, "checksum of the data is ", got, ", the file says ", *want, ": the file is damaged");
  }

  void read_rows(const Hdf5Entry& e, std::int64_t first, const Shape& shape, std::span<std::byte> out) const {
    if (out.empty()) return;
    std::array<hsize_t, kMaxRank> start{}, sizes{};
    start[0] = static_cast<hsize_t>(first);
    std::transform(shape.begin(), shape.end(), sizes.begin(), [](std::int64_t n) { return static_cast<hsize_t>(n); });
    const Handle set(H5Dopen2(opened(), e.name.c_str(), H5P_DEFAULT), H5Dclose);
    done(set.ok(), e.name, "open the dataset");
    const Handle type(H5Dget_type(set), H5Tclose), stored(H5Dget_space(set), H5Sclose);
    const Handle wanted(H5Screate_simple(shape.rank(), sizes.data(), nullptr), H5Sclose);
    done(type.ok() && wanted.ok() && H5Sselect_hyperslab(stored, H5S_SELECT_SET, start.data(), nullptr, sizes.data(), nullptr) >= 0 &&
             H5Dread(set, type, wanted, stored, H5P_DEFAULT, out.data()) >= 0,
         e.name, "read rows of the dataset");
  }

  Hdf5Attribute need(std::string_view where, std::string_view name) const {
    const std::string full = normal_path(where);
    const bool known = std::binary_search(groups.begin(), groups.end(), full) ||
                       std::any_of(entries.begin(), entries.end(), [&](const Hdf5Entry& e) { return e.name == full; });
    check(known, full, "no such group or dataset");
    const Handle object(H5Oopen(opened(), full.c_str(), H5P_DEFAULT), H5Oclose);
    done(object.ok(), full, "open the object");
    auto value = attribute(object, std::string(name));
    check(value.has_value(), full, "has no attribute ", name);
    return *value;
  }
};

Hdf5Reader::Hdf5Reader(const std::string& path) : Hdf5Reader(path, Options{}) {}
Hdf5Reader::Hdf5Reader(const std::string& path, const Options& options) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->options = options;
  if (options.mapped) {
    impl_->map.emplace(path);
    impl_->image = impl_->map->bytes();
  } else {
    impl_->memory = read_file(path);
    impl_->image = impl_->memory;
  }
  const Library library;
  impl_->open();
  release();
}
Hdf5Reader::Hdf5Reader(std::vector<std::byte> image, std::string name, const Options& options) : impl_(std::make_unique<Impl>()) {
  const Library library;
  impl_->path = std::move(name);
  impl_->memory = std::move(image);
  impl_->image = impl_->memory;
  impl_->options = options;
  impl_->open();
}
Hdf5Reader::~Hdf5Reader() {
  if (impl_) {
    const Library library;
    impl_.reset();
  }
}
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&& other) noexcept {
  impl_.swap(other.impl_);
  return *this;
}

const std::string& Hdf5Reader::path() const { return impl_->path; }
const std::vector<Hdf5Entry>& Hdf5Reader::entries() const { return impl_->entries; }
const std::vector<std::string>& Hdf5Reader::groups() const { return impl_->groups; }

const Hdf5Entry* Hdf5Reader::find(std::string_view name) const {
  const std::string full = normal_path(name);
  for (const auto& e : impl_->entries) {
    if (e.name == full) return &e;
  }
  return nullptr;
}

Tensor Hdf5Reader::read(std::string_view name) const {
  const auto& e = impl_->entry(normal_path(name), false);
  Tensor t(e.spec);
  read_into(name, t);
  return t;
}

Tensor Hdf5Reader::read(std::string_view name, const Spec& expected) const {
  const auto& e = impl_->entry(normal_path(name), false);
  impl_->check(e.spec == expected, e.name, "is ", e.spec, ", expected ", expected);
  return read(name);
}

void Hdf5Reader::read_into(std::string_view name, const Tensor& target) const {
  const Library library;
  const auto& e = impl_->entry(normal_path(name), false);
  impl_->check(e.spec == target.spec(), e.name, "is ", e.spec, ", expected ", target.spec());
  require<InternalError>(target.is_contiguous(), "hdf5 reader: ", e.name, ": the target is strided");
  impl_->read(e, bytes_of(target));
}

Tensor Hdf5Reader::read_rows(std::string_view name, std::int64_t first, std::int64_t count) const {
  const Library library;
  const auto& e = impl_->entry(normal_path(name), false);
  const Shape& shape = e.spec.shape;
  impl_->check(impl_->sealed, e.name, "rows are read of sealed files only");
  impl_->check(shape.rank() > 0 && first >= 0 && count >= 0 && first <= shape[0] && count <= shape[0] - first, e.name, "has no rows ",
               first, " to ", first + count, ", it is ", e.spec);
  Tensor rows(shape.with(0, count), e.spec.dtype);
  impl_->read_rows(e, first, rows.shape(), bytes_of(rows));
  return rows;
}

void Hdf5Reader::release() const {
  const Library library;
  if (!impl_->map) return;
  impl_->file = Handle();  // by its closing, for libhdf5 keeps a megabyte or two of each open file
  impl_->map->release();
}

std::string Hdf5Reader::read_text(std::string_view name) const {
  const Library library;
  const auto& e = impl_->entry(normal_path(name), true);
  std::string text(static_cast<std::size_t>(e.spec.shape.numel()), '\0');
  impl_->read(e, std::as_writable_bytes(std::span(text)));
  text.resize(std::min(text.size(), text.find('\0')));
  return text;
}

std::map<std::string, Hdf5Attribute> Hdf5Reader::attributes(std::string_view path) const {
  const Library library;
  const std::string full = normal_path(path);
  const bool known = std::binary_search(groups().begin(), groups().end(), full) || find(full) != nullptr;
  impl_->check(known, full, "no such group or dataset");
  const Handle object(H5Oopen(impl_->opened(), full.c_str(), H5P_DEFAULT), H5Oclose);
  std::map<std::string, Hdf5Attribute> found;
  for (const std::string& name : impl_->attribute_names(object, full)) {
    if (auto value = impl_->attribute(object, name)) found.emplace(name, std::move(*value));
  }
  return found;
}

std::int64_t Hdf5Reader::integer(std::string_view path, std::string_view name) const {
  const Library library;
  const auto value = impl_->need(path, name);
  impl_->check(std::holds_alternative<std::int64_t>(value), path, "attribute ", name, " is not an integer");
  return std::get<std::int64_t>(value);
}

double Hdf5Reader::number(std::string_view path, std::string_view name) const {
  const Library library;
  const auto value = impl_->need(path, name);
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  impl_->check(std::holds_alternative<double>(value), path, "attribute ", name, " is not a number");
  return std::get<double>(value);
}

std::string Hdf5Reader::text(std::string_view path, std::string_view name) const {
  const Library library;
  const auto value = impl_->need(path, name);
  impl_->check(std::holds_alternative<std::string>(value), path, "attribute ", name, " is not a text");
  return std::get<std::string>(value);
}

}  // namespace capstan::data
