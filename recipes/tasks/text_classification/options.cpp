#include "recipes/tasks/text_classification/options.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "autograd/core/error.h"
#include "recipes/engine/config/value.h"

namespace capstan::text_classification {
namespace {

constexpr std::string_view kNone = "none";

data::TextTableOptions with_columns(data::TextTableOptions table, const ColumnOptions& columns, data::TextTableForm form) {
  table.form = form;
  table.header = columns.header;
  table.text_column = columns.text_column;
  table.pair_column = columns.pair_column;
  table.label_column = columns.label_column;
  if (!columns.only.empty()) std::tie(table.only_column, table.only_value) = named_pair(columns.only, "only", "column=value");
  return table;
}

data::Header header_of(std::string_view text, data::Header otherwise) {
  if (text == "auto") return data::Header::automatic;
  if (text == "present") return data::Header::present;
  return text == "absent" ? data::Header::absent : otherwise;
}

const std::string& or_else(const std::string& value, const std::string& otherwise) { return value.empty() ? otherwise : value; }

}  // namespace

std::pair<std::string, std::string> named_pair(const std::string& text, std::string_view key, std::string_view form) {
  const std::size_t at = text.rfind('=');
  require<ConfigError>(at != std::string::npos && at > 0 && at + 1 < text.size(), "data.", key, ": expected ", form, ", got '", text, "'");
  return {std::string(engine::trimmed(text.substr(0, at))), std::string(engine::trimmed(text.substr(at + 1)))};
}

data::TextTableOptions Options::training_table() const { return with_columns(data.table, data.columns, data.form); }

data::TextTableOptions Options::table(const PartOptions& part) const {
  ColumnOptions columns{.text_column = or_else(part.text_column, data.columns.text_column),
                        .pair_column = or_else(part.pair_column, data.columns.pair_column),
                        .label_column = or_else(part.label_column, data.columns.label_column),
                        .only = or_else(part.only, data.columns.only),
                        .header = header_of(part.header, data.columns.header)};
  if (columns.label_column == kNone) columns.label_column.clear();
  return with_columns(data.table, columns, data.form);
}

void Options::validate(std::int64_t max_positions) const {
  require<ConfigError>(data.max_length <= max_positions, "text_classification: data.max_length must not exceed model.max_positions, got ",
                       data.max_length, " and ", max_positions);
  require<ConfigError>(data.held_out < 1 || data.held_out == std::floor(data.held_out),
                       "text_classification: data.held_out must be a share below 1 or a whole number of texts, got ", data.held_out);
  require<ConfigError>(!regression() || (data.labels.empty() && data.class_weights.empty() && data.rename_labels.empty()),
                       "text_classification: data.labels, rename_labels and class_weights are of classes, but data.target is number");
  require<ConfigError>(!regression() || loss.label_smoothing == 0,
                       "text_classification: loss.label_smoothing is of classes, but data.target is number");
  require<ConfigError>(data.form != data::TextTableForm::lines || !pairs(),
                       "text_classification: data.form = lines has one text a line, but data.pair_column asks for a second");
  require<ConfigError>(!data.columns.label_column.empty() && data.columns.label_column != kNone,
                       "text_classification: data.label_column must say where the labels of the training texts are");
  require<ConfigError>(validation.label_column != kNone,
                       "text_classification: validation needs labels, got validation.label_column = none");
  require<ConfigError>(pairs() || (validation.pair_column.empty() && test.pair_column.empty()),
                       "text_classification: validation.pair_column and test.pair_column say where the second text of a pair is, but "
                       "data.pair_column is empty: texts are single");
  for (const std::string* only : {&data.columns.only, &validation.only, &test.only})
    if (!only->empty()) named_pair(*only, "only", "column=value");
  for (const std::string& rename : data.rename_labels) named_pair(rename, "rename_labels", "old=new");
}

}  // namespace capstan::text_classification
