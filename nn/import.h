#pragma once
// Import: the tensors of a file become the initial values of a model that is not quite the one they are of.
//
// A name map says how names of the source become names of the model: prefixes renamed, tensors not taken, parameters that keep their own
// initial values. It is strict about the rest: what is missing, unexpected, of another shape or type, and what the map names without there
// being any, is reported at once, before anything is changed. Prefixes are paths, as in ParameterStore::freeze: "encoder/0" is the tensor
// of this name and all below it, "" is all.
// Where rows of a parameter stand for names (words, items, classes) and the source has other names, a row map says which row of the source
// each row is.
// It is *not* a reader: the source reads its file. Loading a model's own checkpoint needs none of this (engine/checkpoint).

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/core/tensor.h"
#include "nn/parameter_store.h"

namespace capstan::nn {

/// Named tensors of a file.
struct TensorSource {
  std::string name;  ///< of the file, for messages
  std::vector<std::pair<std::string, Spec>> tensors;
  std::function<Tensor(std::string_view tensor)> read;  ///< called once for each tensor that is taken
  /// What the file calls a tensor, where that is another name (nn/foreign_names.h); for messages.
  std::map<std::string, std::string, std::less<>> originals = {};
  std::vector<std::string> notes = {};  ///< what is done to tensors beyond their form, a line each
};

struct NameMap {
  struct Rename {
    std::string from, to;  ///< prefixes; either may be ""
  };
  std::vector<Rename> renames = {};       ///< of the source's names; the longest `from` that fits a name counts
  std::vector<std::string> dropped = {};  ///< prefixes of the source's names: not taken; a parameter that would have taken one is fresh
  std::vector<std::string> fresh = {};    ///< prefixes of the model's names: they keep their values
  /// Prefixes of the model's names, of heads: a parameter below them that the file lacks is fresh, a tensor below them that the model
  /// lacks is not taken.
  std::vector<std::string> heads = {};
  /// No: all names count as those of heads, and a parameter of another shape is fresh.
  bool strict = true;
};

/// Row i of the tensor `target` [rows, ...] is row rows[i] of what the source has for it; -1: it keeps its value.
struct RowMap {
  std::string target;
  std::vector<std::int64_t> rows;
};

/// Row map of `target`, whose rows from `first` on stand for `own` names, in a source where they stand for `theirs`. Rows before `first`
/// are the same in both.
RowMap rows_by_name(std::string target, std::int64_t first, std::span<const std::string> own, std::span<const std::string> theirs);

/// A tensor that is written to, contiguous.
struct ImportTarget {
  std::string name;
  Tensor value;
};

/// What became of the names.
struct Imported {
  std::vector<std::string> taken, fresh;  ///< of the model
  std::vector<std::string> dropped;       ///< of the source
};

/// Throws CheckpointError, before anything is changed, naming everything that does not fit.
Imported import_tensors(const TensorSource& source, const NameMap& map, std::span<const RowMap> rows,
                        std::span<const ImportTarget> targets);

/// The same for all parameters of a store, each beginning a new version.
Imported import_parameters(const TensorSource& source, const NameMap& map, std::span<const RowMap> rows, const ParameterStore& store);

}  // namespace capstan::nn
