#include "recipes/tasks/text/readable.h"

#include <string_view>

namespace capstan::text {

std::string readable(std::span<const std::int32_t> ids, const data::Vocabulary& vocabulary) {
  constexpr std::string_view kContinuation = "##";
  std::string out;
  bool parts = false;  // a [SEP] that something may follow
  for (const std::int32_t id : ids) {
    const std::string& token = vocabulary.token(id);
    if (token == "[CLS]" || token == "[PAD]") continue;
    if (token == "[SEP]") {
      parts = true;
      continue;
    }
    if (parts) out += " |||";
    parts = false;
    if (token.starts_with(kContinuation) && token.size() > kContinuation.size() && !out.empty()) {
      out += token.substr(kContinuation.size());
    } else {
      out += (out.empty() ? "" : " ") + token;
    }
  }
  return out;
}

}  // namespace capstan::text
