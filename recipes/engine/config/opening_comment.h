#pragma once
// What the comment at the head of a configuration file says of it: in its first line what it is, and in lines "capstan train CONFIG
// key=value..." how it is used.

#include <string>
#include <vector>

namespace capstan::engine {

/// The first line, without punctuation at its end; empty if the file does not begin with a comment or cannot be read.
std::string title_of_config(const std::string& path);

/// A command that trains a configuration, as its file shows it.
struct ShownUse {
  std::string command;            ///< "capstan train sasrec/ml1m data.path=ml-1m.txt.gz"
  std::vector<std::string> keys;  ///< that it sets: "data.path"
};

/// The first command for the configuration <folder>/<name> of the file <folder>/<name>.cfg; empty if there is none.
ShownUse shown_use(const std::string& path);

}  // namespace capstan::engine
