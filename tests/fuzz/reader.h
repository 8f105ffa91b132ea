#pragma once
// The readers of user files as libFuzzer drives them: one function each, which reads bytes that may be anything.
//
// A reader ends by an Error that the user can act on, or by having read something. Everything else is a finding: another exception (an
// InternalError too), a sanitizer's report, a hang, memory out of proportion to the input.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::fuzz {

/// The bytes of one run, and where to put them as files.
class Input {
 public:
  Input(std::string_view bytes, std::string folder) : bytes_(bytes), folder_(std::move(folder)) {}
  std::string_view bytes() const { return bytes_; }
  /// Takes what comes before the next record separator (byte 30), or all that is left.
  std::string_view part();
  /// Writes a file into the folder, which is empty at the start of a run; `name` may hold folders. Returns the path.
  std::string file(const std::string& name, std::string_view content) const;
  std::string file(const std::string& name) const { return file(name, bytes_); }
  const std::string& folder() const { return folder_; }

 private:
  std::string_view bytes_;
  std::string folder_;
};

struct Reader {
  std::string_view name;
  std::function<void(Input&)> read;
};
const std::vector<Reader>& readers();

/// Small good inputs to start from, in part damaged as real files are.
std::vector<std::string> seeds_of(std::string_view reader);

/// A result that contradicts itself: two ways to the same thing that differ. Never caught.
void require_same(bool same, const char* what);

}  // namespace capstan::fuzz
