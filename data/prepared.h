#pragma once
// Prepared data: the result of reading and filtering kept in one HDF5 file, used again as long as it fits.
//
// It fits if it is whole and its key is equal: a text made of the digests of all source files and of the options that shaped the
// result. Anything else (absent, damaged, of older options or sources) is rebuilt; a prepared file is never worth an error.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "data/data_report.h"
#include "data/hdf5/hdf5.h"
#include "data/interactions.h"

namespace capstan::data {

/// The key for these sources and options. Reads the sources; throws IoError if one is missing.
std::string prepared_key(std::span<const std::string> sources, std::string_view options);

/// The prepared file if it fits; else nothing, and `why` says what does not.
std::optional<Hdf5Reader> open_prepared(const std::string& path, std::string_view key, std::string* why = nullptr);
/// Adds the key to what `content` holds and writes the file durably.
void write_prepared(const std::string& path, std::string_view key, Hdf5Writer content);

/// Held while `path` is made, so that processes that start together do not all make it: one does, the others wait and find it. Where no
/// lock can be had (a file system that is read-only or knows none), nobody waits.
class PreparationLock {
 public:
  explicit PreparationLock(const std::string& path);
  ~PreparationLock();
  PreparationLock(const PreparationLock&) = delete;
  PreparationLock& operator=(const PreparationLock&) = delete;

 private:
  std::string path_;  // of the lock file, which is there as long as somebody holds it
  int fd_ = -1;
};

// Interactions as a group of datasets under `prefix`, such as "/train".
void write_interactions(Hdf5Writer& to, const std::string& prefix, const Interactions& x);
/// Checks that the arrays fit together. Throws DataError.
Interactions read_interactions(const Hdf5Reader& from, const std::string& prefix);

enum class KeepPrepared { yes, no };
/// Interactions from the prepared file if it fits, else made and, unless `path` is empty or `keep` is no, written there. `why` is empty if
/// they were not made anew. What `make` adds to `report` is kept with them and added again when they are used.
Interactions prepared_interactions(const std::string& path, std::string_view key, const std::function<Interactions()>& make,
                                   std::string* why = nullptr, KeepPrepared keep = KeepPrepared::yes, DataReport* report = nullptr);

}  // namespace capstan::data
