#pragma once
// Stream buffers that say why reading or writing failed: they throw, and a stream whose exceptions() have badbit passes that on.

#include <functional>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

namespace capstan::engine {

/// Hands what is written on to a function, a block at a time and when flushed.
class OutputBuffer : public std::streambuf {
 public:
  explicit OutputBuffer(std::function<void(std::string_view)> write);

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  void hand_on();

  std::function<void(std::string_view)> write_;
  std::vector<char> bytes_;
};

/// What becomes of output whose reader has gone: the program has nothing left to do, or it has and goes on without.
enum class OnClosedPipe { end, go_on };
/// For an open descriptor. Throws data::ClosedPipe where that ends the program, IoError with the name and the reason.
OutputBuffer output_to(int descriptor, const std::string& name, OnClosedPipe rule);

/// Reads from an open descriptor. Throws IoError with the name and the reason.
class InputBuffer : public std::streambuf {
 public:
  enum class Content {
    any,
    lines  ///< of text: skips a byte order mark, throws a DataError if the beginning is none of text (data/line_reader.h), or packed
  };
  InputBuffer(int descriptor, std::string name, Content content);

 protected:
  int_type underflow() override;
  std::streamsize showmanyc() override;

 private:
  std::size_t read_some(std::size_t at);

  int fd_;
  std::string name_;
  bool check_;  // the beginning, still to come
  std::vector<char> bytes_;
};

}  // namespace capstan::engine
