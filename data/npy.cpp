#include "data/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"

namespace capstan::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
// NumPy leaves room behind the shape for the first axis to grow to so many digits, and fills up to a multiple of 64 bytes.
constexpr std::size_t kAxisDigits = 21, kAlignment = 64;

constexpr std::array<std::pair<std::string_view, NumberType>, 12> kDescriptors{{{"|b1", NumberType::boolean},
                                                                                {"|u1", NumberType::u8},
                                                                                {"|i1", NumberType::i8},
                                                                                {"<u2", NumberType::u16},
                                                                                {"<i2", NumberType::i16},
                                                                                {"<f2", NumberType::f16},
                                                                                {"<u4", NumberType::u32},
                                                                                {"<i4", NumberType::i32},
                                                                                {"<f4", NumberType::f32},
                                                                                {"<u8", NumberType::u64},
                                                                                {"<i8", NumberType::i64},
                                                                                {"<f8", NumberType::f64}}};

NumberType type_named(std::string_view descr, const std::string& file) {
  for (const auto& [name, type] : kDescriptors)
    if (name == descr) return type;
  const std::string_view reason = descr.starts_with("|O")  ? "it holds Python objects, which only Python can open"
                                  : descr.starts_with('>') ? "its numbers are big-endian; save array.astype(array.dtype.newbyteorder('<'))"
                                                           : "expected a boolean (|b1), an integer (|i1 ... <u8) or a float (<f2 ... <f8)";
  throw DataError(join_text("npy: ", file, ": the dtype ", json_string(descr), " is not read: ", reason));
}

/// The header's text, a dict of Python, read from left to right.
class DictReader {
 public:
  DictReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  void read(NpyHeader& header) {
    std::array<bool, 3> seen{};
    take('{');
    while (!next_is('}')) {
      const std::string_view key = quoted();
      take(':');
      const auto once = [&](std::size_t i) {
        if (std::exchange(seen[i], true)) fail(join_text("the key ", json_string(key), " stands twice"));
      };
      if (key == "descr") {
        once(0);
        if (next_is('['))
          throw DataError(join_text("npy: ", file_, ": is an array of records (several named fields), of which none is a tensor"));
        header.descr = quoted();
      } else if (key == "fortran_order") {
        once(1);
        header.fortran_order = boolean();
      } else if (key == "shape") {
        once(2);
        header.shape = tuple();
      } else {
        fail(join_text("unknown key ", json_string(key)));
      }
      if (!next_is('}')) take(',');
    }
    take('}');
    if (!std::ranges::all_of(seen, [](bool s) { return s; })) fail("needs the keys descr, fortran_order and shape");
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    if (at_ < text_.size()) fail("more stands behind the dict");
  }

 private:
  [[noreturn]] void fail(std::string_view fault) const {
    throw DataError(join_text("npy: ", file_, ": the header is no dict of descr, fortran_order and shape: ", fault));
  }
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool next_is(char c) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == c;
  }
  void take(char c) {
    if (!next_is(c))
      fail(join_text("expected ", json_string(std::string(1, c)), " at character ", at_, ", found ",
                     at_ < text_.size() ? json_string(text_.substr(at_, 8)) : "the end"));
    ++at_;
  }
  std::string_view quoted() {
    const char quote = next_is('"') ? '"' : '\'';
    take(quote);
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("a text without its end");
    const std::string_view text = text_.substr(at_, end - at_);
    if (text.find('\\') != std::string_view::npos) fail("a text with a backslash");
    at_ = end + 1;
    return text;
  }
  bool boolean() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    fail("fortran_order must be True or False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> sizes;
    take('(');
    for (bool comma = true; !next_is(')');) {
      if (!comma) fail("the shape's sizes need commas between them");
      std::int64_t size = 0;
      const char* const begin = text_.data() + at_;
      const auto r = std::from_chars(begin, text_.data() + text_.size(), size);
      if (r.ec != std::errc() || size < 0)
        fail(join_text("expected a size of the shape at character ", at_, ", found ", json_string(text_.substr(at_, 24))));
      at_ += static_cast<std::size_t>(r.ptr - begin);
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // how Python 2 wrote long integers
      sizes.push_back(size);
      comma = next_is(',');
      if (comma) ++at_;
      if (!comma && sizes.size() == 1) fail("a shape of one axis needs a comma: (n,)");
    }
    take(')');
    return sizes;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const std::string& file_;
};

std::string python_tuple(std::span<const std::int64_t> shape) {
  std::string out = "(";
  for (const std::int64_t size : shape) out += join_text(out.size() > 1 ? ", " : "", size);
  return out + (shape.size() == 1 ? ",)" : ")");
}

std::string_view descr_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::bf16: return "<f4";
    case DType::f64: return "<f8";
    case DType::i32: return "<i4";
    case DType::i64: return "<i8";
    case DType::u8: return "|u1";
  }
  throw InternalError("npy: unknown element type");
}

/// The numbers of a whole file, checked against its header.
std::span<const std::byte> numbers_of(const MappedFile& file, NpyHeader& header) {
  header = parse_npy_header(file.bytes(), file.path());
  const std::uint64_t rest = file.bytes().size() - header.size;
  require<DataError>(rest == header.bytes, "npy: ", file.path(), ": ", header.descr, " of shape ", python_tuple(header.shape), " takes ",
                     header.bytes, " bytes, the file has ", rest, " behind its header");
  return file.bytes().subspan(header.size);
}

}  // namespace

Spec NpyHeader::spec(const std::string& file) const {
  require<DataError>(shape.size() <= static_cast<std::size_t>(kMaxRank), "npy: ", file, ": has ", shape.size(),
                     " axes, a tensor has at most ", kMaxRank);
  return {Shape{std::span<const std::int64_t>(shape)}, read_as(type)};
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& file) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  require<DataError>(all.starts_with(kMagic), "npy: ", file, ": does not begin as a .npy file does (\\x93NUMPY)");
  const auto byte = [&](std::size_t at) {
    require<DataError>(at < all.size(), "npy: ", file, ": ends inside its header, after ", all.size(), " bytes");
    return static_cast<std::size_t>(static_cast<unsigned char>(all[at]));
  };
  const std::size_t major = byte(6), minor = byte(7);
  require<DataError>(major >= 1 && major <= 3 && minor == 0, "npy: ", file, ": is of version ", major, ".", minor,
                     " of the format; read are 1.0, 2.0 and 3.0");
  NpyHeader header;
  std::size_t length = byte(8) | byte(9) << 8;
  header.size = 10;
  if (major > 1) {
    length |= byte(10) << 16 | byte(11) << 24;
    header.size = 12;
  }
  require<DataError>(length <= NpyHeader::kMaxSize - header.size, "npy: ", file, ": the header has ", length, " bytes, at most ",
                     NpyHeader::kMaxSize - header.size, " are allowed");
  require<DataError>(length <= all.size() - header.size, "npy: ", file, ": the header has ", length, " bytes, the file only ",
                     all.size() - header.size, " behind its length");
  DictReader(all.substr(header.size, length), file).read(header);
  header.size += length;
  header.type = type_named(header.descr, file);

  std::int64_t count = 1;
  bool fits = true;
  for (const std::int64_t size : header.shape) fits = fits && !__builtin_mul_overflow(count, size, &count);
  fits = fits && !__builtin_mul_overflow(static_cast<std::uint64_t>(count), size_of(header.type), &header.bytes);
  require<DataError>(fits, "npy: ", file, ": the size of shape ", python_tuple(header.shape), " overflows");
  return header;
}

Tensor npy_tensor(const NpyHeader& header, std::span<const std::byte> bytes, const std::string& file) {
  const Spec spec = header.spec(file);
  const int rank = spec.shape.rank();
  const std::string what = "npy: " + file;
  if (!header.fortran_order || rank < 2 || spec.shape.numel() == 0) return tensor_of(header.type, bytes, spec.shape, what);
  std::vector<std::int64_t> sizes(header.shape.rbegin(), header.shape.rend());
  std::vector<int> order;
  for (int axis = rank - 1; axis >= 0; --axis) order.push_back(axis);
  const Tensor turned = tensor_of(header.type, bytes, Shape{std::span<const std::int64_t>(sizes)}, what);
  return turned.view(turned.layout().permute(order)).contiguous();
}

Tensor read_npy(const std::string& path) {
  const MappedFile file(path);
  NpyHeader header;
  const std::span<const std::byte> numbers = numbers_of(file, header);
  return npy_tensor(header, numbers, path);
}

NpyHeader read_npy_header(const std::string& path) {
  const MappedFile file(path);
  NpyHeader header;
  numbers_of(file, header);
  return header;
}

std::string npy_header(const Spec& spec) {
  const Shape& shape = spec.shape;
  std::string dict =
      join_text("{'descr': '", descr_of(spec.dtype), "', 'fortran_order': False, 'shape': ", python_tuple(shape.sizes()), ", }");
  if (shape.rank() > 0) dict.append(kAxisDigits - std::to_string(shape[0]).size(), ' ');
  const std::size_t used = kMagic.size() + 4 + dict.size() + 1;
  dict.append(kAlignment - used % kAlignment, ' ');
  dict += '\n';
  std::string out(kMagic);
  out += {'\x01', '\0', static_cast<char>(dict.size() & 255), static_cast<char>(dict.size() >> 8)};
  return out + dict;
}

void write_npy(const std::string& path, const Tensor& value) {
  const std::string header = npy_header(value.spec());
  StreamedFile file(path);
  file.append(std::as_bytes(std::span(header)));
  file.append(bytes_of(value));
  file.commit();
}

NpyRows::NpyRows(const std::string& path, std::int64_t width) : file_(path), width_(width) {
  const std::string header = npy_header({Shape{0, width}, DType::f32});
  file_.append(std::as_bytes(std::span(header)));
}

void NpyRows::append(std::span<const float> row) {
  require<InternalError>(static_cast<std::int64_t>(row.size()) == width_, "npy: a row of ", row.size(), " numbers, the array has ", width_);
  file_.append(std::as_bytes(row));
  ++rows_;
}

void NpyRows::commit() {
  const std::string header = npy_header({Shape{rows_, width_}, DType::f32});  // as long as for any other number of rows
  file_.overwrite(0, std::as_bytes(std::span(header)));
  file_.commit();
}

}  // namespace capstan::data
