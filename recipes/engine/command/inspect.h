#pragma once
// `capstan inspect`: what a checkpoint, a data file or a safetensors file holds.

#include <iosfwd>
#include <string>

namespace capstan::engine {

/// Attributes, texts and datasets with type, shape and size. Throws DataError, CheckpointError or IoError.
void inspect_file(const std::string& path, std::ostream& out);

}  // namespace capstan::engine
