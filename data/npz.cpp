#include "data/npz.h"

#include <zip.h>

#include <algorithm>
#include <limits>
#include <set>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"

namespace capstan::data {
namespace {

constexpr std::string_view kSuffix = ".npy";
// Deflate packs at most so many bytes into one.
constexpr std::uint64_t kMaxDeflation = 1032;
constexpr zip_uint16_t kFirstDay = 1 << 5 | 1;  // the first date a zip file can name: 1 January 1980

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Zip = std::unique_ptr<zip_t, Discard>;
struct Close {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipFile = std::unique_ptr<zip_file_t, Close>;
struct Free {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Source = std::unique_ptr<zip_source_t, Free>;

struct ZipError {
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;
  std::string text() { return zip_error_strerror(&error); }
  zip_error_t error;
};

std::string place(const std::string& path, std::string_view name) { return join_text(path, ": ", json_string(name)); }

Source source_of(std::span<const std::byte> bytes) {
  ZipError error;
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error.error));
  require<IoError>(source != nullptr, "npz: ", error.text());
  return source;
}

}  // namespace

struct NpzReader::Archive {
  explicit Archive(const std::string& path) : file(path) {
    Source source = source_of(file.bytes());
    ZipError error;
    zip.reset(zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &error.error));
    require<DataError>(zip != nullptr, "npz: ", path, ": is no sound zip file: ",
                       zip_error_code_zip(&error.error) == ZIP_ER_EXISTS ? "two entries have the same name" : error.text());
    (void)source.release();  // now the archive's
  }

  /// Reads as many bytes as there are, up to the size of `to`; returns their number.
  std::size_t read(zip_file_t* entry, std::span<std::byte> to, const std::string& what) const {
    std::size_t done = 0;
    while (done < to.size()) {
      const zip_int64_t n = zip_fread(entry, to.data() + done, to.size() - done);
      require<DataError>(n >= 0, "npz: ", what, ": is damaged: ", zip_file_strerror(entry));
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  ZipFile open(std::size_t index, const std::string& what) const {
    ZipFile entry(zip_fopen_index(zip.get(), index, 0));
    require<DataError>(entry != nullptr, "npz: ", what, ": cannot be unpacked: ", zip_strerror(zip.get()));
    return entry;
  }

  MappedFile file;  // which the archive reads
  Zip zip;
};

NpzReader::NpzReader(const std::string& path) : archive_(std::make_unique<Archive>(path)) {
  zip_t* const zip = archive_->zip.get();
  const std::uint64_t size = archive_->file.bytes().size();
  std::uint64_t stored = 0;
  const auto count = static_cast<std::uint64_t>(zip_get_num_entries(zip, 0));
  for (std::uint64_t i = 0; i < count; ++i) {
    zip_stat_t info;
    require<DataError>(zip_stat_index(zip, i, 0, &info) == 0 && info.name != nullptr, "npz: ", path, ": entry ", i, ": ",
                       zip_strerror(zip));
    const std::string_view full = info.name;
    const std::string what = place(path, full);
    require<DataError>(full.ends_with(kSuffix) && full.size() > kSuffix.size(), "npz: ", what, ": is no array: its name does not end in ",
                       kSuffix);
    require<DataError>(info.encryption_method == ZIP_EM_NONE, "npz: ", what, ": is encrypted");
    require<DataError>(info.comp_method == ZIP_CM_STORE || info.comp_method == ZIP_CM_DEFLATE, "npz: ", what, ": is packed by method ",
                       info.comp_method, " of the zip format; read are stored (0) and deflated (8) entries");
    stored += std::min(info.comp_size, size);
    require<DataError>(info.comp_size <= size && stored <= size, "npz: ", what, ": the entries take more than the ", size,
                       " bytes of the file: they overlap");
    require<DataError>(info.comp_method == ZIP_CM_STORE ? info.size == info.comp_size : info.size / kMaxDeflation <= info.comp_size,
                       "npz: ", what, ": claims ", info.size, " bytes in ", info.comp_size, " packed ones");

    std::vector<std::byte> head(static_cast<std::size_t>(std::min<std::uint64_t>(info.size, NpyHeader::kMaxSize)));
    const ZipFile entry = archive_->open(i, what);
    head.resize(archive_->read(entry.get(), head, what));
    NpzEntry found{.name = std::string(full.substr(0, full.size() - kSuffix.size())),
                   .header = parse_npy_header(head, what),
                   .stored_bytes = info.comp_size};
    require<DataError>(info.size - found.header.size == found.header.bytes, "npz: ", what, ": ", found.header.descr, " of its shape takes ",
                       found.header.bytes, " bytes, the entry has ", info.size - found.header.size, " behind its header");
    index_.emplace(found.name, entries_.size());
    entries_.push_back(std::move(found));
  }
}

NpzReader::~NpzReader() = default;
NpzReader::NpzReader(NpzReader&&) noexcept = default;
NpzReader& NpzReader::operator=(NpzReader&&) noexcept = default;

const std::string& NpzReader::path() const { return archive_->file.path(); }

std::vector<std::pair<std::string, Spec>> NpzReader::tensors() const {
  std::vector<std::pair<std::string, Spec>> out;
  for (const auto& [name, i] : index_) out.emplace_back(name, entries_[i].header.spec(place(path(), name)));
  return out;
}

Tensor NpzReader::read(std::string_view name) const {
  const auto found = index_.find(name);
  const std::string what = place(path(), name);
  require<DataError>(found != index_.end(), "npz: ", path(), ": has no array ", json_string(name));
  const NpyHeader& header = entries_[found->second].header;
  const ZipFile entry = archive_->open(found->second, what);
  std::vector<std::byte> bytes(header.size + static_cast<std::size_t>(header.bytes));
  const std::size_t got = archive_->read(entry.get(), bytes, what);
  require<DataError>(got == bytes.size(), "npz: ", what, ": ends after ", got, " of ", bytes.size(), " bytes");
  std::byte more{};
  require<DataError>(archive_->read(entry.get(), std::span(&more, 1), what) == 0, "npz: ", what, ": unpacks to more than its ",
                     bytes.size(), " bytes");  // at whose end the checksum is compared
  return npy_tensor(header, std::span(bytes).subspan(header.size), what);
}

void write_npz(const std::string& path, std::span<const NamedTensor> tensors, NpzPacking packing) {
  require<DataError>(!tensors.empty(), "npz: ", path, ": there is no array to write");
  std::set<std::string_view> names;
  for (const NamedTensor& t : tensors)
    require<DataError>(!t.name.empty() && names.insert(t.name).second, "npz: ", place(path, t.name), ": the name ",
                       t.name.empty() ? "is empty" : "stands twice");
  // libzip neither syncs nor says durably that it is done; so it writes into memory.
  Source memory = source_of({});
  ZipError error;
  Zip zip(zip_open_from_source(memory.get(), ZIP_TRUNCATE, &error.error));
  require<IoError>(zip != nullptr, "npz: ", path, ": ", error.text());
  zip_source_keep(memory.get());  // one hold is the archive's, one ours
  const auto done = [&](bool ok) { require<IoError>(ok, "npz: ", path, ": ", zip_strerror(zip.get())); };
  std::vector<std::vector<std::byte>> contents(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string header = npy_header(tensors[i].value.spec());
    const auto head = std::as_bytes(std::span(header));
    const std::vector<std::byte> numbers = bytes_of(tensors[i].value);
    contents[i].reserve(head.size() + numbers.size());
    contents[i].assign(head.begin(), head.end());
    contents[i].insert(contents[i].end(), numbers.begin(), numbers.end());
    Source source = source_of(contents[i]);
    const zip_int64_t index = zip_file_add(zip.get(), (tensors[i].name + std::string(kSuffix)).c_str(), source.get(), ZIP_FL_ENC_UTF_8);
    done(index >= 0);
    (void)source.release();  // now the archive's
    const auto at = static_cast<zip_uint64_t>(index);
    done(zip_set_file_compression(zip.get(), at, packing == NpzPacking::stored ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0) == 0);
    done(zip_file_set_dostime(zip.get(), at, 0, kFirstDay, 0) == 0);
  }
  done(zip_close(zip.get()) == 0);
  (void)zip.release();  // closed
  zip_stat_t info;
  std::vector<std::byte> bytes;
  bool ok = zip_source_stat(memory.get(), &info) == 0 && zip_source_open(memory.get()) == 0;
  if (ok) bytes.resize(static_cast<std::size_t>(info.size));
  ok = ok && zip_source_read(memory.get(), bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size());
  if (ok) zip_source_close(memory.get());
  require<IoError>(ok, "npz: ", path, ": ", zip_error_strerror(zip_source_error(memory.get())));
  write_file_durably(path, bytes);
}

}  // namespace capstan::data
