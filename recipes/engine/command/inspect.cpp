#include "recipes/engine/command/inspect.h"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <set>
#include <span>
#include <vector>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/json.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/safetensors.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

/// One tensor of a file, a line of the table.
struct Row {
  std::string name, type;   ///< type with shape
  double bytes = 0;         ///< of its numbers
  double stored_bytes = 0;  ///< that it takes in the file
};

/// Returns the sum of the bytes.
double print_table(std::span<const Row> rows, std::ostream& out) {
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  double total = 0;
  for (const Row& row : rows) {
    out << row.name << std::string(width - row.name.size() + 2, ' ') << row.type << "  " << bytes_text(row.bytes);
    if (row.stored_bytes < row.bytes) out << " (" << bytes_text(row.stored_bytes) << " stored)";
    out << "\n";
    total += row.bytes;
  }
  return total;
}

void print_tensors(std::span<const Row> rows, std::string_view what, std::ostream& out) {
  const double total = print_table(rows, out);
  out << rows.size() << " " << what << ", " << bytes_text(total) << "\n";
}

/// A type as its format names it, and the sizes of any number of axes.
std::string with_shape(std::string_view type, std::span<const std::int64_t> shape) {
  std::string text;
  for (const std::int64_t size : shape) text += join_text(text.empty() ? "" : ", ", size);
  return join_text(type, "[", text, "]");
}

bool is_index(const std::string& path) { return path.ends_with(".safetensors.index.json"); }

void inspect_safetensors(const std::string& path, std::ostream& out) {
  const data::SafetensorsReader reader(path, {.allow_trailing_bytes = true});
  out << path << "\n";
  for (const auto& [name, value] : reader.metadata()) out << "  " << name << " = " << value << "\n";
  std::vector<Row> rows;
  for (const auto& e : reader.entries()) {
    const auto bytes = static_cast<double>(e.end - e.begin);
    rows.push_back({e.name, with_shape(e.type, e.shape), bytes, bytes});
  }
  print_tensors(rows, "tensors", out);
}

Row row_of(const std::string& name, const data::NpyHeader& header, std::uint64_t stored_bytes) {
  return {name, with_shape(header.descr, header.shape) + (header.fortran_order ? " in Fortran order" : ""),
          static_cast<double>(header.bytes), static_cast<double>(stored_bytes)};
}

void inspect_npz(const std::string& path, std::ostream& out) {
  const data::NpzReader reader(path);
  out << path << "\n";
  std::vector<Row> rows;
  for (const auto& e : reader.entries()) rows.push_back(row_of(e.name, e.header, e.stored_bytes));
  print_tensors(rows, "arrays", out);
}

void inspect_npy(const std::string& path, std::ostream& out) {
  const data::NpyHeader header = data::read_npy_header(path);
  print_table(std::vector<Row>{row_of(path, header, header.bytes)}, out);
}

std::string text_of(const data::Hdf5Attribute& a) {
  return std::visit([](const auto& v) { return join_text(v); }, a);
}

void inspect_hdf5(const std::string& path, std::ostream& out) {
  const data::Hdf5Reader reader(path, {.require_seal = false});
  out << path << "\n";
  for (const std::string& group : reader.groups()) {
    const auto attributes = reader.attributes(group);
    if (attributes.empty()) continue;
    out << group << "\n";
    for (const auto& [name, value] : attributes) out << "  " << name << " = " << text_of(value) << "\n";
  }
  std::vector<Row> rows;
  std::int64_t parameters = 0;
  for (const auto& e : reader.entries()) {
    const double bytes = static_cast<double>(e.spec.shape.numel()) * static_cast<double>(size_of(e.spec.dtype));
    rows.push_back({e.name, e.is_text ? "text" : to_text(e.spec), bytes, static_cast<double>(e.stored_bytes)});
    if (e.name.starts_with("/model/")) parameters += e.spec.shape.numel();
  }
  const double total = print_table(rows, out);
  out << rows.size() << " datasets, " << bytes_text(total);
  if (parameters > 0) out << ", " << parameters << " parameters";
  out << "\n";
  if (reader.find("/meta/config") != nullptr) out << "configuration:\n" << reader.read_text("/meta/config");
}

/// Every file of a set.
void inspect_index(const std::string& path, std::ostream& out) {
  std::set<std::string> files;
  const data::Json index = data::read_json(path);
  for (const auto& [tensor, file] : index["weight_map"].members()) files.emplace(file.text());
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const std::string& file : files) inspect_safetensors((folder / file).string(), out);
}

void inspect_directory(const std::string& path, std::ostream& out) {
  const ModelDirectory directory(path);
  const std::vector<std::byte> config = data::read_file(directory.file("config.json"));
  out << directory.file("config.json") << "\n" << std::string_view(reinterpret_cast<const char*>(config.data()), config.size()) << "\n";
  const std::string weights = directory.weights();
  is_index(weights) ? inspect_index(weights, out) : inspect_safetensors(weights, out);
}

}  // namespace

void inspect_file(const std::string& path, std::ostream& out) {
  if (ModelDirectory::is(path)) return inspect_directory(path, out);
  if (is_index(path)) return inspect_index(path, out);
  if (path.ends_with(".safetensors")) return inspect_safetensors(path, out);
  if (path.ends_with(".npz")) return inspect_npz(path, out);
  if (path.ends_with(".npy")) return inspect_npy(path, out);
  inspect_hdf5(path, out);
}

}  // namespace capstan::engine
