#pragma once
// Errors and `require`: every check of the library ends here.
//
// The shape of a message: "op: rule in words: each tensor with name and shape, then the numbers that differ".
// Library code never prints and never aborts; it throws one of the types below. The types say who can act:
// the user (ShapeError ... IoError) or we (InternalError).

#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace capstan {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A table, which is read by columns.
// clang-format off
class ShapeError : public Error { using Error::Error; };       ///< shapes or layouts that do not fit an operation
class DTypeError : public Error { using Error::Error; };       ///< element types that do not fit an operation
class ArgumentError : public Error { using Error::Error; };    ///< a number or option that an operation or a layer cannot work with
class GraphError : public Error { using Error::Error; };       ///< a value that stands on a tape where it must not, or not where it must
class ConfigError : public Error { using Error::Error; };      ///< command line or config file
class DataError : public Error { using Error::Error; };        ///< a data file or its content
class IoError : public Error { using Error::Error; };          ///< the operating system refused: disk full, permission, ...
class CheckpointError : public Error { using Error::Error; };  ///< a checkpoint that is damaged or of another model
class NumericalError : public Error { using Error::Error; };   ///< NaN or infinity where a finite number is needed
class InternalError : public Error { using Error::Error; };    ///< our bug
// clang-format on

namespace detail {

inline std::string to_text(std::string_view s) { return std::string(s); }
inline std::string to_text(const std::string& s) { return s; }
inline std::string to_text(const char* s) { return s; }
inline std::string to_text(char c) { return std::string(1, c); }
inline std::string to_text(bool b) { return b ? "true" : "false"; }
std::string to_text(double v);  // shortest form that reads back as the same number
inline std::string to_text(float v) { return to_text(static_cast<double>(v)); }
template <std::integral T>
std::string to_text(T v) {
  return std::to_string(v);
}

// Types of the library bring their own to_text by ADL.
template <class T>
void append_text(std::string& out, const T& part) {
  out += to_text(part);
}

}  // namespace detail

/// The parts of a message joined to one string. Parts: text, numbers, and every type with a `to_text(const T&)` beside it.
template <class... Parts>
std::string join_text(const Parts&... parts) {
  std::string out;
  (detail::append_text(out, parts), ...);
  return out;
}

/// Throws E with the joined parts unless `ok`. The message is put together only on failure.
template <class E = ShapeError, class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    throw E(join_text(parts...));
}

}  // namespace capstan
