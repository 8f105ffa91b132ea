#pragma once
// train.reduce: how the gradients of several processes become one (gradient_exchange.h).

namespace capstan::engine {

enum class Reduce {
  fast,     ///< as each sum comes out, while backward goes on
  ordered,  ///< in an order that does not depend on the number of processes
};

}  // namespace capstan::engine
