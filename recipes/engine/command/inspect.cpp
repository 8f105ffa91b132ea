#include "recipes/engine/command/inspect.h"

#include <algorithm>
#include <ostream>

#include "data/hdf5/hdf5.h"
#include "data/safetensors.h"
#include "recipes/engine/checkpoint/checkpoint.h"
#include "recipes/engine/system.h"

namespace capstan::engine {
namespace {

std::string text_of(const data::Hdf5Attribute& a) {
  return std::visit([](const auto& v) { return join_text(v); }, a);
}

void inspect_safetensors(const std::string& path, std::ostream& out) {
  const data::SafetensorsReader reader(path, {.allow_trailing_bytes = true});
  out << path << "\n";
  for (const auto& [name, value] : reader.metadata()) out << "  " << name << " = " << value << "\n";
  std::size_t width = 0;
  for (const auto& e : reader.entries()) width = std::max(width, e.name.size());
  std::uint64_t total = 0;
  for (const auto& e : reader.entries()) {
    std::string shape;
    for (const std::int64_t size : e.shape) shape += join_text(shape.empty() ? "" : ", ", size);
    out << e.name << std::string(width - e.name.size() + 2, ' ') << e.type << "[" << shape << "]  "
        << bytes_text(static_cast<double>(e.end - e.begin)) << "\n";
    total += e.end - e.begin;
  }
  out << reader.entries().size() << " tensors, " << bytes_text(static_cast<double>(total)) << "\n";
}

}  // namespace

void inspect_file(const std::string& path, std::ostream& out) {
  if (path.ends_with(".safetensors")) return inspect_safetensors(path, out);
  const data::Hdf5Reader reader(path, {.require_seal = false});
  out << path << "\n";
  for (const std::string& group : reader.groups()) {
    const auto attributes = reader.attributes(group);
    if (attributes.empty()) continue;
    out << group << "\n";
    for (const auto& [name, value] : attributes) out << "  " << name << " = " << text_of(value) << "\n";
  }
  std::size_t width = 0;
  for (const auto& e : reader.entries()) width = std::max(width, e.name.size());
  std::int64_t parameters = 0;
  double total = 0;
  for (const auto& e : reader.entries()) {
    const double bytes = static_cast<double>(e.spec.shape.numel()) * static_cast<double>(size_of(e.spec.dtype));
    out << e.name << std::string(width - e.name.size() + 2, ' ') << (e.is_text ? "text" : to_text(e.spec)) << "  " << bytes_text(bytes);
    if (e.stored_bytes < static_cast<std::uint64_t>(bytes)) out << " (" << bytes_text(static_cast<double>(e.stored_bytes)) << " stored)";
    out << "\n";
    total += bytes;
    if (e.name.starts_with("/model/")) parameters += e.spec.shape.numel();
  }
  out << reader.entries().size() << " datasets, " << bytes_text(total);
  if (parameters > 0) out << ", " << parameters << " parameters";
  out << "\n";
  if (reader.find("/meta/config") != nullptr) out << "configuration:\n" << reader.read_text("/meta/config");
}

}  // namespace capstan::engine
