#pragma once
// What the self-test consists of: named checks, each of which throws what is wrong.

#include <functional>
#include <string>

#include "autograd/core/error.h"

namespace capstan::engine {

/// "expected ..., got ...".
class CheckFailed : public Error {
  using Error::Error;
};

struct SelfCheck {
  std::string name;
  std::function<void()> run;
};

}  // namespace capstan::engine
