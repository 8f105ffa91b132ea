#pragma once
// ForeignNames: how the tensors of another program's model stand for the parameters of one of ours, in both directions.
//
// A list of pairs, made by a function beside the model (nn/models/*_names.h), which knows its options. What a pair may say: theirs has its
// axes in another order (a transposed matrix), or its sizes grouped otherwise (a head's width apart, axes of size 1), or ours is some rows
// or columns of theirs (query, key and value in one matrix), or is made of one of other sizes. translated() looks at a file through it, for
// nn/import.h; translated_back() makes the tensors of a file. What came in goes out again bit for bit.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/import.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

struct TensorPair {
  std::string theirs, ours;
  std::optional<Shape> shape = {};  ///< of theirs, of its part that is ours; absent: the parameter's, with its axes in their order
  bool column = false;              ///< theirs is [rows, 1] where ours is [rows]
  std::vector<int> axes = {};       ///< theirs with its axes in this order has our elements in our order; empty: as they are
  std::int64_t first = 0;           ///< ours begins at this row of theirs,
  std::int64_t rows = 0;            ///< which has so many in all; 0: no others. Rows of nobody are 0
  int axis = 0;                     ///< of theirs, that these rows are counted along
  /// Makes theirs, that is its part with our axes, of another shape into ours, such as positions of another grid; absent, or undefined: it
  /// does not fit.
  std::function<Tensor(const Tensor& theirs, const Shape& ours)> resized = {};
  /// What that is called where it is said, the same for many once; absent: that ours is interpolated.
  std::function<std::string(const Shape& theirs, const Shape& ours)> resizing = {};
  /// Makes ours ready to be written in that shape; absent: it is.
  std::function<Tensor(const Tensor& ours, const Shape& shape)> written = {};
};

struct ForeignNames {
  std::vector<TensorPair> pairs = {};
  /// Names of theirs that are no weights, such as positions 0, 1, 2, ...
  std::vector<std::string> ignored = {};
  /// Theirs that must equal another of theirs where they are there: tied weights that are stored twice. {copy, original}
  std::vector<std::pair<std::string, std::string>> copies = {};
  /// Theirs that ours does without, for it computes as if they were so: an identity matrix, a bias of zeros. Written, and required.
  std::vector<std::pair<std::string, Tensor>> constants = {};
  /// Paths of our parameters that belong to the head of a task: a file may lack them or have others.
  std::vector<std::string> heads = {};

  /// A pair to say more of, valid until the next one.
  TensorPair& add(std::string their_name, std::string our_name);
  /// The weight and the bias of a layer: "<theirs>.weight" is "<ours>/weight".
  void both(const std::string& their_layer, const std::string& our_layer);
};

/// The file's tensors under our names, in our form and element types; what has no pair keeps its name, with / for a point. Axes of size 1
/// may be there or not. Throws CheckpointError for a copy or a constant that is another.
TensorSource translated(const TensorSource& theirs, const ForeignNames& names, const ParameterStore& store);

/// The parameters as their file has them: in the order of the pairs, then the constants. Throws InternalError for a parameter without a
/// pair.
std::vector<std::pair<std::string, Tensor>> translated_back(const ForeignNames& names, const ParameterStore& store);

}  // namespace capstan::nn
