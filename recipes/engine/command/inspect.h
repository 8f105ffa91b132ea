#pragma once
// `capstan inspect`: what a checkpoint, a data file or a file of weights (.safetensors, .npz, .npy) holds.

#include <iosfwd>
#include <string>

namespace capstan::engine {

/// Attributes, texts and tensors with type, shape and size; the end of the name says which format it is, HDF5 if none of these. Throws
/// DataError, CheckpointError or IoError.
void inspect_file(const std::string& path, std::ostream& out);

}  // namespace capstan::engine
