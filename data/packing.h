#pragma once
// Values in a row of bytes, and back in the same order: what processes of one program on machines of one kind tell each other. Not a form
// for files.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autograd/core/error.h"

namespace capstan::data {

class Packer {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>, "a value is packed as its bytes");
    append(std::as_bytes(std::span(&value, 1)));
  }
  /// With its length.
  template <class T>
  void put_list(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>, "a value is packed as its bytes");
    put(std::ssize(values));
    append(std::as_bytes(values));
  }
  void put_text(std::string_view text) { put_list(std::span<const char>(text)); }
  std::vector<std::byte> bytes() && { return std::move(bytes_); }

 private:
  void append(std::span<const std::byte> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }

  std::vector<std::byte> bytes_;
};

/// Reads what a Packer has put. Throws InternalError where less is there.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  template <class T>
  T get() {
    T value;
    std::memcpy(&value, next(1, sizeof(T)).data(), sizeof(T));
    return value;
  }
  template <class T>
  std::vector<T> list() {
    const auto count = get<std::ptrdiff_t>();
    std::vector<T> values;
    const auto from = next(count, sizeof(T));
    values.resize(static_cast<std::size_t>(count));
    if (count > 0) std::memcpy(values.data(), from.data(), from.size());
    return values;
  }
  /// What put_list has put, where it lies.
  std::span<const std::byte> bytes() {
    const auto count = get<std::ptrdiff_t>();
    return next(count, 1);
  }
  std::string text() {
    const auto letters = list<char>();
    return {letters.begin(), letters.end()};
  }

 private:
  std::span<const std::byte> next(std::ptrdiff_t count, std::size_t size) {
    require<InternalError>(count >= 0 && static_cast<std::size_t>(count) <= bytes_.size() / size, "unpacking: ", count, " values of ", size,
                           " bytes are expected, ", bytes_.size(), " bytes are left");
    const auto out = bytes_.first(static_cast<std::size_t>(count) * size);
    bytes_ = bytes_.subspan(out.size());
    return out;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace capstan::data
