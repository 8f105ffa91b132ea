#pragma once
// The real data sets that slow tests read, below the folder that the environment variable CAPSTAN_DATA names.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/data/scratch.h"

namespace capstan::data {

/// The path of a data set or of a file of one; empty if it is not there.
inline std::string real_data(const std::string& name) {
  const char* folder = std::getenv("CAPSTAN_DATA");
  const std::string path = folder == nullptr ? "" : std::string(folder).append("/").append(name);
  return std::filesystem::exists(path) ? path : "";
}

/// Unpacks tiny-imagenet-20, which is kept as an archive, and returns the folder with train/ and val/; empty if it is not there.
inline std::string unpack_tiny_imagenet(const Scratch& scratch) {
  const std::string archive = real_data("tiny-imagenet-20/tiny-imagenet-20.tar.gz");
  if (archive.empty() || std::system(("tar -xzf '" + archive + "' -C '" + scratch.path() + "'").c_str()) != 0) return "";
  if (std::filesystem::exists(scratch / "train")) return scratch.path();
  return std::filesystem::directory_iterator(scratch.path())->path();
}

}  // namespace capstan::data
