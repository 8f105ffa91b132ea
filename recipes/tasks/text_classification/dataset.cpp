#include "recipes/tasks/text_classification/dataset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "autograd/core/error.h"
#include "data/at.h"
#include "data/file.h"
#include "data/sampler.h"
#include "data/text/word_counter.h"

namespace capstan::text_classification {
namespace {

using engine::Purpose;
using engine::Split;

constexpr double kMuchUnknown = 0.1;  // share of [UNK] above which the vocabulary is surely not that of the text
constexpr std::size_t kManyLabels = 1000;

using data::at;

std::string percent(std::int64_t part, std::int64_t whole) {
  return join_text(std::round(1e4 * static_cast<double>(part) / static_cast<double>(whole)) / 100, " %");
}

double number_in(const std::string& text, const std::string& where) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  require<DataError>(error == std::errc() && stop == end && std::isfinite(value), where,
                     "expected a number (data.target = number), found '", text, "'");
  return value;
}

data::HeldOut held_out_of(const Options& options, std::int64_t texts) {
  return engine::named_by("data.held_out",
                          [&] { return data::hold_out(texts, options.held_out(), static_cast<std::uint64_t>(options.data.split_seed)); });
}

template <class T>
std::uint32_t checksum(std::span<const T> values, std::uint32_t before) {
  return data::crc32c(std::as_bytes(values), before);
}

}  // namespace

data::Vocabulary learned_words(const Options& options, const engine::Setup& setup, const WordKeys& keys) {
  std::vector<std::string> texts, pairs;
  engine::named_by("data.train", [&] {
    data::TextTable table(data::plain_or_gzip(setup.data_path(options.data.train)), options.training_table());
    for (data::TextRecord r; table.next(r);) {
      texts.push_back(std::move(r.text));
      pairs.push_back(std::move(r.pair));
    }
    require<DataError>(!texts.empty(), table.path(), ": no line of the file holds a text that counts");
  });
  data::WordCounter words(
      {.vocab_size = keys.vocab_size, .min_count = keys.min_count, .shapes = keys.shapes, .tokenizer = options.data.options()});
  for (const std::int64_t i : held_out_of(options, std::ssize(texts)).kept) {
    words.add(texts[at(i)]);
    words.add(pairs[at(i)]);
  }
  return engine::named_by("data.min_count", [&] { return words.vocabulary(); });
}

Dataset::Dataset(const Options& options, const engine::Setup& setup, const Encoder& encoder, const std::vector<std::string>& class_names)
    : options_(options),
      setup_(setup),
      encoder_(encoder),
      labels_(class_names.empty() ? options.data.labels : class_names, options.data.rename_labels),
      training_counts_(LabelCounts::of(setup.artifacts)) {
  if (setup_.purpose != Purpose::train) return;
  const Part& train = part(Split::train);
  require<DataError>(!train.indices.empty(), "data.held_out: leaves no text to train on");
  training_counts_ = {};
  training_counts_.counts.resize(labels_.names().size());
  for (const std::int64_t i : train.indices) {
    if (options_.regression()) {
      training_counts_.mean += train.texts->numbers[at(i)] / static_cast<double>(train.indices.size());
    } else {
      ++training_counts_.counts[at(train.texts->labels[at(i)])];
    }
  }
  part(Split::validation);
}

// ---- reading

Dataset::Source Dataset::source_of(Split split) const {
  const DataOptions& o = options_.data;
  if (split == Split::train) return Source::training;
  if (split == Split::test && !o.test.empty()) return Source::test;
  if (!o.validation.empty()) return Source::validation;
  if (o.held_out > 0) return Source::training;
  return o.test.empty() ? Source::none : Source::test;
}

const Dataset::Part& Dataset::part(Split split) const {
  const std::lock_guard lock(mutex_);
  auto& kept = parts_[static_cast<std::size_t>(split)];
  if (!kept) kept = made(split);
  return *kept;
}

Dataset::Part Dataset::made(Split split) const {
  const Source source = source_of(split);
  Part out{.texts = file(source), .indices = {}, .short_first = {}};
  if (source == Source::training) {
    const data::HeldOut parts = held_out_of(options_, out.texts->texts.size());
    out.indices = split == Split::train ? parts.kept : parts.held;
  } else {
    out.indices.resize(at(out.texts->texts.size()));
    std::iota(out.indices.begin(), out.indices.end(), std::int64_t{0});
  }
  out.short_first.resize(out.indices.size());
  std::iota(out.short_first.begin(), out.short_first.end(), std::int64_t{0});
  std::ranges::stable_sort(out.short_first, {}, [&](std::int64_t i) { return out.texts->texts.length(out.indices[at(i)]); });
  return out;
}

std::shared_ptr<const LabelledTexts> Dataset::file(Source source) const {
  auto& kept = files_[source];
  if (kept) return kept;
  const auto opened = [&](std::string_view key, const std::string& path, data::TextTableOptions form, NewLabels policy) {
    return std::make_shared<const LabelledTexts>(
        engine::named_by(key, [&] { return read(data::plain_or_gzip(setup_.data_path(path)), form, policy); }));
  };
  const DataOptions& o = options_.data;
  if (source == Source::training) {
    const bool found = labels_.names().empty() && !options_.regression();
    kept = opened("data.train", o.train, options_.training_table(), found ? NewLabels::add : NewLabels::refuse);
  } else if (source == Source::validation) {
    kept = opened("data.validation", o.validation, options_.table(options_.validation), NewLabels::refuse);
  } else if (source == Source::test) {
    data::TextTableOptions form = options_.table(options_.test);
    form.label_may_miss = options_.test.label_column.empty();
    kept = opened("data.test", o.test, form, NewLabels::refuse);
  } else {
    kept = std::make_shared<const LabelledTexts>();
  }
  return kept;
}

LabelledTexts Dataset::read(const std::string& path, const data::TextTableOptions& form, NewLabels policy) const {
  LabelledTexts out;
  data::TextTable table(path, form);
  out.labelled = table.has_labels();
  for (data::TextRecord r; table.next(r);) {
    if (options_.pairs()) {
      encoder_.add(r.text, r.pair, out.texts);
    } else {
      encoder_.add(r.text, out.texts);
    }
    if (!out.labelled) continue;
    if (options_.regression()) {
      out.numbers.push_back(number_in(r.label, table.where(r)));
      continue;
    }
    const std::int64_t label = policy == NewLabels::add ? labels_.add(r.label) : labels_.find(r.label);
    require<DataError>(label >= 0, table.where(r), "the label '", r.label, "' is none of the ", labels_.names().size(),
                       " known ones: ", listed(labels_.names()), labels_.suggestion(r.label));
    out.labels.push_back(label);
  }
  if (policy == NewLabels::add) {
    const std::vector<std::int64_t> sorted = labels_.sort();
    for (std::int64_t& label : out.labels) label = sorted[at(label)];
  }
  out.path = path;
  out.form = table.form_text();
  out.not_utf8 = table.not_utf8();
  out.bad = table.bad();
  out.others = table.others();
  out.first_bad = table.first_bad();
  require<DataError>(out.texts.size() > 0, path, ": no line of the file holds a text that counts",
                     out.bad > 0 ? join_text("; ", out.bad, " are bad, the first: ", out.first_bad) : "",
                     out.others > 0 ? join_text("; ", out.others, " are left out by only = ", form.only_column, "=", form.only_value) : "");
  return out;
}

// ---- samples

std::int64_t Dataset::label(Split split, std::int64_t i) const {
  const Part& p = part(split);
  return p.texts->labels[at(p.indices[at(i)])];
}

double Dataset::number(Split split, std::int64_t i) const {
  const Part& p = part(split);
  return p.texts->numbers[at(p.indices[at(i)])];
}

std::vector<std::int64_t> Dataset::lengths(Split split) const {
  const Part& p = part(split);
  std::vector<std::int64_t> out;
  for (const std::int64_t i : p.indices) out.push_back(p.texts->texts.length(i));
  return out;
}

std::string Dataset::digest() const {
  std::uint32_t sum = 0;
  std::int64_t texts = 0;
  for (const Split split : {Split::train, Split::validation}) {
    const Part& p = part(split);
    texts += static_cast<std::int64_t>(p.indices.size());
    sum = checksum(std::span(p.indices), sum);
    sum = checksum(p.texts->texts.ids(), sum);
    sum = checksum(p.texts->texts.first_segments(), sum);
    sum = checksum(std::span(p.texts->labels), sum);
    sum = checksum(std::span(p.texts->numbers), sum);
  }
  for (const std::string& name : labels_.names()) sum = data::crc32c(name + "\n", sum);
  return join_text(texts, "-", sum);
}

// ---- in words

std::string Dataset::source(Split split) const {
  const Source source = source_of(split);
  std::string path = part(split).texts->path;
  if (split != Split::train && source == Source::training) path = "set aside from " + path;
  if (split == Split::validation && source == Source::test) return path + ", the test texts";
  if (split == Split::test && source != Source::test) return path + ", the texts of validation";
  return path;
}

std::string Dataset::labels_text(Split split, data::DataReport& report) const {
  const Part& p = part(split);
  if (!p.texts->labelled) return "without labels";
  if (options_.regression()) {
    double least = p.texts->numbers[at(p.indices[0])], most = least, sum = 0;
    for (const std::int64_t i : p.indices) {
      const double v = p.texts->numbers[at(i)];
      least = std::min(least, v), most = std::max(most, v), sum += v;
    }
    if (least == most)
      report.warn(
          join_text("every number of ", p.texts->path, " is ", least, ": nothing correlates with it; train.metric = loss can judge"));
    return join_text("numbers ", least, " to ", most, ", mean ", sum / static_cast<double>(p.indices.size()));
  }
  std::vector<std::int64_t> counts(labels_.names().size());
  for (const std::int64_t i : p.indices) ++counts[at(p.texts->labels[at(i)])];
  std::vector<std::string> each, missing;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    each.push_back(labels_.names()[c] + " " + data::grouped(counts[c]));
    if (counts[c] == 0) missing.push_back(labels_.names()[c]);
  }
  if (!missing.empty()) report.warn(join_text("no text of ", p.texts->path, " has the label ", listed(missing)));
  return listed(each);
}

void Dataset::report_part(Split split, data::DataReport& report) const {
  const Part& p = part(split);
  if (p.indices.empty()) return;
  const LabelledTexts& file = *p.texts;
  const std::string name(engine::name_of(split));
  report.fact(name, join_text(source(split), ": ", data::grouped(std::ssize(p.indices)), options_.pairs() ? " pairs; " : " texts; ",
                              labels_text(split, report)));
  if (split != Split::train && source_of(split) == Source::training) return;  // the same file
  if (split == Split::train || !parts_[0] || parts_[0]->texts->form != file.form) report.fact("", file.form);
  const auto tokens = std::ssize(file.texts.ids());
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < file.texts.size(); ++i) longest = std::max(longest, file.texts.length(i));
  report.fact("", join_text("up to ", longest, " tokens, ", tokens / file.texts.size(), " on average; ",
                            percent(file.texts.cut(), file.texts.size()), " are cut at data.max_length = ", options_.data.max_length, "; ",
                            percent(file.texts.unknown(), tokens), " of the tokens are [UNK]"));
  if (file.others > 0) report.fact("", join_text(data::grouped(file.others), " lines of other kinds are left out"));
  if (file.bad > 0) report.warn(join_text(data::grouped(file.bad), " bad lines are left out, the first: ", file.first_bad));
  if (file.texts.bare() > 0) report.warn(join_text(data::grouped(file.texts.bare()), " texts of ", file.path, " have no token"));
  if (static_cast<double>(file.texts.unknown()) > kMuchUnknown * static_cast<double>(tokens))
    report.warn(join_text(percent(file.texts.unknown(), tokens), " of the tokens of ", file.path,
                          " are [UNK]: is this the vocabulary, and data.lower_case, of the model?"));
  if (file.not_utf8.lines > 0 && options_.data.table.encoding == data::Encoding::utf8)
    report.warn(join_text(file.path, ": ", data::to_text(file.not_utf8), "; or set data.encoding = iso-8859-1"));
}

data::DataReport Dataset::report() const {
  data::DataReport report;
  const std::vector<std::string>& names = labels_.names();
  for (const Split split : {Split::train, Split::validation, Split::test})
    if (parts_[static_cast<std::size_t>(split)]) report_part(split, report);
  if (!options_.regression()) {
    report.fact("labels", join_text(names.size(), ": ", listed(names), names.size() == 2 ? join_text("; f1 is of '", names[1], "'") : ""));
    if (names.size() == 1) report.warn("there is one label only (" + names[0] + "): any model is right");
    if (names.size() > kManyLabels) report.warn(join_text("there are ", names.size(), " labels: is data.label_column the right one?"));
  }
  if (setup_.purpose == Purpose::train && source_of(Split::validation) == Source::test)
    report.warn("the test texts validate, so what is chosen by them is no test any more; data.held_out sets training texts aside instead");
  if (setup_.purpose == Purpose::train && options_.data.held_out > 0 && !options_.data.validation.empty())
    report.fact("held out", "none: data.held_out is for where data.validation names no file");
  if (setup_.purpose == Purpose::train && source_of(Split::validation) == Source::none)
    report.warn("nothing validates: data.validation, data.test and data.held_out name no texts");
  return report;
}

}  // namespace capstan::text_classification
