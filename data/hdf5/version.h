#pragma once
// The library behind HDF5 files, as a program reports it.

#include <string>

namespace capstan::data {

/// "HDF5 1.10.8": the one that is loaded, which need not be the one this was compiled with.
std::string hdf5_version();

}  // namespace capstan::data
