#include "data/text/unicode.h"

#include <algorithm>
#include <iterator>

namespace capstan::data::unicode {
namespace {

struct Record {
  std::uint8_t classes, combining;
  std::int32_t lower;  // what to add
};
struct Range {
  char32_t first;
  std::uint8_t record;
};
struct Decomposition {
  char32_t code;
  std::uint16_t start;  // in kDecomposed, up to the start of the next
};
struct Composition {
  char32_t first, second, composed;
};

#include "data/text/unicode_tables.inc"

constexpr char32_t kLimit = 0x20000, kBlockSize = 32;
static_assert(std::size(kBlockOf) * kBlockSize == kLimit);

const Record& record(char32_t c) {
  if (c < kLimit) return kRecords[kBlocks[kBlockOf[c / kBlockSize] * kBlockSize + c % kBlockSize]];
  const auto after =
      std::upper_bound(std::begin(kHighRanges), std::end(kHighRanges), c, [](char32_t x, const Range& r) { return x < r.first; });
  return kRecords[std::prev(after)->record];
}

/// `changes`: the places where the answer becomes the other one, beginning with no.
template <std::size_t N>
bool is_between(const char32_t (&changes)[N], char32_t c) {
  return std::distance(std::begin(changes), std::upper_bound(std::begin(changes), std::end(changes), c)) % 2 == 1;
}

// Hangul syllables are computed (The Unicode Standard, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowel = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kLeadingCount = 19, kVowelCount = 21, kTrailingCount = 28, kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

void append_decomposed(std::u32string& out, char32_t c) {
  if (c < 0xC0) {
    out += c;
  } else if (c - kSyllables < kSyllableCount) {
    const char32_t s = c - kSyllables;
    out += kLeading + s / (kVowelCount * kTrailingCount);
    out += kVowel + s / kTrailingCount % kVowelCount;
    if (s % kTrailingCount != 0) out += kTrailing + s % kTrailingCount;
  } else {
    const auto at = std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), c,
                                     [](const Decomposition& d, char32_t x) { return d.code < x; });
    if (at == std::end(kDecompositions) || at->code != c) {
      out += c;
    } else {
      out.append(kDecomposed + at->start, kDecomposed + std::next(at)->start);
    }
  }
}

/// The character that a starter and a following one make; 0 if none.
char32_t composed(char32_t first, char32_t second) {
  if (first - kLeading < kLeadingCount && second - kVowel < kVowelCount)
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowel)) * kTrailingCount;
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTrailingCount == 0 && second - kTrailing - 1 < kTrailingCount - 1)
    return first + (second - kTrailing);
  const auto at = std::lower_bound(std::begin(kCompositions), std::end(kCompositions), std::pair(first, second),
                                   [](const Composition& x, const auto& y) { return std::pair(x.first, x.second) < y; });
  return at != std::end(kCompositions) && at->first == first && at->second == second ? at->composed : 0;
}

bool is_final_sigma(std::u32string_view text, std::size_t i, bool cased_before) {
  if (!cased_before) return false;
  for (std::size_t j = i + 1; j < text.size(); ++j) {
    const auto k = classes(text[j]);
    if ((k & kCaseIgnorable) == 0) return (k & kCased) == 0;
  }
  return true;
}

}  // namespace

std::uint8_t classes(char32_t c) { return record(c).classes; }
std::uint8_t combining_class(char32_t c) { return c < 0x300 ? std::uint8_t{0} : record(c).combining; }

bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || (c >= 0xA0 && (classes(c) & (kSpace | kLine)) != 0);
}

bool is_alphanumeric(char32_t c) { return is_between(kAlphanumeric, c); }
bool is_number(char32_t c) { return is_between(kNumber, c); }

char32_t decode(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at++);
  if (lead < 0x80) return lead;
  if (lead < 0xC2 || lead > 0xF4) return kReplacement;
  const std::size_t more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  // The first byte behind the lead excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t c = lead & (0x3Fu >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if (at == text.size() || byte(at) < low || byte(at) > high) return kReplacement;
    c = c << 6 | (byte(at++) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return c;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t b) { out += static_cast<char>(static_cast<unsigned char>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::u32string to_utf32(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) out += decode(text, at);
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::size_t first_invalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;  // U+FFFD itself takes three bytes, beginning with EF
    if (decode(text, at) == kReplacement && text.substr(start, at - start) != "\xEF\xBF\xBD") return start;
  }
  return std::string_view::npos;
}

bool is_valid_utf8(std::string_view text) { return first_invalid(text) == std::string_view::npos; }

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

char32_t lower_simple(char32_t c) { return static_cast<char32_t>(static_cast<std::int32_t>(c) + record(c).lower); }

std::u32string lower(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool cased_before = false;  // the last character that is not case-ignorable has case
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const Record& r = record(c);
    out += c == 0x3A3 && is_final_sigma(text, i, cased_before) ? char32_t{0x3C2}
                                                               : static_cast<char32_t>(static_cast<std::int32_t>(c) + r.lower);
    if (c == 0x130) out += char32_t{0x307};
    if ((r.classes & kCaseIgnorable) == 0) cased_before = (r.classes & kCased) != 0;
  }
  return out;
}

std::u32string lower_each(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    out += lower_simple(c);
    if (c == 0x130) out += char32_t{0x307};
  }
  return out;
}

std::u32string nfd(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_decomposed(out, c);
  // Canonical order: runs of marks sorted by combining class, equal ones as they came.
  for (std::size_t i = 0; i < out.size();) {
    if (combining_class(out[i]) == 0) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < out.size() && combining_class(out[end]) != 0) ++end;
    if (end - i > 1)
      std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(i), out.begin() + static_cast<std::ptrdiff_t>(end),
                       [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    i = end;
  }
  return out;
}

std::u32string nfc(std::u32string_view text) {
  std::u32string out = nfd(text);
  constexpr auto none = static_cast<std::size_t>(-1);
  std::size_t kept = 0, starter = none;
  int last = 0;  // combining class of the last character kept behind the starter
  for (const char32_t c : out) {
    const int k = combining_class(c);
    // Blocked: something of the same or a higher class stands between; a starter must follow its partner directly.
    const bool adjacent = starter != none && kept == starter + 1;
    if (starter != none && (adjacent || (k != 0 && last < k))) {
      if (const char32_t both = composed(out[starter], c); both != 0) {
        out[starter] = both;
        continue;
      }
    }
    if (k == 0) starter = kept;
    last = k;
    out[kept++] = c;
  }
  out.resize(kept);
  return out;
}

std::string_view strip(std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_python_space(decode(text, at))) break;
    begin = at;
  }
  text.remove_prefix(begin);
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    std::size_t at = start;
    if (!is_python_space(decode(text, at)) || at != text.size()) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

std::string single_blanks(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (!is_python_space(decode(text, at))) {
      out += text.substr(begin, at - begin);
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace capstan::data::unicode
