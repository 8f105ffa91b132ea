// The program: `fuzz_readers` under the name of a reader (a link) fuzzes it; `fuzz_readers --list` names them, `fuzz_readers --seeds
// FOLDER` writes FOLDER/<reader>/<number>.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <typeinfo>

#include <unistd.h>

#include "autograd/core/error.h"
#include "tests/fuzz/reader.h"

namespace capstan::fuzz {
namespace {

namespace fs = std::filesystem;

const Reader* chosen = nullptr;
std::string folder;

[[noreturn]] void list_readers() {
  for (const Reader& r : readers()) std::cout << r.name << "\n";
  std::cout.flush();
  std::_Exit(0);
}

[[noreturn]] void write_seeds(const fs::path& to) {
  for (const Reader& r : readers()) {
    fs::create_directories(to / r.name);
    int number = 0;
    for (const std::string& seed : seeds_of(r.name)) std::ofstream(to / r.name / std::to_string(number++), std::ios::binary) << seed;
  }
  std::_Exit(0);
}

/// In memory, where there is such a place: each run writes files.
void make_folder() {
  folder =
      (fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) / ("capstan-fuzz-" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::atexit([] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  });
}

void clear_folder() {
  for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
}

}  // namespace

std::string_view Input::part() {
  const std::size_t end = std::min(bytes_.find('\x1e'), bytes_.size());
  const std::string_view taken = bytes_.substr(0, end);
  bytes_.remove_prefix(std::min(end + 1, bytes_.size()));
  return taken;
}

std::string Input::file(const std::string& name, std::string_view content) const {
  const fs::path path = fs::path(folder_) / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  return path.string();
}

void require_same(bool same, const char* what) {
  if (same) return;
  std::cerr << "contradiction: " << what << std::endl;
  std::abort();
}

}  // namespace capstan::fuzz

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  using namespace capstan::fuzz;
  const std::string_view first = *count > 1 ? (*arguments)[1] : "";
  if (first == "--list") list_readers();
  if (first == "--seeds" && *count == 3) write_seeds((*arguments)[2]);
  const std::string name = std::filesystem::path((*arguments)[0]).filename();
  for (const Reader& r : readers())
    if (r.name == name) chosen = &r;
  if (chosen == nullptr) {
    std::cerr << "call this program by a link with the name of a reader; --list names them\n";
    std::exit(2);
  }
  make_folder();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace capstan;
  fuzz::Input input(std::string_view(reinterpret_cast<const char*>(bytes), size), fuzz::folder);
  try {
    fuzz::chosen->read(input);
  } catch (const InternalError& e) {
    std::cerr << "internal error: " << e.what() << std::endl;
    std::abort();
  } catch (const Error&) {  // as it should be
  } catch (const std::exception& e) {
    std::cerr << "exception " << typeid(e).name() << ": " << e.what() << std::endl;
    std::abort();
  }
  fuzz::clear_folder();
  return 0;
}
