#include "data/hdf5/version.h"

#include "data/hdf5/library.h"

namespace capstan::data {

std::string hdf5_version() {
  const hdf5::Library lock;
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) return "HDF5";
  return "HDF5 " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

}  // namespace capstan::data
