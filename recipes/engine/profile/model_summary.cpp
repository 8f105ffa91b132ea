#include "recipes/engine/profile/model_summary.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "autograd/core/error.h"
#include "autograd/tape/checkpoint.h"
#include "data/data_report.h"
#include "recipes/engine/terminal/terminal.h"

namespace capstan::engine {
namespace {

/// encoder/0/query of encoder/0/query/weight; what stands at the root is a layer of its own.
std::string layer_of(const std::string& parameter) {
  const auto slash = parameter.rfind('/');
  return slash == std::string::npos ? parameter : parameter.substr(0, slash);
}

/// The path that both lie below, or are.
std::string shared_path(const std::string& a, const std::string& b) {
  if (a == b) return a;
  std::size_t end = 0;
  for (std::size_t i = 0;; ++i) {
    const bool a_ends = i == a.size() || a[i] == '/', b_ends = i == b.size() || b[i] == '/';
    if (a_ends && b_ends) end = i;
    if (i == a.size() || i == b.size() || a[i] != b[i]) return a.substr(0, end);
  }
}

/// Which of the parameters an operand is.
class OperandParameters {
 public:
  explicit OperandParameters(std::span<const Parameter> parameters) : parameters_(parameters) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      by_leaf_.emplace(parameters[i].leaf(), i);
      by_memory_.emplace(parameters[i].value().storage().data(), i);
    }
  }
  const Parameter* find(const LoggedOperation::Operand& operand) const {
    if (const auto leaf = by_leaf_.find(operand.leaf); leaf != by_leaf_.end()) return &parameters_[leaf->second];
    const auto memory = by_memory_.find(operand.memory);  // of one that is fixed, or a view
    return memory == by_memory_.end() ? nullptr : &parameters_[memory->second];
  }

 private:
  std::span<const Parameter> parameters_;
  std::unordered_map<std::uint64_t, std::size_t> by_leaf_;
  std::unordered_map<const std::byte*, std::size_t> by_memory_;
};

/// The layers of the operations of a log, "" where there is none.
std::vector<std::string> layers_of_operations(std::span<const LoggedOperation> operations, const OperandParameters& known) {
  std::vector<std::optional<std::string>> own(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i)
    for (const auto& operand : operations[i].operands)
      if (const Parameter* p = known.find(operand)) {
        const std::string layer = layer_of(p->name());
        const std::string both = own[i] ? shared_path(*own[i], layer) : layer;
        if (!own[i] || !both.empty()) own[i] = both;  // a head that is tied to a table belongs to the table
      }
  std::vector<std::string> layers(operations.size());
  std::vector<std::string> next(operations.size());
  std::string behind;
  for (std::size_t i = operations.size(); i-- > 0;) {
    next[i] = behind;
    if (own[i]) behind = *own[i];
  }
  std::string before;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].forward >= 0) {
      layers[i] = layers[static_cast<std::size_t>(operations[i].forward)];
    } else if (own[i]) {
      layers[i] = before = *own[i];
    } else {
      layers[i] = shared_path(before, next[i]);
    }
  }
  return layers;
}

/// A path that ends with a number, in front of it and the number: "encoder/", 3, or "encoder/layer_", 3.
struct Numbered {
  std::string stem;
  std::int64_t number = 0;
};
std::optional<Numbered> numbered(const std::string& path) {
  std::size_t digits = path.size();
  while (digits > 0 && std::isdigit(static_cast<unsigned char>(path[digits - 1])) != 0) --digits;
  const bool whole_part = digits > 0 && (path[digits - 1] == '/' || path[digits - 1] == '_');
  if (digits == path.size() || path.size() - digits > 9 || !whole_part) return std::nullopt;
  return Numbered{path.substr(0, digits), std::stoll(path.substr(digits))};
}

/// The longest part of a path that ends with a number; empty: there is none.
std::string block_of(const std::string& path) {
  for (std::size_t end = path.size(); end != std::string::npos && end > 0; end = path.rfind('/', end - 1))
    if (numbered(path.substr(0, end))) return path.substr(0, end);
  return "";
}

bool is_below(const std::string& path, const std::string& above) { return path.size() > above.size() && path.starts_with(above + "/"); }

/// What a parameter is, without its name.
std::string kind_text(const Parameter& p) {
  std::string text = join_text(p.dtype(), p.shape());
  if (!p.trainable()) text += " fixed";
  if (p.learning_rate_scale() != 1) text += join_text(" rate x ", p.learning_rate_scale());
  return text;
}

struct LayerRow {
  std::string path;
  std::vector<const Parameter*> parameters = {};

  /// "weight, bias f32[16]; running_mean f32[16] fixed"
  std::string tensors() const {
    std::string text, before;
    for (const Parameter* p : parameters) {
      const std::string kind = kind_text(*p), name = p->name() == path ? "" : p->name().substr(path.size() + 1);
      if (!text.empty()) text += kind == before ? ", " : " " + before + "; ";
      text += name;
      before = kind;
    }
    if (parameters.empty()) return "";
    return text.empty() ? before : text + " " + before;
  }
};

/// Rows in the order of the parameters, with one more for each path that only has work.
std::vector<LayerRow> layer_rows(std::span<const Parameter> parameters, const std::map<std::string, LayerWork>& work) {
  std::vector<LayerRow> rows;
  for (const Parameter& p : parameters) {
    const std::string layer = layer_of(p.name());
    auto row = std::ranges::find(rows, layer, &LayerRow::path);
    if (row == rows.end()) row = rows.insert(rows.end(), {.path = layer});
    row->parameters.push_back(&p);
  }
  for (const auto& of_path : work) {
    const std::string& path = of_path.first;
    if (of_path.second.forward + of_path.second.backward <= 0 || std::ranges::find(rows, path, &LayerRow::path) != rows.end()) continue;
    rows.insert(path.empty() ? rows.end() : std::ranges::find_if(rows, [&](const LayerRow& r) { return is_below(r.path, path); }),
                {.path = path});
  }
  return rows;
}

struct LayerBlock {
  std::string path;  // empty: one row that belongs to no block
  std::vector<LayerRow> rows;

  bool alike(const LayerBlock& other) const {
    return std::ranges::equal(rows, other.rows, [&](const LayerRow& a, const LayerRow& b) {
      return a.path.substr(path.size()) == b.path.substr(other.path.size()) && a.tensors() == b.tensors();
    });
  }
};

std::vector<LayerBlock> blocks_of(std::vector<LayerRow> rows) {
  std::vector<LayerBlock> blocks;
  for (LayerRow& row : rows) {
    const std::string path = block_of(row.path);
    if (blocks.empty() || path.empty() || blocks.back().path != path) blocks.push_back({.path = path, .rows = {}});
    blocks.back().rows.push_back(std::move(row));
  }
  return blocks;
}

}  // namespace

std::map<std::string, LayerWork> work_of_layers(std::span<const profile::Event> events, std::span<const LoggedOperation> operations,
                                                std::span<const Parameter> parameters) {
  const std::vector<std::string> layers = layers_of_operations(operations, OperandParameters(parameters));
  std::vector<std::int32_t> operation_of(events.size(), -1);
  std::vector<bool> backward(events.size()), again(events.size());
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (operations[i].event >= 0) operation_of[static_cast<std::size_t>(operations[i].event)] = static_cast<std::int32_t>(i);
  std::map<std::string, LayerWork> work;
  for (std::size_t i = 0; i < events.size(); ++i) {  // a parent stands before its children
    const profile::Event& e = events[i];
    if (e.parent >= 0) {
      const auto parent = static_cast<std::size_t>(e.parent);
      if (operation_of[i] < 0) operation_of[i] = operation_of[parent];
      backward[i] = backward[parent];
      again[i] = again[parent];
    }
    if (e.kind == profile::Kind::phase) {
      backward[i] = backward[i] || e.name == "backward";
      again[i] = again[i] || e.name == kRecomputePhase;
    }
    if (e.work.flops <= 0 || again[i]) continue;
    LayerWork& of_layer = work[operation_of[i] < 0 ? "" : layers[static_cast<std::size_t>(operation_of[i])]];
    (backward[i] ? of_layer.backward : of_layer.forward) += e.work.flops;
  }
  return work;
}

std::vector<std::string> inputs_of_pass(std::span<const profile::Event> events, std::span<const LoggedOperation> operations,
                                        std::span<const Parameter> parameters) {
  const OperandParameters known(parameters);
  std::set<const std::byte*> seen;
  std::vector<std::string> inputs;
  for (const LoggedOperation& operation : operations)
    for (const auto& operand : operation.operands) {
      if (operand.computed || operand.spec.shape.numel() < 2 || known.find(operand) != nullptr || !seen.insert(operand.memory).second)
        continue;
      inputs.push_back(join_text(operand.spec, " (", events[static_cast<std::size_t>(operation.event)].name, ")"));
    }
  return inputs;
}

std::vector<LayerLine> layer_lines(std::span<const Parameter> parameters, const std::map<std::string, LayerWork>& work) {
  const std::vector<LayerBlock> blocks = blocks_of(layer_rows(parameters, work));
  const auto add = [&](LayerLine& line, const LayerRow& row) {
    for (const Parameter* p : row.parameters) {
      line.parameters += p->shape().numel();
      if (!p->trainable()) line.fixed += p->shape().numel();
    }
    if (const auto found = work.find(row.path); found != work.end()) {
      line.work.forward += found->second.forward;
      line.work.backward += found->second.backward;
    }
  };
  std::vector<LayerLine> lines;
  for (std::size_t first = 0, end = 0; first < blocks.size(); first = end) {
    const LayerBlock& block = blocks[first];
    end = first + 1;
    if (block.path.empty()) {
      lines.push_back({.path = block.rows[0].path, .tensors = block.rows[0].tensors()});
      add(lines.back(), block.rows[0]);
      continue;
    }
    const Numbered place = *numbered(block.path);
    for (; end < blocks.size(); ++end) {
      const auto next = blocks[end].path.empty() ? std::nullopt : numbered(blocks[end].path);
      if (!next || next->stem != place.stem || next->number != place.number + static_cast<std::int64_t>(end - first) ||
          !block.alike(blocks[end]))
        break;
    }
    const auto count = static_cast<std::int64_t>(end - first);
    const std::string path = count == 1 ? block.path : join_text(block.path, "..", place.number + count - 1);
    const std::size_t head = lines.size();
    lines.push_back({.path = path, .count = count});
    for (std::size_t r = 0; r < block.rows.size(); ++r) {
      const std::string rest = block.rows[r].path.substr(block.path.size());
      if (!rest.empty()) lines.push_back({.path = path + rest, .depth = 1, .count = count});
      LayerLine& line = rest.empty() ? lines[head] : lines.back();
      line.tensors = block.rows[r].tensors();
      for (std::size_t b = first; b < end; ++b) {
        add(line, blocks[b].rows[r]);
        if (!rest.empty()) add(lines[head], blocks[b].rows[r]);
      }
    }
  }
  return lines;
}

std::string layer_table(std::span<const LayerLine> lines, std::size_t columns) {
  struct Unit {
    double size;
    std::string_view name;
  };
  double most = 0;
  LayerLine all{.path = "all"};
  for (const LayerLine& line : lines) {
    if (line.depth > 0) continue;
    all.parameters += line.parameters;
    all.work.forward += line.work.forward;
    all.work.backward += line.work.backward;
    most = std::max(most, line.work.forward);
  }
  const Unit unit = most >= 1e9 ? Unit{1e9, "GFLOP"} : most >= 1e6 ? Unit{1e6, "MFLOP"} : Unit{1e3, "kFLOP"};
  const auto flops = [&](double n) { return n > 0 ? short_number(n / unit.size) : "-"; };
  struct Cells {
    std::string layer;
    std::vector<std::string> numbers;
    std::string tensors;
  };
  std::vector<Cells> table{{.layer = "layer",
                            .numbers = {"parameters", "share", join_text("forward ", unit.name), "backward"},
                            .tensors = "tensors, of one block"}};
  std::string head;
  const auto cells = [&](const LayerLine& line) {
    if (line.depth == 0) head = line.path;
    Cells c;
    c.layer = line.path.empty() ? "(no layer)" : line.depth == 0 ? line.path : "  " + line.path.substr(head.size() + 1);
    const double share = all.parameters > 0 ? 100 * static_cast<double>(line.parameters) / static_cast<double>(all.parameters) : 0;
    const auto tenths = static_cast<std::int64_t>(10 * share + 0.5);
    c.numbers = {line.parameters > 0 ? data::grouped(line.parameters) : "-",
                 line.parameters > 0 ? join_text(tenths / 10, ".", tenths % 10, " %") : "", flops(line.work.forward),
                 flops(line.work.backward)};
    c.tensors = line.tensors;
    return c;
  };
  for (const LayerLine& line : lines) table.push_back(cells(line));
  table.push_back(cells(all));
  std::vector<std::size_t> widths(5, 0);
  for (const Cells& c : table) {
    widths[0] = std::max(widths[0], width_of(c.layer));
    for (std::size_t i = 0; i < c.numbers.size(); ++i) widths[i + 1] = std::max(widths[i + 1], width_of(c.numbers[i]));
  }
  std::string text;
  for (const Cells& c : table) {
    std::string line = padded(c.layer, widths[0]);
    for (std::size_t i = 0; i < c.numbers.size(); ++i) line += "  " + padded(c.numbers[i], widths[i + 1], /*right=*/true);
    if (!c.tensors.empty()) line += "  " + c.tensors;
    text += cut_to(line, columns) + "\n";
  }
  return text;
}

std::string parameter_lines(std::span<const Parameter> parameters) {
  std::string text;
  for (const Parameter& p : parameters) {
    text += join_text(p.name(), "  ", p.dtype(), p.shape(), p.trainable() ? "" : "  fixed");
    if (p.learning_rate_scale() != 1) text += join_text("  learning rate x ", p.learning_rate_scale());
    text += "\n";
  }
  return text;
}

}  // namespace capstan::engine
