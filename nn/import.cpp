#include "nn/import.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"
#include "nn/tensor_bytes.h"

namespace capstan::nn {
namespace {

bool is_below(std::string_view name, std::string_view prefix) {
  return prefix.empty() || (name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/'));
}

bool is_below_any(std::string_view name, std::span<const std::string> prefixes) {
  return std::ranges::any_of(prefixes, [&](const std::string& prefix) { return is_below(name, prefix); });
}

std::string joined(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return std::string(a).append(b);
  return std::string(a).append("/").append(b);
}

/// The model's name of a tensor of the source.
std::string renamed(std::string_view name, const NameMap& map) {
  const NameMap::Rename* best = nullptr;
  for (const NameMap::Rename& r : map.renames)
    if (is_below(name, r.from) && (best == nullptr || r.from.size() > best->from.size())) best = &r;
  if (best == nullptr) return std::string(name);
  std::string_view rest = name.substr(best->from.size());
  if (rest.starts_with('/')) rest.remove_prefix(1);
  return joined(best->to, rest);
}

/// Prefixes of the map that fit none of the names: the user meant something else.
void report_unused(std::string_view what, std::span<const std::string> prefixes, std::span<const std::string> names,
                   std::string& problems) {
  for (const std::string& prefix : prefixes)
    if (std::ranges::none_of(names, [&](const std::string& name) { return is_below(name, prefix); }))
      problems += join_text("\n  ", what, " is called, or lies below, ", prefix, suggestion(prefix, names));
}

/// Whether a tensor of the source can become the target, row by row where there is a row map.
bool fits(const Spec& from, const Tensor& to, const RowMap* rows) {
  if (rows == nullptr) return from == to.spec();
  if (from.dtype != to.dtype() || from.shape.rank() != to.rank() || to.rank() == 0) return false;
  if (from.shape.without(0) != to.shape().without(0) || static_cast<std::int64_t>(rows->rows.size()) != to.size(0)) return false;
  return std::ranges::all_of(rows->rows, [&](std::int64_t r) { return r < from.shape[0]; });
}

void copy_into(const Tensor& value, const Tensor& to, const RowMap* rows) {
  const Tensor from = value.contiguous();
  const auto all = static_cast<std::size_t>(to.numel()) * size_of(to.dtype());
  if (rows == nullptr) {
    std::memcpy(first_byte(to), first_byte(from), all);
    return;
  }
  const std::size_t row = to.size(0) > 0 ? all / static_cast<std::size_t>(to.size(0)) : 0;
  for (std::size_t i = 0; i < rows->rows.size(); ++i)
    if (rows->rows[i] >= 0) std::memcpy(first_byte(to) + i * row, first_byte(from) + static_cast<std::size_t>(rows->rows[i]) * row, row);
}

}  // namespace

RowMap rows_by_name(std::string target, std::int64_t first, std::span<const std::string> own, std::span<const std::string> theirs) {
  RowMap map{.target = std::move(target), .rows = {}};
  for (std::int64_t i = 0; i < first; ++i) map.rows.push_back(i);
  std::unordered_map<std::string_view, std::int64_t> place;
  for (std::size_t i = 0; i < theirs.size(); ++i) place.emplace(theirs[i], first + static_cast<std::int64_t>(i));
  for (const std::string& name : own) {
    const auto found = place.find(name);
    map.rows.push_back(found == place.end() ? -1 : found->second);
  }
  return map;
}

Imported import_tensors(const TensorSource& source, const NameMap& map, std::span<const RowMap> rows,
                        std::span<const ImportTarget> targets) {
  struct Found {
    const std::string* name;  // in the source
    const Spec* spec;
  };
  Imported result;
  std::string problems;
  std::map<std::string, Found, std::less<>> found;  // by the model's names
  std::vector<std::string> theirs, ours, replaced;
  for (const auto& [name, spec] : source.tensors) {
    theirs.push_back(name);
    std::string target = renamed(name, map);
    if (is_below_any(name, map.dropped)) {
      result.dropped.push_back(name);
      replaced.push_back(std::move(target));
    } else if (const auto [at, added] = found.try_emplace(target, Found{&name, &spec}); !added) {
      problems += join_text("\n  twice: ", *at->second.name, " and ", name, " would both become ", target);
    }
  }
  for (const ImportTarget& t : targets) ours.push_back(t.name);
  report_unused("no tensor of the file", map.dropped, theirs, problems);
  std::vector<std::string> renames;
  for (const NameMap::Rename& r : map.renames) renames.push_back(r.from);
  report_unused("no tensor of the file", renames, theirs, problems);
  report_unused("no parameter of the model", map.fresh, ours, problems);

  struct Copy {
    const ImportTarget* target;
    const std::string* from;
    const RowMap* rows;
  };
  std::vector<Copy> copies;
  const auto lenient = [&](std::string_view name) { return !map.strict || is_below_any(name, map.heads); };
  // As the file says it, where that is another name.
  const auto original = [&](const std::string& name) {
    const auto at = source.originals.find(name);
    return at == source.originals.end() ? name : at->second;
  };
  for (const ImportTarget& t : targets) {
    const auto at = found.find(t.name);
    const auto by_name = std::ranges::find(rows, t.name, &RowMap::target);
    const RowMap* const own_rows = by_name == rows.end() ? nullptr : &*by_name;
    const bool is_there = at != found.end(), fitting = is_there && fits(*at->second.spec, t.value, own_rows);
    const bool left_out = is_below_any(t.name, map.fresh) || (!is_there && std::ranges::find(replaced, t.name) != replaced.end());
    if (left_out || (is_there ? !fitting && !map.strict : lenient(t.name))) {
      result.fresh.push_back(t.name);
      if (is_there) result.dropped.push_back(original(*at->second.name));
    } else if (fitting) {
      copies.push_back({&t, at->second.name, own_rows});
      result.taken.push_back(t.name);
    } else if (is_there) {
      const std::string in_file = original(*at->second.name);
      problems += join_text("\n  of another shape or type: ", t.name, ": the model has ", t.value, ", the file ", *at->second.spec,
                            in_file == t.name ? "" : " (" + in_file + ")");
    } else {
      problems += join_text("\n  missing: ", t.name, " ", t.value);
    }
    if (is_there) found.erase(at);
  }
  for (const auto& [name, f] : found) {
    const std::string in_file = original(*f.name);
    if (lenient(name)) {
      result.dropped.push_back(in_file);
    } else {
      problems += join_text("\n  unexpected: ", in_file, name == in_file ? "" : " (as " + name + ")", " ", *f.spec);
    }
  }
  require<CheckpointError>(problems.empty(), "import: ", source.name, ": does not fit the model:", problems);

  std::vector<Tensor> values;  // all are read before the first is written
  for (const Copy& c : copies) values.push_back(source.read(*c.from));
  for (std::size_t i = 0; i < copies.size(); ++i) copy_into(values[i], copies[i].target->value, copies[i].rows);
  return result;
}

Imported import_parameters(const TensorSource& source, const NameMap& map, std::span<const RowMap> rows, const ParameterStore& store) {
  std::vector<ImportTarget> targets;
  for (const Parameter& p : store.parameters()) targets.push_back({p.name(), p.value()});
  Imported result = import_tensors(source, map, rows, targets);
  for (const Parameter& p : store.parameters()) p.write();
  return result;
}

}  // namespace capstan::nn
