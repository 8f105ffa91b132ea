#pragma once
// Where the pictures of `predict --pictures DIR` go.

#include <cstdint>
#include <string>

namespace capstan::engine {

/// Makes the directory, where `directory` names one. Throws IoError.
void make_picture_directory(const std::string& directory);
/// DIR/0012 for line 12, to which a name and an ending are added.
std::string picture_stem(const std::string& directory, std::int64_t line);
/// DIR/0012-shoe for the image a/shoe.png in line 12.
std::string picture_stem(const std::string& directory, std::int64_t line, const std::string& image);

}  // namespace capstan::engine
