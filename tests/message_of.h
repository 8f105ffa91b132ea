#pragma once
// The message of the error that a call throws, to be compared in tests.

#include <string>

#include "autograd/core/error.h"

namespace capstan {

/// what() of the E that f throws; "nothing was thrown" if it returns. Other errors pass through.
template <class E = Error, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace capstan
