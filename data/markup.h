#pragma once
// Text and pictures inside XML and HTML.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace capstan::data {

/// Text inside an element or a quoted attribute: what markup reserves is written as entities, what XML forbids is left out, and what is not
/// UTF-8 becomes U+FFFD.
std::string escaped_markup(std::string_view text);

/// RFC 4648, with padding.
std::string base64(std::span<const std::byte> bytes);

}  // namespace capstan::data
