#pragma once
// Keys of the section `data` that recommenders share: the form of a text table (data/table.h) and which of its lines count.

#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/error.h"
#include "data/interactions.h"

namespace capstan::recommendation {

struct TableOptions {
  std::string separator, comment;
  bool quotes = true;
  data::Header header = data::Header::automatic;
  std::string rating_column;
  double min_rating = 0;

  template <class V>
  void visit(V& v) {
    v("separator", separator,
      "between fields: tab, comma, semicolon, pipe, blank (any run of blanks and tabs), control-a or a text such as ::; empty: judged over "
      "the first 200 lines")
        .of_use();
    v("comment", comment, "lines that begin with this are left out; empty: there are none").of_use();
    v("quotes", quotes, "fields may stand in double quotes (RFC 4180); no: a quote is a letter like any other").of_use();
    v("header", header, "whether the first line names the columns",
      {{"auto", data::Header::automatic}, {"present", data::Header::present}, {"absent", data::Header::absent}})
        .of_use();
    v("rating_column", rating_column, "name, or number from 1, of the column that min_rating looks at; empty: found by the usual names")
        .of_use();
    v("min_rating", min_rating, "lines with a lower rating are left out; 0: every line counts", V::non_negative()).of_data();
  }

  /// Options of reading; the caller adds the columns.
  data::ReadOptions reading() const {
    return {.min_rating = min_rating,
            .rating_column = rating_column,
            .header = header,
            .table = {.separator = separator, .comment = comment, .quotes = quotes}};
  }
  /// As part of the key of a prepared file.
  std::string key() const {
    return join_text("separator ", separator, " comment ", comment, " quotes ", quotes ? "yes" : "no", " header ",
                     header == data::Header::present  ? "present"
                     : header == data::Header::absent ? "absent"
                                                      : "auto",
                     " rating ", rating_column, " ", min_rating);
  }
};

/// The first few names of two lists, side by side: "here '101.0', '102.0'; there '101', '102'".
std::string side_by_side(const data::IdMap& given, const data::IdMap& known);
/// How a line of a query is cut: at tabs if it has one; not at all if it is one of the names as it stands; else at blanks. Quotes around a
/// field are taken off.
std::vector<std::string> query_fields(std::string_view line, const data::IdMap& names);

}  // namespace capstan::recommendation
