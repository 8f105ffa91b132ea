#pragma once
// Titles of items, for people: the keys of the section `data` that name their file, and how an item is called with its title. They are of
// use alone: no number depends on them, and no checkpoint holds them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_report.h"
#include "data/id_map.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/recommendation/table_options.h"

namespace capstan::recommendation {

struct TitleOptions {
  std::string titles, title_item_column, title_column, title_separator;

  template <class V>
  void visit(V& v) {
    v("titles", titles,
      "a table of item ids and titles, plain or gzip, such as movies.dat or a .item, relative to run.data: reports and answers in JSON "
      "show titles; one that is not UTF-8 is read as ISO-8859-1; empty: items are called by their ids")
        .of_use();
    v("title_item_column", title_item_column,
      "name, or number from 1, of the column of item ids in data.titles; empty: found by the usual names, the first without a header")
        .of_use();
    v("title_column", title_column, "the same for the column of titles; without a header the second").of_use();
    v("title_separator", title_separator, "between the fields of data.titles, as data.separator; empty: judged over the first 200 lines")
        .of_use();
  }
};

class ItemTitles {
 public:
  ItemTitles() = default;
  /// Reads data.titles, if it is given, for these items. Comments, quotes and bad lines are as in `table`.
  ItemTitles(const TitleOptions& options, const TableOptions& table, const engine::Setup& setup, const data::IdMap& names);

  bool given() const { return given_; }
  /// Empty: the item has none.
  std::string_view of(std::int64_t item) const;
  /// "Heat (1995) [6]"; of an item without a title its name alone.
  std::string shown(std::int64_t item, std::string_view name) const;
  /// As a member of an object, with the comma before it: `,"title":"Heat (1995)"`; empty for an item without a title.
  std::string json_member(std::int64_t item) const;
  void add_to(data::DataReport& report) const;

 private:
  bool given_ = false;
  std::vector<std::string> titles_;  // by item
  data::DataReport report_;
};

}  // namespace capstan::recommendation
