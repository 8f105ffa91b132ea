#include "recipes/tasks/span_extraction/predictions.h"

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/output_file.h"
#include "data/text/unicode.h"

namespace capstan::span_extraction {
namespace {

void append_escape(std::string& out, std::uint32_t unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[unit >> shift & 15];
}

/// An object with a line for each question.
template <class Value>
std::string object_of(const Predictions& predictions, const Value& value) {
  if (predictions.empty()) return "{}\n";
  std::string out = "{";
  for (const auto& [id, answers] : predictions)
    out += join_text(out.size() > 1 ? "," : "", "\n    ", ascii_json_string(id), ": ", value(answers));
  return out + "\n}\n";
}

}  // namespace

std::string python_number(double value) {
  std::array<char, 32> text{};
  const auto write = [&](std::chars_format format) {
    return std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), value, format).ptr);
  };
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  const std::string scientific = write(std::chars_format::scientific);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  const std::string fixed = write(std::chars_format::fixed);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

std::string ascii_json_string(std::string_view text) {
  const std::string quoted = data::json_string(text);
  std::string out;
  for (std::size_t at = 0; at < quoted.size();) {
    const char32_t c = data::unicode::decode(quoted, at);
    if (c < 0x7F) {
      out += static_cast<char>(c);
    } else if (c < 0x10000) {
      append_escape(out, c);
    } else {
      append_escape(out, 0xD800 + ((c - 0x10000) >> 10));
      append_escape(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }
  return out;
}

std::string predictions_json(const Predictions& predictions) {
  return object_of(predictions, [](const Answers& a) { return ascii_json_string(a.answer().text); });
}

std::string nbest_json(const Predictions& predictions) {
  return object_of(predictions, [](const Answers& answers) {
    std::string out = "[";
    for (const Answer& a : answers.n_best)
      out += join_text(out.size() > 1 ? "," : "", "\n        {\n            \"text\": ", ascii_json_string(a.text),
                       ",\n            \"probability\": ", python_number(a.probability),
                       ",\n            \"start_logit\": ", python_number(a.start_logit),
                       ",\n            \"end_logit\": ", python_number(a.end_logit), "\n        }");
    return out + "\n    ]";
  });
}

std::string null_odds_json(const Predictions& predictions) {
  return object_of(predictions, [](const Answers& a) { return python_number(a.null_odds); });
}

void make_directory(const std::string& path) {
  std::error_code fault;
  std::filesystem::create_directories(path, fault);
  require<IoError>(!fault, path, ": cannot make the directory: ", fault.message());
}

void write_predictions(const std::string& directory, const Predictions& predictions, bool unanswerable) {
  const auto write = [&](const char* name, const std::string& text) { data::write_output(directory + "/" + name, text); };
  write("predictions.json", predictions_json(predictions));
  write("nbest_predictions.json", nbest_json(predictions));
  if (unanswerable) write("null_odds.json", null_odds_json(predictions));
}

}  // namespace capstan::span_extraction
