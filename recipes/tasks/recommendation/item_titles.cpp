#include "recipes/tasks/recommendation/item_titles.h"

#include <filesystem>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/item_titles.h"
#include "data/json.h"
#include "recipes/engine/report/finding_parts.h"

namespace capstan::recommendation {

ItemTitles::ItemTitles(const TitleOptions& options, const TableOptions& table, const engine::Setup& setup, const data::IdMap& names)
    : given_(!options.titles.empty()) {
  if (!given_) return;
  titles_ = engine::named_by("data.titles", [&] {
    const std::string path = setup.data_path(options.titles);
    // A checkpoint remembers the key, and may outlive the file.
    require<IoError>(std::filesystem::exists(path), path, ": no such file; data.titles= does without titles");
    return data::read_item_titles(path,
                                  {.table = {.separator = options.title_separator, .comment = table.comment, .quotes = table.quotes},
                                   .item_column = options.title_item_column,
                                   .title_column = options.title_column,
                                   .bad_lines = table.bad_lines},
                                  names, report_);
  });
}

std::string_view ItemTitles::of(std::int64_t item) const { return given_ ? std::string_view(titles_[data::at(item)]) : std::string_view(); }

std::string ItemTitles::shown(std::int64_t item, std::string_view name) const {
  constexpr std::size_t kMost = 100;  // characters of a title
  const std::string_view title = of(item);
  return title.empty() ? std::string(name) : join_text(engine::cell(title, kMost), " [", name, "]");
}

std::string ItemTitles::json_member(std::int64_t item) const {
  const std::string_view title = of(item);
  return title.empty() ? "" : join_text(R"(,"title":)", data::json_string(title));
}

void ItemTitles::add_to(data::DataReport& report) const {
  report.facts.insert(report.facts.end(), report_.facts.begin(), report_.facts.end());
  report.warnings.insert(report.warnings.end(), report_.warnings.begin(), report_.warnings.end());
}

}  // namespace capstan::recommendation
