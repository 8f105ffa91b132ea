#include "data/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <tuple>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/json.h"
#include "data/number_type.h"

namespace capstan::data {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";

/// In the order of the format, in which larger elements stand behind.
constexpr std::array<SafetensorsType, 22> kElementTypes{
    {{"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
     {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
     {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},    {"I64", 64}, {"U64", 64}}};

const SafetensorsType* type_named(std::string_view name) {
  const auto found = std::ranges::find(kElementTypes, name, &SafetensorsType::name);
  return found == kElementTypes.end() ? nullptr : &*found;
}

/// Throws DataError for a type that is not read.
NumberType number_type(const SafetensorsEntry& entry) {
  constexpr std::array<std::pair<std::string_view, NumberType>, 13> kRead{{{"BOOL", NumberType::boolean},
                                                                           {"U8", NumberType::u8},
                                                                           {"I8", NumberType::i8},
                                                                           {"U16", NumberType::u16},
                                                                           {"I16", NumberType::i16},
                                                                           {"F16", NumberType::f16},
                                                                           {"BF16", NumberType::bf16},
                                                                           {"U32", NumberType::u32},
                                                                           {"I32", NumberType::i32},
                                                                           {"F32", NumberType::f32},
                                                                           {"U64", NumberType::u64},
                                                                           {"I64", NumberType::i64},
                                                                           {"F64", NumberType::f64}}};
  for (const auto& [name, type] : kRead)
    if (name == entry.type) return type;
  throw DataError(join_text("safetensors: ", entry.name, ": elements of the type ", entry.type, " are not read"));
}

/// Sizes as JSON.
std::string json_list(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (const std::int64_t size : shape) out += join_text(out.size() > 1 ? "," : "", size);
  return out + "]";
}

template <class T>
T loaded(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::string type_written(DType dtype, SafetensorsFloat floats) {
  switch (dtype) {
    case DType::f32:
    case DType::bf16: return floats == SafetensorsFloat::f32 ? "F32" : floats == SafetensorsFloat::bf16 ? "BF16" : "F16";
    case DType::f64: return "F64";
    case DType::i32: return "I32";
    case DType::i64: return "I64";
    case DType::u8: return "U8";
  }
  throw InternalError("safetensors: unknown element type");
}

std::vector<std::byte> bytes_written(const Tensor& value, std::string_view type) {
  if (type != "BF16" && type != "F16") return bytes_of(value);
  const Tensor t = value.contiguous();
  std::vector<std::byte> out(2 * static_cast<std::size_t>(t.numel()));
  dispatch_floating("safetensors", t.dtype(), [&](auto zero) {
    std::size_t at = 0;
    for (const auto number : t.span<const decltype(zero)>()) {
      const auto v = static_cast<float>(number);
      const std::uint16_t half = type == "BF16" ? bfloat16(v).bits : to_float16(v);
      std::memcpy(out.data() + at, &half, 2);
      at += 2;
    }
  });
  return out;
}

constexpr std::string_view kNoChecksum = "00000000";

std::string checksum_entry(std::string_view digits) { return join_text(json_string(kSafetensorsChecksum), ":", json_string(digits)); }

std::string hexadecimal(std::uint32_t number) {
  std::string digits(kNoChecksum.size(), '0');
  for (std::size_t i = digits.size(); i > 0; number >>= 4) digits[--i] = "0123456789abcdef"[number & 15];
  return digits;
}

}  // namespace

Spec SafetensorsEntry::spec() const {
  require<DataError>(shape.size() <= static_cast<std::size_t>(kMaxRank), "safetensors: ", name, ": has ", shape.size(),
                     " axes, a tensor has at most ", kMaxRank);
  return {Shape{std::span<const std::int64_t>(shape)}, read_as(number_type(*this))};
}

SafetensorsReader::SafetensorsReader(const std::string& path, const Options& options) : file_(path) { read_header(options); }

void SafetensorsReader::read_header(const Options& options) {
  const std::span<const std::byte> all = file_.bytes();
  const auto fault = [&](auto&&... text) { return DataError(join_text("safetensors: ", path(), ": ", text...)); };
  if (all.size() < 8) throw fault("the file has ", all.size(), " bytes, the length of the header alone takes 8");
  const auto length = loaded<std::uint64_t>(all.data());
  if (length > kMaxHeader) throw fault("the header has ", length, " bytes, at most ", kMaxHeader, " are allowed");
  if (length > all.size() - 8) throw fault("the header has ", length, " bytes, the file only ", all.size() - 8, " behind its length");
  buffer_ = 8 + static_cast<std::size_t>(length);
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + 8, static_cast<std::size_t>(length));
  if (!text.starts_with('{')) throw fault("the header must begin with '{'");
  const std::uint64_t size = all.size() - buffer_;

  for (const auto& [name, value] : parse_json(text, join_text("safetensors: ", path(), ": header")).members()) {
    if (name == kMetadata) {
      for (const auto& [key, entry] : value.members()) metadata_.emplace(key, entry.text());
      continue;
    }
    const std::string_view type = value["dtype"].text();
    const SafetensorsType* const known = type_named(type);
    if (known == nullptr) throw fault(json_string(name), ": unknown dtype ", json_string(type));
    SafetensorsEntry entry{.name = std::string(name), .type = known->name, .shape = {}};
    std::uint64_t bits = static_cast<std::uint64_t>(known->bits);
    bool empty = false;
    for (const Json& axis : value["shape"].items()) {
      const std::uint64_t n = axis.natural();
      if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) throw fault(json_string(name), ": an axis of ", n);
      entry.shape.push_back(static_cast<std::int64_t>(n));
      empty = empty || n == 0;
      if (__builtin_mul_overflow(bits, n, &bits))
        throw fault(json_string(name), ": the size of shape ", json_list(entry.shape), " overflows");
    }
    if (empty) bits = 0;
    if (bits % 8 != 0) throw fault(json_string(name), ": ", bits, " bits of ", type, " are no whole bytes");
    const std::vector<Json> offsets = value["data_offsets"].items();
    if (offsets.size() != 2) throw fault(json_string(name), ": data_offsets must be two numbers, has ", offsets.size());
    entry.begin = offsets[0].natural();
    entry.end = offsets[1].natural();
    if (entry.begin > entry.end || entry.end > size)
      throw fault(json_string(name), ": data_offsets [", entry.begin, ", ", entry.end, "] do not lie in the ", size,
                  " bytes behind the header");
    if (entry.end - entry.begin != bits / 8)
      throw fault(json_string(name), ": ", type, " of shape ", json_list(entry.shape), " takes ", bits / 8, " bytes, data_offsets have ",
                  entry.end - entry.begin);
    entries_.push_back(std::move(entry));
  }
  std::ranges::sort(entries_, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].begin != at)
      throw fault(json_string(entries_[i].name), ": begins at byte ", entries_[i].begin, ", ",
                  entries_[i].begin > at ? "which leaves a hole behind " : "inside the tensors that end at ", at);
    at = entries_[i].end;
    index_.emplace(entries_[i].name, i);
  }
  if (at != size && !options.allow_trailing_bytes) throw fault("the tensors end at byte ", at, " of ", size, " behind the header");
  if (const auto written = metadata_.find(std::string(kSafetensorsChecksum)); written != metadata_.end()) compare_checksum(written->second);
}

void SafetensorsReader::compare_checksum(std::string_view written) const {
  const std::string entry = checksum_entry(written);
  const std::string_view header(reinterpret_cast<const char*>(file_.bytes().data()), buffer_);
  const std::size_t found = header.find(entry);
  require<DataError>(written.size() == kNoChecksum.size() && found != std::string_view::npos, "safetensors: ", path(), ": ",
                     kSafetensorsChecksum, " is ", json_string(written), ", expected eight hexadecimal digits");
  const std::size_t digits = found + entry.size() - 1 - kNoChecksum.size();
  constexpr std::size_t kPart = std::size_t{1} << 22;
  std::uint32_t crc = crc32c(kNoChecksum, crc32c(header.substr(0, digits)));
  for (auto rest = file_.bytes().subspan(digits + kNoChecksum.size()); !rest.empty(); rest = rest.subspan(std::min(kPart, rest.size()))) {
    crc = crc32c(rest.first(std::min(kPart, rest.size())), crc);
    file_.release();
  }
  require<DataError>(hexadecimal(crc) == written, "safetensors: ", path(), ": its checksum is ", hexadecimal(crc), ", the file says ",
                     written, ": it is damaged, or another program has changed it and left ", kSafetensorsChecksum, " in its metadata");
}

const SafetensorsEntry* SafetensorsReader::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::span<const std::byte> SafetensorsReader::bytes(const SafetensorsEntry& entry) const {
  return file_.bytes().subspan(buffer_ + static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(entry.end - entry.begin));
}

Tensor SafetensorsReader::read(std::string_view name) const {
  const SafetensorsEntry* const entry = find(name);
  require<DataError>(entry != nullptr, "safetensors: ", path(), ": has no tensor ", json_string(name));
  const std::string what = join_text("safetensors: ", path(), ": ", json_string(name));
  const Spec spec = entry->spec();
  return tensor_of(number_type(*entry), bytes(*entry), spec.shape, what);
}

SafetensorsSet::SafetensorsSet(const std::string& path) : path_(path) {
  if (!path.ends_with(".json")) {
    files_.emplace_back(path);
    for (const SafetensorsEntry& e : files_[0].entries()) of_.emplace(e.name, &files_[0]);
    return;
  }
  const Json index = read_json(path);
  const auto names = index["weight_map"].members();
  std::set<std::string, std::less<>> parts;
  for (const auto& [name, file] : names) parts.emplace(file.text());
  require<DataError>(!parts.empty(), "safetensors: ", path, ": weight_map names no tensor");
  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  files_.reserve(parts.size());  // pointers to them are kept
  std::map<std::string, const SafetensorsReader*, std::less<>> reader_of;
  for (const std::string& part : parts) {
    require<DataError>(std::filesystem::path(part).filename() == part, "safetensors: ", path, ": the file ", json_string(part),
                       " of weight_map must stand beside it");
    files_.emplace_back((directory / part).string());
    reader_of.emplace(part, &files_.back());
  }
  for (const auto& [name, file] : names) {
    const SafetensorsReader* const reader = reader_of.find(file.text())->second;
    require<DataError>(reader->find(name) != nullptr, "safetensors: ", path, ": ", json_string(name), " should be in ", reader->path(),
                       ", which has no tensor of this name");
    of_.emplace(name, reader);
  }
  for (const SafetensorsReader& reader : files_)
    for (const SafetensorsEntry& e : reader.entries())
      require<DataError>(of_.contains(e.name) && of_.find(e.name)->second == &reader, "safetensors: ", path, ": does not name ",
                         json_string(e.name), " of ", reader.path());
}

std::vector<std::pair<std::string, Spec>> SafetensorsSet::tensors() const {
  std::vector<std::pair<std::string, Spec>> out;
  for (const auto& [name, reader] : of_) out.emplace_back(name, reader->find(name)->spec());
  return out;
}

Tensor SafetensorsSet::read(std::string_view name) const {
  const auto found = of_.find(name);
  require<DataError>(found != of_.end(), "safetensors: ", path_, ": has no tensor ", json_string(name));
  return found->second->read(name);
}

void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata,
                       SafetensorsFloat floats) {
  struct Item {
    const NamedTensor* tensor;
    std::string type;
    std::size_t rank;  // of the type
  };
  std::vector<Item> items;
  for (const NamedTensor& t : tensors) {
    require<DataError>(t.name != kMetadata, "safetensors: ", path, ": no tensor may be called ", kMetadata);
    std::string type = type_written(t.value.dtype(), floats);
    const auto rank = static_cast<std::size_t>(type_named(type) - kElementTypes.data());
    items.push_back({&t, std::move(type), rank});
  }
  std::ranges::sort(items,
                    [](const Item& a, const Item& b) { return a.rank != b.rank ? a.rank > b.rank : a.tensor->name < b.tensor->name; });
  std::set<std::string_view> names;
  for (const Item& item : items)
    require<DataError>(names.insert(item.tensor->name).second, "safetensors: ", path, ": the name ", json_string(item.tensor->name),
                       " stands twice");

  std::string header = "{";
  std::size_t digits = 0;  // where those of the checksum stand in the file
  if (!metadata.empty()) {
    header += json_string(kMetadata) + ":{";
    for (const auto& [key, value] : metadata) {
      if (!header.ends_with('{')) header += ",";
      header += key == kSafetensorsChecksum ? checksum_entry(kNoChecksum) : join_text(json_string(key), ":", json_string(value));
      if (key == kSafetensorsChecksum) digits = 8 + header.size() - 1 - kNoChecksum.size();
    }
    header += "}";
  }
  std::uint64_t at = 0;
  for (const Item& item : items) {
    const Shape& shape = item.tensor->value.shape();
    const std::uint64_t size = static_cast<std::uint64_t>(shape.numel()) * static_cast<std::uint64_t>(type_named(item.type)->bits) / 8;
    header += join_text(header.size() > 1 ? "," : "", json_string(item.tensor->name), ":{\"dtype\":\"", item.type,
                        "\",\"shape\":", json_list(shape.sizes()), ",\"data_offsets\":[", at, ",", at + size, "]}");
    at += size;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');

  StreamedFile file(path);
  const auto length = static_cast<std::uint64_t>(header.size());
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(std::as_bytes(std::span(header)));
  for (const Item& item : items) file.append(bytes_written(item.tensor->value, item.type));
  const std::string checksum = hexadecimal(file.crc());
  if (digits > 0) file.overwrite(digits, std::as_bytes(std::span(checksum)));
  file.commit();
}

}  // namespace capstan::data
