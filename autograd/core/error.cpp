#include "autograd/core/error.h"

#include <charconv>

namespace capstan::detail {

std::string to_text(double v) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
  return std::string(buffer, end);
}

}  // namespace capstan::detail
