#pragma once
// What is known of a terminal, and texts that fit it: width, colour, characters. Not here: what is shown (progress.h, metric_table.h).
//
// Colour is used on a terminal alone, and not where NO_COLOR is set (no-color.org) or TERM is "dumb". Characters beyond ASCII are used
// where the locale is of UTF-8. Neither changes a number.

#include <cstddef>
#include <string>
#include <string_view>

namespace capstan::engine {

bool is_terminal(int fd);
/// Columns of a terminal; `otherwise` where they cannot be told.
std::size_t columns_of(int fd, std::size_t otherwise = 120);
/// Whether texts to this descriptor may be coloured.
bool shows_colour(int fd);
/// Whether the user's locale has characters beyond ASCII.
bool shows_unicode();

enum class Colour { bold, dim, red, green, yellow };
/// The text between escape sequences.
std::string coloured(std::string_view text, Colour colour);
/// The lines of a message as a person looks for them: warnings yellow, errors red, what is best green.
std::string highlighted(std::string_view message);

/// Characters of a UTF-8 text. None is taken to be wider than a column.
std::size_t width_of(std::string_view text);
/// The first `columns` characters; what is cut off is said by "..." where there is room for it.
std::string cut_to(std::string_view text, std::size_t columns);
/// With blanks behind or, `right`, before it, up to this many columns.
std::string padded(std::string_view text, std::size_t columns, bool right = false);

/// Four significant digits: 0.4512, 23.10, 1234; whole numbers as they are.
std::string short_number(double value);

}  // namespace capstan::engine
