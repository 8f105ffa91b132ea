#include "recipes/engine/report/finding_file.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "autograd/core/error.h"
#include "data/json.h"
#include "data/markup.h"

namespace capstan::engine {
namespace {

using data::Json;
using data::json_string;

template <class Items, class Write>
std::string json_list(const Items& items, const Write& write) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out + "]";
}

std::string texts_json(const std::vector<std::string>& texts) {
  return json_list(texts, [](const std::string& t) { return json_string(t); });
}

std::string number_json(double v) { return std::isfinite(v) ? join_text(v) : "null"; }

std::string shown_json(const FindingTable& t) {
  return "\"kind\":\"table\",\"columns\":" + texts_json(t.columns) + ",\"rows\":" + json_list(t.rows, texts_json);
}

std::string shown_json(const FindingMatrix& m) {
  return "\"kind\":\"matrix\",\"row_title\":" + json_string(m.row_title) + ",\"column_title\":" + json_string(m.column_title) +
         ",\"rows\":" + texts_json(m.rows) + ",\"columns\":" + texts_json(m.columns) + ",\"counts\":" + json_list(m.counts, number_json);
}

std::string shown_json(const FindingCurves& c) {
  return "\"kind\":\"curves\",\"x_title\":" + json_string(c.x_title) + ",\"y_title\":" + json_string(c.y_title) +
         ",\"curves\":" + json_list(c.curves, [](const FindingCurves::Curve& curve) {
           return "{\"name\":" + json_string(curve.name) + ",\"points\":" +
                  json_list(curve.points,
                            [](const auto& p) { return join_text("[", number_json(p.first), ",", number_json(p.second), "]"); }) +
                  (curve.joined ? "" : ",\"joined\":false") + "}";
         });
}

std::string shown_json(const FindingPictures& p) {
  return "\"kind\":\"pictures\",\"pictures\":" + json_list(p.pictures, [](const FindingPictures::Picture& picture) {
           return join_text("{\"caption\":", json_string(picture.caption), ",\"width\":", picture.image.width,
                            ",\"height\":", picture.image.height, ",\"png\":\"", data::base64(data::encode_png(picture.image)), "\"}");
         });
}

std::vector<std::string> texts_of(const Json& list) {
  std::vector<std::string> out;
  for (const Json& item : list.items()) out.emplace_back(item.text());
  return out;
}

FindingTable table_of(const Json& json) {
  FindingTable table{.columns = texts_of(json["columns"]), .rows = {}};
  for (const Json& row : json["rows"].items()) {
    table.rows.push_back(texts_of(row));
    if (table.rows.back().size() != table.columns.size()) row.fail(join_text("a cell for each of ", table.columns.size(), " columns"));
  }
  return table;
}

FindingMatrix matrix_of(const Json& json) {
  FindingMatrix matrix{.row_title = std::string(json["row_title"].text()),
                       .column_title = std::string(json["column_title"].text()),
                       .rows = texts_of(json["rows"]),
                       .columns = texts_of(json["columns"]),
                       .counts = json["counts"].numbers()};
  if (matrix.counts.size() != matrix.rows.size() * matrix.columns.size())
    json["counts"].fail(join_text("a number for each cell of ", matrix.rows.size(), " rows and ", matrix.columns.size(), " columns"));
  return matrix;
}

FindingCurves curves_of(const Json& json) {
  FindingCurves out{.x_title = std::string(json["x_title"].text()), .y_title = std::string(json["y_title"].text()), .curves = {}};
  for (const Json& curve : json["curves"].items()) {
    auto& c = out.curves.emplace_back();
    c.name = curve["name"].text();
    if (const auto joined = curve.find("joined")) c.joined = joined->boolean();
    for (const Json& point : curve["points"].items()) {
      const std::vector<double> xy = point.numbers();
      if (xy.size() != 2) point.fail("two numbers");
      c.points.emplace_back(xy[0], xy[1]);
    }
  }
  return out;
}

StoredPictures pictures_of(const Json& json) {
  StoredPictures out;
  for (const Json& p : json["pictures"].items()) {
    const auto& picture = out.pictures.emplace_back(StoredPictures::Picture{.caption = std::string(p["caption"].text()),
                                                                            .width = p["width"].integer(),
                                                                            .height = p["height"].integer(),
                                                                            .png = std::string(p["png"].text())});
    // It goes into an attribute of a page as it is.
    const bool plain = std::ranges::all_of(picture.png, [](unsigned char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
    });
    if (!plain) p["png"].fail("base64");
    if (picture.width < 1 || picture.height < 1) p["width"].fail("a picture with pixels");
  }
  return out;
}

StoredFinding finding_of(const Json& json) {
  StoredFinding out{.title = std::string(json["title"].text()), .text = std::string(json["text"].text()), .shown = FindingTable()};
  const std::string_view kind = json["kind"].text();
  if (kind == "table") {
    out.shown = table_of(json);
  } else if (kind == "matrix") {
    out.shown = matrix_of(json);
  } else if (kind == "curves") {
    out.shown = curves_of(json);
  } else if (kind == "pictures") {
    out.shown = pictures_of(json);
  } else {
    json["kind"].fail("table, matrix, curves or pictures");
  }
  return out;
}

}  // namespace

std::string findings_json(std::int64_t step, std::string_view split, const std::vector<Finding>& findings) {
  return join_text("{\"step\":", step, ",\"split\":", json_string(split), ",\"findings\":",
                   json_list(findings,
                             [](const Finding& f) {
                               return "\n{\"title\":" + json_string(f.title) + ",\"text\":" + json_string(f.text) + "," +
                                      std::visit([](const auto& shown) { return shown_json(shown); }, f.shown) + "}";
                             }),
                   "}\n");
}

StoredFindings parse_findings(std::string_view text, const std::string& name) {
  const Json json = data::parse_json(text, name);
  StoredFindings out{.step = json["step"].integer(), .split = std::string(json["split"].text()), .findings = {}};
  for (const Json& f : json["findings"].items()) out.findings.push_back(finding_of(f));
  return out;
}

}  // namespace capstan::engine
