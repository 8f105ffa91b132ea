#include "recipes/tasks/span_extraction/dataset.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/sampler.h"

namespace capstan::span_extraction {
namespace {

using engine::Purpose;
using engine::Split;
namespace fs = std::filesystem;

constexpr std::string_view kTrain = "train-", kDev = "dev-";

bool is_file(const std::string& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// The path of dev-v1.1.json for that of train-v1.1.json; empty for other names.
std::string dev_of(const std::string& train) {
  const fs::path path(train);
  const std::string name = path.filename().string();
  return name.starts_with(kTrain) ? (path.parent_path() / (std::string(kDev) + name.substr(kTrain.size()))).string() : "";
}

/// The training file of a directory by its published name, whether it is there itself or its dev file alone; or the only .json file.
std::string find_training_file(const std::string& directory) {
  std::vector<std::string> published, others;
  for (const char* version : {"v1.1.json", "v2.0.json"}) {
    const std::string train = (fs::path(directory) / (std::string(kTrain) + version)).string();
    if (is_file(train) || is_file(dev_of(train))) published.push_back(train);
  }
  require<ConfigError>(published.size() < 2, "data.train: ", directory, " holds files of SQuAD 1.1 and of SQuAD 2.0; name one");
  if (!published.empty()) return published[0];
  std::error_code fault;
  for (const auto& entry : fs::directory_iterator(directory, fault))
    if (entry.path().extension() == ".json" && is_file(entry.path().string())) others.push_back(entry.path().string());
  require<IoError>(!fault, "run.data: ", directory, ": ", fault.message());
  require<ConfigError>(others.size() == 1, "data.train: must name a SQuAD file where ", directory,
                       " holds neither train-v1.1.json nor train-v2.0.json: there are ", others.size(), " other .json files");
  return others[0];
}

std::string counted(std::int64_t count, std::string_view what) { return join_text(data::grouped(count), " ", what, count == 1 ? "" : "s"); }

std::string described(const Questions& q) {
  std::string text =
      join_text(counted(q.questions(), "question"), " about ", counted(q.documents(), "paragraph"), " in ", counted(q.size(), "window"));
  if (q.counts().impossible > 0) text += join_text(", ", data::grouped(q.counts().impossible), " without an answer");
  return text;
}

}  // namespace

Files find_files(const DataOptions& data, const engine::Setup& setup) {
  Files out;
  const auto given = [&](std::string_view path) { return path.empty() ? std::string() : setup.data_path(path); };
  const bool complete = setup.purpose == Purpose::evaluate && (!data.validation.empty() || !data.test.empty());
  out.train = !data.train.empty() ? given(data.train) : complete ? "" : find_training_file(setup.data_path("."));
  out.validation = given(data.validation);
  if (const std::string dev = dev_of(out.train); out.validation.empty() && is_file(dev)) out.validation = dev;
  out.test = given(data.test);
  return out;
}

Dataset::Dataset(const DataOptions& data, const SpanOptions& spans, const engine::Setup& setup, const data::Tokenizer& tokenizer,
                 std::optional<bool> stored)
    : files_(find_files(data, setup)) {
  const bool training = setup.purpose == Purpose::train;
  tests_on_validation_ = files_.test.empty();
  held_out_ = files_.validation.empty() && data.held_out > 0 && !files_.train.empty() &&
              (training || tests_on_validation_ || is_file(files_.train));
  const auto read = [](std::string_view key, const std::string& path) {
    return engine::named_by(key, [&] { return data::read_squad(path); });
  };
  std::array<data::Squad, 3> squads;
  auto& [train, validation, test] = squads;
  if (training || held_out_) train = read("data.train", files_.train);
  if (training) digest_ = to_text(data::digest_file(files_.train));
  // A file that validates is not needed where another one is tested on.
  if (!files_.validation.empty() && (training || tests_on_validation_ || is_file(files_.validation)))
    validation = read("data.validation", files_.validation);
  if (!tests_on_validation_) test = read("data.test", files_.test);
  const bool in_data = training ? train.has_impossible() : std::ranges::any_of(squads, &data::Squad::has_impossible);
  unanswerable_ = may_be_unanswerable(spans.unanswerable, stored.value_or(in_data));

  if (held_out_) {
    const std::int64_t articles = std::ssize(train.titles);
    const data::HeldOut parts = engine::named_by(
        "data.held_out", [&] { return data::hold_out(articles, data.held_out, static_cast<std::uint64_t>(data.split_seed)); });
    validation = train.of_articles(parts.held);
    train = train.of_articles(parts.kept);
  }
  const auto set = [&](Split split, std::string_view key, Questions::Use use) {
    const auto i = static_cast<std::size_t>(split);
    parts_[i] = engine::named_by(key, [&] { return Questions(squads[i], tokenizer, spans.windows, use, unanswerable_); });
  };
  if (training) set(Split::train, "data.train", Questions::Use::training);
  set(Split::validation, held_out_ ? "data.train" : "data.validation", Questions::Use::evaluation);
  set(Split::test, "data.test", Questions::Use::evaluation);
  require<DataError>(!training || part(Split::train).size() > 0, "data.train: ", files_.train, ": there is no question to train on");
}

const Questions& Dataset::part(Split split) const {
  return parts_[static_cast<std::size_t>(split == Split::test && tests_on_validation_ ? Split::validation : split)];
}

data::DataReport Dataset::report() const {
  data::DataReport report;
  for (const auto& [split, name, path] : {std::tuple{Split::train, "train", &files_.train},
                                          {Split::validation, "validation", held_out_ ? &files_.train : &files_.validation},
                                          {Split::test, "test", &files_.test}}) {
    const Questions& q = parts_[static_cast<std::size_t>(split)];
    if (q.questions() == 0) continue;
    const bool set_aside = held_out_ && split == Split::validation;
    report.fact(name, join_text(*path, ": ", described(q), set_aside ? "; articles that data.held_out sets aside" : ""));
    if (q.counts().cut > 0)
      report.fact("cut", join_text(data::grouped(q.counts().cut), " questions of ", name, " at spans.question_length"));
    if (q.counts().not_found > 0)
      report.warn(join_text(counted(q.counts().not_found, "question"), " of ", name,
                            " left out, because the answer does not stand where it claims to; the first: ", q.counts().first_not_found));
  }
  report.fact("answers", unanswerable_ ? "or none: spans.unanswerable" : "one for every question");
  if (tests_on_validation_ && part(Split::validation).questions() > 0 && part(Split::train).questions() > 0)
    report.fact("test", "the questions that validate");
  return report;
}

}  // namespace capstan::span_extraction
