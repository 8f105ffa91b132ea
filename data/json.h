#pragma once
// JSON files of others: configurations, headers of weight files, tokenizers, annotations. Read into memory and looked at through views.
//
// The parser is simdjson, which checks UTF-8 and limits the depth; only json.cpp names it. Beyond it, a name that stands twice in one
// object is refused: parsers differ in which one they take. Every error is a DataError that names the file and the place in it,
// "config.json: /vision/heads: expected an integer, found text". Writing: json_string, the rest is put together where it is needed.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capstan::data {

/// A text as JSON writes it, in quotes. What is not UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

/// What becomes of NaN, Infinity and -Infinity, which are no JSON but written by some programs (Python's json), and of numbers that are
/// too large.
enum class NotFinite : std::uint8_t {
  refuse,  ///< a DataError that names the place
  null,    ///< read as null
};

/// A value of a document, which it keeps alive; cheap to copy.
class Json {
 public:
  enum class Kind { null, boolean, number, text, list, object };

  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }
  const std::string& place() const { return place_; }  ///< "config.json: /vision/heads"

  bool boolean() const;
  std::int64_t integer() const;   ///< a number without a fraction, in 64 bits
  std::uint64_t natural() const;  ///< the same, not negative, up to 2^64 - 1
  double number() const;
  std::optional<std::int64_t> whole() const;  ///< a number that is written as an integer, in 64 bits
  std::string_view text() const;

  /// Of a list or an object.
  std::size_t size() const;
  std::vector<Json> items() const;                                 ///< of a list
  std::vector<double> numbers() const;                             ///< of a list of numbers; null is NaN
  std::vector<std::pair<std::string_view, Json>> members() const;  ///< of an object, in the order of the file
  bool has(std::string_view name) const { return find(name).has_value(); }
  std::optional<Json> find(std::string_view name) const;  ///< of an object; null counts as nothing
  Json operator[](std::string_view name) const;           ///< throws if there is none

  /// Throws DataError: "<place>: expected WHAT, found ...".
  [[noreturn]] void fail(std::string_view expected) const;

 private:
  friend Json parse_json(std::string_view, const std::string&, NotFinite);
  struct Document;
  Json(std::shared_ptr<const Document> document, const void* tape, std::size_t at, std::string place)
      : document_(std::move(document)), tape_(tape), at_(at), place_(std::move(place)) {}
  template <class Element>
  Json made(const Element& element, std::string place) const;

  std::shared_ptr<const Document> document_;
  const void* tape_;
  std::size_t at_;
  std::string place_;
};

/// `name` stands for the file in messages. Throws DataError.
Json parse_json(std::string_view text, const std::string& name, NotFinite not_finite = NotFinite::refuse);
/// Throws IoError, too.
Json read_json(const std::string& path, NotFinite not_finite = NotFinite::refuse);

}  // namespace capstan::data
