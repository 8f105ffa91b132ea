#pragma once
// Parameter: a named leaf tensor that an optimiser updates in place.

#include <string>

#include "autograd/core/tensor.h"

namespace capstan {

struct Parameter {
  std::string name;             ///< path, such as "encoder/0/query/weight"
  Tensor value;                 ///< a leaf; every module that uses the parameter holds a copy of this handle
  bool trainable = true;
  bool decay = true;            ///< weight decay applies
  bool sparse_gradient = false;  ///< a table whose gradient is row-sparse
};

}  // namespace capstan
