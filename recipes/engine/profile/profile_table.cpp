#include "recipes/engine/profile/profile_table.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <sstream>
#include <utility>

#include "autograd/core/error.h"
#include "data/json.h"

namespace capstan::engine {
namespace {

using profile::Event;
using profile::Kind;

constexpr std::size_t kShown = 30, kNameWidth = 32;  // of a table: lines, and columns of a name

std::size_t place(Kind kind) { return static_cast<std::size_t>(kind); }
std::size_t place(std::int32_t event) { return static_cast<std::size_t>(event); }

/// What a line stands for: the operation that an event lies in, or is, and the phase around that.
struct Owner {
  std::int32_t phase = -1, operation = -1;  // events; -1: none
};

// A parent stands before its children.
std::vector<Owner> owners_of(std::span<const Event> events) {
  std::vector<Owner> owners(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto self = static_cast<std::int32_t>(i);
    Owner& owner = owners[i];
    if (events[i].parent >= 0) owner = owners[place(events[i].parent)];
    if (events[i].kind == Kind::phase)
      owner = {.phase = self};
    else if (events[i].kind == Kind::operation || owner.operation < 0)
      owner.operation = self;
  }
  return owners;
}

std::string fixed(double value, int digits, int width) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  out.width(width);
  out << value;
  return out.str();
}
std::string left(std::string_view text, std::size_t width) {
  std::string out(width, ' ');
  std::copy_n(text.begin(), std::min(text.size(), width), out.begin());
  return out;
}
std::string right(std::string_view text, std::size_t width) {
  return std::string(width - std::min(text.size(), width), ' ') + std::string(text);
}

}  // namespace

double ProfileLine::total() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

std::vector<ProfileLine> profile_lines(std::span<const Event> events, const Rates& rates) {
  const std::vector<Owner> owners = owners_of(events);
  std::vector<double> self(events.size());
  std::map<std::int32_t, profile::Work> of_call;  // by the event of an operation
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Event& e = events[i];
    if (e.end == 0) continue;
    const double seconds = 1e-9 * static_cast<double>(e.end - e.begin);
    self[i] += seconds;
    if (e.parent >= 0 && events[place(e.parent)].end != 0) self[place(e.parent)] -= seconds;
    if (owners[i].operation >= 0) of_call[owners[i].operation] += e.work;
  }
  std::map<std::pair<std::string_view, std::string_view>, ProfileLine> lines;
  const auto line_of = [&](const Owner& owner) -> ProfileLine& {
    const std::string_view phase = owner.phase >= 0 ? events[place(owner.phase)].name : "",
                           operation = owner.operation >= 0 ? events[place(owner.operation)].name : "";
    ProfileLine& line = lines[{phase, operation}];
    line.phase = phase;
    line.operation = operation;
    return line;
  };
  for (std::size_t i = 0; i < events.size(); ++i)
    if (events[i].end != 0) line_of(owners[i]).seconds[place(events[i].kind)] += self[i];
  for (const auto& [operation, work] : of_call) {
    ProfileLine& line = line_of(owners[place(operation)]);
    ++line.calls;
    line.work += work;
    line.bound += rates.seconds(work);
  }
  std::vector<ProfileLine> out;
  for (const auto& [name, line] : lines) out.push_back(line);
  std::ranges::stable_sort(out, std::ranges::greater(), &ProfileLine::total);
  return out;
}

std::string profile_table(std::span<const ProfileLine> lines, const Rates& rates, std::int64_t steps) {
  const auto n = static_cast<double>(steps);
  ProfileLine all;
  double of_products = 0;
  for (const ProfileLine& line : lines) {
    for (std::size_t k = 0; k < all.seconds.size(); ++k) all.seconds[k] += line.seconds[k];
    all.work += line.work;
    all.bound += line.bound;
    of_products += line.work.flops / rates.flops;
  }
  const double total = std::max(all.total(), 1e-12);
  std::string out = "a step takes " + fixed(1e3 * total / n, 2, 0) + " ms:";
  for (std::size_t k = 0; k < all.seconds.size(); ++k)
    if (all.seconds[k] > 0.0005 * total)
      out += join_text(" ", profile::name_of(static_cast<Kind>(k)), " ", fixed(100 * all.seconds[k] / total, 1, 0), " %");
  out += "\nthe bound is " + fixed(1e3 * all.bound / n, 2, 0) + " ms (products alone " + fixed(1e3 * of_products / n, 2, 0) +
         "), of which " + fixed(100 * all.bound / total, 1, 0) + " % are reached; " + fixed(1e-9 * rates.flops, 0, 0) + " GFLOP/s, " +
         fixed(1e-9 * rates.bytes.back(), 1, 0) + " GB/s from memory\n";
  // Kinds that nothing is spent on have no column.
  std::vector<std::size_t> kinds;
  for (std::size_t k = 0; k < all.seconds.size(); ++k)
    if (all.seconds[k] > 0) kinds.push_back(k);
  out += left("phase", 9) + " " + left("operation", kNameWidth) + "   calls      ms     %";
  for (const std::size_t k : kinds) out += "  " + right(profile::name_of(static_cast<Kind>(k)), 10);
  out += "   GFLOP      MB   bound\n";
  const auto ms = [&](double seconds, int width = 8) { return fixed(1e3 * seconds / n, 3, width); };
  for (const ProfileLine& line : lines.first(std::min(lines.size(), kShown))) {
    out += left(line.phase, 9) + " " + left(line.operation.empty() ? "(beside operations)" : line.operation, kNameWidth) +
           fixed(static_cast<double>(line.calls) / n, 1, 8) + ms(line.total()) + fixed(100 * line.total() / total, 1, 6);
    for (const std::size_t k : kinds) out += ms(line.seconds[k], 12);
    out += fixed(1e-9 * line.work.flops / n, 3, 8) + fixed(1e-6 * line.work.bytes / n, 2, 8) + ms(line.bound) + "\n";
  }
  if (lines.size() > kShown) {
    double rest = 0;
    for (const ProfileLine& line : lines.subspan(kShown)) rest += line.total();
    out += left("", 9) + " " + left(std::to_string(lines.size() - kShown) + " others", kNameWidth) + "        " +
           fixed(1e3 * rest / n, 3, 8) + fixed(100 * rest / total, 1, 6) + "\n";
  }
  return out;
}

std::string chrome_trace(std::span<const Event> events) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(3);
  out << R"({"displayTimeUnit": "ms", "traceEvents": [)";
  bool first = true;
  for (const Event& e : events) {
    if (e.end == 0) continue;
    out << (std::exchange(first, false) ? "\n" : ",\n") << R"({"ph": "X", "pid": 0, "tid": 0, "name": )" << data::json_string(e.name)
        << R"(, "cat": )" << data::json_string(profile::name_of(e.kind)) << R"(, "ts": )" << 1e-3 * static_cast<double>(e.begin)
        << R"(, "dur": )" << 1e-3 * static_cast<double>(e.end - e.begin);
    if (e.work.flops > 0 || e.work.bytes > 0) out << R"(, "args": {"flops": )" << e.work.flops << R"(, "bytes": )" << e.work.bytes << "}";
    out << "}";
  }
  out << "\n]}\n";
  return out.str();
}

}  // namespace capstan::engine
