#pragma once
// Titles of items: a table that says what people call the items of a catalogue, such as movies.dat of MovieLens or RecBole's .item.
//
// Its columns are found by the usual names of a header (item_id and movie_title, id and name, ...), by names or numbers that are given, or
// without a header by their places: first the id, then the title. Ids are compared as they stand. Titles are for people alone: one that is
// not UTF-8 is read as ISO-8859-1, and control characters and line breaks become blanks.

#include <string>
#include <vector>

#include "data/data_report.h"
#include "data/id_map.h"
#include "data/interactions.h"
#include "data/table.h"

namespace capstan::data {

struct TitleOptions {
  TableOptions table = {};
  std::string item_column = {}, title_column = {};  ///< name, or number from 1; empty: found
  BadLines bad_lines = BadLines::refuse;            ///< with too few or too many fields or an empty id
};

/// The title of each of these items, valid UTF-8; empty: it has none. Of several titles of an item the first counts. The report is told
/// how many items have one and how the table was read, and warned if none has. Throws IoError, ConfigError or DataError.
std::vector<std::string> read_item_titles(const std::string& path, const TitleOptions& options, const IdMap& items, DataReport& report);

}  // namespace capstan::data
