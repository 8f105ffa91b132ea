#include "recipes/bert/prepare.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string_view>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "data/text/wordpiece_learner.h"

namespace capstan::bert {
namespace {

namespace fs = std::filesystem;
using Lines = std::function<void(std::string_view)>;

constexpr std::string_view kInstancePrefix = "instances";

/// The files that the entries name: themselves, and for a directory its regular files (no links, nothing hidden) by name.
std::vector<std::string> files_of(const std::vector<std::string>& entries, const engine::Setup& setup) {
  std::vector<std::string> files;
  for (const std::string& entry : entries) {
    const std::string path = setup.data_path(entry);
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& e : fs::directory_iterator(path, error))
      if (e.is_regular_file() && !e.is_symlink() && !e.path().filename().string().starts_with(".")) inside.push_back(e.path().string());
    require<IoError>(!error, path, ": cannot list the directory: ", error.message());
    require<DataError>(!inside.empty(), path, ": the directory holds no file, expected text files");
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

/// Which lines of a file are training text, and which are held out: [0, train), [train, validation), [validation, ...).
struct Parts {
  std::int64_t train = 0, validation = 0;
};

class Preparation {
 public:
  Preparation(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup)
      : data_(data), instances_(instances), setup_(setup), directory_(data.prepared) {
    require<ConfigError>(!directory_.empty(), "bert: data.prepared must name the directory for vocabulary and corpora");
    train_files_ = files_of(data.train, setup);
    validation_files_ = files_of(data.validation, setup);
    test_files_ = files_of(data.test, setup);
  }

  PreparedData run(std::ostream* report) {
    const std::string record = path("prepared.txt");
    if (data_.train.empty()) {
      require<ConfigError>(fs::exists(record), "bert: data.train must name text files: ", record, " does not exist, so ", directory_,
                           " holds nothing that was prepared from other text");
      return found(text_of(record));
    }
    const std::string key = make_key();
    if (fs::exists(record) && text_of(record) == key) {
      if (report != nullptr) *report << directory_ << ": was up to date\n";
      return found(key);
    }
    std::error_code error;
    fs::create_directories(directory_, error);
    require<IoError>(!error, directory_, ": cannot create the directory: ", error.message());
    for (const std::string& old : {record, path("validation.corpus"), path("test.corpus")}) fs::remove(old, error);
    for (const std::string& old : instance_files()) fs::remove(old, error);
    make(report);
    data::write_file_durably(record, std::string_view(key));
    return found(key);
  }

 private:
  std::string path(std::string_view name) const { return (fs::path(directory_) / name).string(); }

  static std::string text_of(const std::string& file) {
    const auto bytes = data::read_file(file);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::vector<std::string> instance_files() const {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto& e : fs::directory_iterator(directory_, error))
      if (const std::string name = e.path().filename(); name.starts_with(join_text(kInstancePrefix, "-")) && name.ends_with(".h5"))
        files.push_back(e.path().string());
    std::ranges::sort(files);
    return files;
  }

  PreparedData found(const std::string& key) const {
    PreparedData out{.vocabulary = path("vocab.txt"), .train = path("train.corpus")};
    if (fs::exists(path("validation.corpus"))) out.validation = path("validation.corpus");
    if (fs::exists(path("test.corpus"))) out.test = path("test.corpus");
    if (instances_.kind == InstanceKind::original) out.instances = instance_files();
    out.digest = to_text(data::digest_of(std::as_bytes(std::span(key))));
    return out;
  }

  /// All that the result depends on, as text. Names of files are not part of it: data may move.
  std::string make_key() const {
    std::string key = join_text("capstan bert data, form 1\ntext form ", static_cast<int>(data_.form), ", lower case ", data_.lower_case,
                                ", held out ", data_.held_out, "\n");
    if (data_.vocabulary.empty()) {
      key += join_text("vocabulary of ", data_.vocab_size, " learned\n");
    } else {
      key += join_text("vocabulary ", to_text(data::digest_file(setup_.data_path(data_.vocabulary))), "\n");
    }
    const auto add = [&](std::string_view name, const std::vector<std::string>& files) {
      for (const std::string& f : files) key += join_text(name, " ", to_text(data::digest_file(f)), "\n");
    };
    add("train", train_files_);
    add("validation", validation_files_);
    add("test", test_files_);
    if (instances_.kind == InstanceKind::original) {
      const InstanceOptions& o = instances_;
      key += join_text("original instances: length ", o.max_length, ", predictions ", o.max_predictions, ", masked ", o.masked_share,
                       ", short ", o.short_share, ", whole words ", o.whole_words, ", passes ", o.dupe_factor, ", seed ", o.seed, "\n");
    }
    return key;
  }

  Parts parts_of(const std::string& file) const {
    constexpr std::int64_t kAll = std::int64_t{1} << 62;
    if (data_.held_out <= 0 || (!validation_files_.empty() && !test_files_.empty())) return {kAll, kAll};
    std::int64_t lines = 0;
    data::LineReader reader(file);
    for (std::string_view line; reader.next(line);) ++lines;
    const std::int64_t held_out = static_cast<std::int64_t>(static_cast<double>(lines) * data_.held_out);
    Parts parts{lines - held_out, lines};
    if (validation_files_.empty() && test_files_.empty()) parts.validation = lines - held_out / 2;
    if (!validation_files_.empty()) parts.validation = parts.train;
    return parts;
  }

  /// Calls the function for the part of a training file that each line belongs to.
  static void read(const std::string& file, const Parts& parts, const Lines& train, const Lines& validation, const Lines& test) {
    data::LineReader reader(file);
    for (std::string_view line; reader.next(line);) {
      const std::int64_t number = reader.line_number() - 1;
      const Lines& part = number < parts.train ? train : number < parts.validation ? validation : test;
      if (part) part(line);
    }
  }

  data::Vocabulary make_vocabulary(const std::vector<Parts>& parts, std::ostream* report) const {
    if (!data_.vocabulary.empty()) {
      const std::string given = setup_.data_path(data_.vocabulary);
      data::Vocabulary vocabulary = data::Vocabulary::load(given);
      if (report != nullptr) *report << path("vocab.txt") << ": " << vocabulary.size() << " tokens of " << given << "\n";
      return vocabulary;
    }
    data::WordpieceLearner learner(
        {.vocab_size = static_cast<std::int32_t>(data_.vocab_size), .tokenizer = {.lower_case = data_.lower_case}});
    std::string plain;
    const bool wikitext = data_.form == data::TextForm::wikitext;
    const Lines add = [&](std::string_view line) {
      if (wikitext) {
        plain = line;
        data::unescape_wikitext(plain, /*keep_unknown=*/false);
        line = plain;
      }
      learner.add(line);
    };
    for (std::size_t i = 0; i < train_files_.size(); ++i) read(train_files_[i], parts[i], add, {}, {});
    require<DataError>(learner.distinct_words() > 0, "bert: data.train holds no text: ", train_files_.size(), " files, the first is ",
                       train_files_.front());
    data::Vocabulary vocabulary = learner.learn();
    if (report != nullptr)
      *report << path("vocab.txt") << ": " << vocabulary.size() << " tokens learned from " << learner.distinct_words()
              << " distinct words\n";
    return vocabulary;
  }

  /// A corpus that is filled line by line; there is no file if no line came.
  struct Part {
    Part(const std::string& where, const data::Tokenizer& tokenizer, data::TextForm form) : file(where), builder(file, tokenizer, form) {}
    void add(std::string_view line) {
      builder.add_line(line);
      has_text = has_text || line.find_first_not_of(" \t\r") != std::string_view::npos;
    }
    void finish(std::ostream* report) {
      const data::CorpusBuilder::Counts n = builder.finish();
      if (report != nullptr)
        *report << file << ": " << n.documents << " documents, " << n.sentences << " sentences, " << n.tokens << " tokens, " << n.unknown
                << " of them [UNK]\n";
    }
    std::string file;
    data::CorpusBuilder builder;
    bool has_text = false;
  };

  void make(std::ostream* report) const {
    std::vector<Parts> parts;
    for (const std::string& file : train_files_) parts.push_back(parts_of(file));
    make_vocabulary(parts, report).save(path("vocab.txt"));
    const data::Vocabulary vocabulary = data::Vocabulary::load(path("vocab.txt"));
    const data::Tokenizer tokenizer(vocabulary, {.lower_case = data_.lower_case});
    {
      Part train(path("train.corpus"), tokenizer, data_.form), validation(path("validation.corpus"), tokenizer, data_.form),
          test(path("test.corpus"), tokenizer, data_.form);
      for (std::size_t i = 0; i < train_files_.size(); ++i) {
        read(
            train_files_[i], parts[i], [&](std::string_view line) { train.add(line); },
            [&](std::string_view line) { validation.add(line); }, [&](std::string_view line) { test.add(line); });
        for (Part* p : {&train, &validation, &test}) p->builder.end_file();
      }
      const auto add_files = [](Part& part, const std::vector<std::string>& files) {
        for (const std::string& file : files) {
          read(file, {0, 0}, {}, {}, [&](std::string_view line) { part.add(line); });
          part.builder.end_file();
        }
      };
      add_files(validation, validation_files_);
      add_files(test, test_files_);
      require<DataError>(train.has_text, "bert: data.train holds no text: ", train_files_.size(), " files, the first is ",
                         train_files_.front());
      train.finish(report);
      for (Part* p : {&validation, &test})
        if (p->has_text) p->finish(report);
    }
    if (instances_.kind == InstanceKind::original) {
      const data::Corpus corpus(path("train.corpus"));
      const auto files = data::write_pretraining_files(path(kInstancePrefix), corpus, vocabulary, pretraining_options(instances_));
      if (report != nullptr) *report << files.front() << ": the first of " << files.size() << " files of instances\n";
    }
  }

  const DataOptions& data_;
  const InstanceOptions& instances_;
  const engine::Setup& setup_;
  std::string directory_;
  std::vector<std::string> train_files_, validation_files_, test_files_;
};

}  // namespace

PreparedData prepare_data(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup, std::ostream* report) {
  return Preparation(data, instances, setup).run(report);
}

data::PretrainingOptions pretraining_options(const InstanceOptions& o) {
  return {.max_seq_length = o.max_length,
          .max_predictions_per_seq = o.max_predictions,
          .masked_lm_prob = o.masked_share,
          .short_seq_prob = o.short_share,
          .whole_word_mask = o.whole_words,
          .dupe_factor = static_cast<int>(o.dupe_factor),
          .seed = static_cast<std::uint64_t>(o.seed)};
}

}  // namespace capstan::bert
