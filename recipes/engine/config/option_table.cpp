#include "recipes/engine/config/option_table.h"

#include <algorithm>

#include "autograd/core/nearest_name.h"
#include "recipes/engine/config/renamed_keys.h"
#include "recipes/engine/config/value.h"

namespace capstan::engine {
namespace {

std::string text_of(bool v) { return v ? "true" : "false"; }
std::string text_of(std::int64_t v) { return std::to_string(v); }
std::string text_of(double v) { return join_text(v); }
std::string text_of(const std::string& v) { return v; }
template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string out;
  for (const T& v : list) out += (out.empty() ? "" : ", ") + text_of(v);
  return out;
}

/// Where a range of integers is open upwards: sums and products of a few such numbers must not leave 64 bits.
Range countable(Range range) {
  if (range.high == std::numeric_limits<double>::max()) range.high = 1e15;
  return range;
}

template <class T>
void check_range(const Range& range, T v, std::string_view text) {
  require<ConfigError>(range.contains(static_cast<double>(v)), "must be ", range, ", got ", text);
}

}  // namespace

std::vector<std::string> OptionTable::keys() const {
  std::vector<std::string> keys;
  for (const Option& o : options_) keys.push_back(o.key);
  return keys;
}

const Option* OptionTable::find(std::string_view key) const {
  const auto it = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  return it == options_.end() ? nullptr : &*it;
}

Option& OptionTable::add(std::string_view name, std::string type, std::string allowed, std::string_view help,
                         std::function<std::string()> get, std::function<void(std::string_view)> set) {
  std::string key = prefix_ + std::string(name);
  require<InternalError>(find(key) == nullptr, "config: key '", key, "' is listed twice");
  std::string default_text = get();
  options_.push_back({std::move(key), std::move(type), std::move(allowed), std::string(help), std::move(default_text),
                      std::string(kDefaultOrigin), std::move(get), std::move(set), concern_});
  return options_.back();
}

Option& OptionTable::operator()(std::string_view name, bool& field, std::string_view help) {
  return add(
      name, "true|false", "", help, [&field] { return text_of(field); }, [&field](std::string_view text) { field = parse_boolean(text); });
}

Option& OptionTable::operator()(std::string_view name, std::int64_t& field, std::string_view help, const Range& range) {
  return add(
      name, "integer", to_text(range), help, [&field] { return text_of(field); },
      [&field, range = countable(range)](std::string_view text) {
        const std::int64_t v = parse_integer(text);
        check_range(range, v, text);
        field = v;
      });
}

Option& OptionTable::operator()(std::string_view name, double& field, std::string_view help, const Range& range) {
  return add(
      name, "number", to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        const double v = parse_number(text);
        check_range(range, v, text);
        field = v;
      });
}

Option& OptionTable::operator()(std::string_view name, std::string& field, std::string_view help) {
  return add(
      name, "text", "", help, [&field] { return field; }, [&field](std::string_view text) { field = checked_text(text); });
}

Option& OptionTable::operator()(std::string_view name, std::string& field, std::string_view help,
                                std::initializer_list<std::string_view> choices) {
  std::vector<std::pair<std::string, std::int64_t>> named;
  std::vector<std::string> names;
  for (const std::string_view c : choices) {
    named.emplace_back(c, static_cast<std::int64_t>(names.size()));
    names.emplace_back(c);
  }
  return add_choice(
      name, help, named,
      [&field, names] { return static_cast<std::int64_t>(std::find(names.begin(), names.end(), field) - names.begin()); },
      [&field, names](std::int64_t v) { field = names[static_cast<std::size_t>(v)]; });
}

Option& OptionTable::add_choice(std::string_view name, std::string_view help,
                                const std::vector<std::pair<std::string, std::int64_t>>& choices, std::function<std::int64_t()> get,
                                std::function<void(std::int64_t)> set) {
  std::string type;
  for (const auto& c : choices) type += (type.empty() ? "" : "|") + c.first;
  const std::string allowed = type;
  return add(
      name, type, "", help,
      [choices, get = std::move(get), key = prefix_ + std::string(name)] {
        const std::int64_t value = get();
        for (const auto& c : choices)
          if (c.second == value) return c.first;
        throw InternalError(join_text("config: the value of '", key, "' is none of its choices"));
      },
      [choices, set = std::move(set), allowed](std::string_view text) {
        for (const auto& c : choices)
          if (c.first == text) return set(c.second);
        std::vector<std::string> names;
        for (const auto& c : choices) names.push_back(c.first);
        throw ConfigError(join_text("must be one of ", allowed, ", got '", text, "'", suggestion(text, names)));
      });
}

Option& OptionTable::operator()(std::string_view name, std::vector<std::int64_t>& field, std::string_view help, const Range& range) {
  return add(
      name, "list of integers", "each " + to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        std::vector<std::int64_t> values;
        for (const std::string_view part : split_list(text)) {
          values.push_back(parse_integer(part));
          check_range(range, values.back(), part);
        }
        field = std::move(values);
      });
}

Option& OptionTable::operator()(std::string_view name, std::vector<double>& field, std::string_view help, const Range& range) {
  return add(
      name, "list of numbers", "each " + to_text(range), help, [&field] { return text_of(field); },
      [&field, range](std::string_view text) {
        std::vector<double> values;
        for (const std::string_view part : split_list(text)) {
          values.push_back(parse_number(part));
          check_range(range, values.back(), part);
        }
        field = std::move(values);
      });
}

Option& OptionTable::operator()(std::string_view name, std::vector<std::string>& field, std::string_view help) {
  return add(
      name, "list of texts", "", help, [&field] { return text_of(field); },
      [&field](std::string_view text) {
        std::vector<std::string> values;
        for (const std::string_view part : split_list(text)) values.push_back(checked_text(part));
        field = std::move(values);
      });
}

void assign(OptionTable& table, std::span<const Assignment> assignments) {
  const std::vector<std::string> known = table.keys();
  std::string faults;
  const auto fault = [&](const auto&... parts) { faults += join_text(faults.empty() ? "" : "\n", parts...); };
  for (const Assignment& a : assignments) {
    const auto options = table.options();
    const auto it = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.key == a.key; });
    if (it == options.end()) {
      const std::string_view now = renamed_key(a.key);
      fault(a.origin, ": unknown key '", a.key, "'", now.empty() ? suggestion(a.key, known) : join_text("; it is ", now, " now"));
      continue;
    }
    try {
      it->set(unquoted(a.value));
      it->origin = a.origin;
    } catch (const ConfigError& e) {
      fault(a.origin, ": ", a.key, " ", e.what());
    }
  }
  require<ConfigError>(faults.empty(), faults);
}

}  // namespace capstan::engine
