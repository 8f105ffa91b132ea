#pragma once
// Sizes are signed in this project; containers of the standard want an unsigned index.

#include <cstddef>
#include <cstdint>

namespace capstan::data {

/// Of an element of a container; i >= 0.
constexpr std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace capstan::data
