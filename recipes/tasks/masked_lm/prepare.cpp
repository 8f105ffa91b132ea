#include "recipes/tasks/masked_lm/prepare.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>

#include "autograd/core/error.h"
#include "data/file.h"
#include "data/line_reader.h"
#include "data/prepared.h"
#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "data/text/wordpiece_learner.h"
#include "recipes/engine/system.h"

namespace capstan::masked_lm {
namespace {

namespace fs = std::filesystem;
using Lines = std::function<void(std::string_view)>;

constexpr std::string_view kInstancePrefix = "instances";
constexpr std::string_view kVocabulary = "vocab.txt", kTrain = "train.corpus", kValidation = "validation.corpus", kTest = "test.corpus";
constexpr std::string_view kMade = "made\n", kNotes = "notes", kStripAccents = "strip accents ", kLowerCase = ", lower case ",
                           kTokenizer = "tokenizer ", kOriginal = "original instances: ";

/// The files that the entries name: themselves, and for a directory its regular files (no links, nothing hidden) by name. What lies in
/// a directory and is no text is left out and noted.
std::vector<std::string> files_of(std::string_view key, const std::vector<std::string>& entries, const engine::Setup& setup,
                                  std::vector<Note>& notes) {
  std::vector<std::string> files;
  for (const std::string& entry : entries) {
    const std::string path = setup.data_path(entry);
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      const auto found = engine::named_by(key, [&] { return data::not_text_file(path); });
      require<DataError>(!found, key, ": ", path, ": is ", found ? found->what : "", ": ", found ? found->advice : "");
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    std::int64_t folders = 0, skipped = 0;
    for (const auto& e : fs::directory_iterator(path, error)) {
      if (e.is_regular_file() && !e.is_symlink() && !e.path().filename().string().starts_with(".")) inside.push_back(e.path().string());
      folders += e.is_directory() ? 1 : 0;
    }
    require<IoError>(!error, path, ": cannot list the directory: ", error.message());
    std::ranges::sort(inside);
    std::erase_if(inside, [&](const std::string& file) {
      const auto found = engine::named_by(key, [&] { return data::not_text_file(file); });
      if (!found) return false;
      constexpr std::int64_t kNamed = 10;
      if (++skipped <= kNamed) notes.push_back({"", join_text(key, ": ", file, " is left out: it is ", found->what, "; ", found->advice)});
      return true;
    });
    if (skipped > 0) notes.push_back({"left out", join_text(skipped, " files of ", path, " that are no text")});
    if (folders > 0) notes.push_back({"left out", join_text(folders, " folders within ", path, ": they are not entered")});
    require<DataError>(!inside.empty(), path, ": the directory holds no file, expected text files",
                       skipped > 0 ? join_text("; ", skipped, " files there are something else, such as ", notes.front().text) : "");
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

/// A number for each form, which keys of prepared data have had from the beginning.
int number_of(data::TextForm form) {
  switch (form) {
    case data::TextForm::sentences: return 0;
    case data::TextForm::paragraphs: return 1;
    case data::TextForm::prose: return 2;
    case data::TextForm::wikitext: return 3;
  }
  return -1;
}

/// Which lines of a file are training text, and which are held out: [0, train), [train, validation), [validation, ...).
struct Parts {
  std::int64_t train = 0, validation = 0;
  bool cut = false;  // some lines are held out
};

/// prepared.txt: what the data was made from, which is its identity, then "made" and the names of the files.
struct Record {
  std::string key = {};
  std::vector<std::string> made = {};
  std::vector<Note> notes = {};
  bool lists_files = false;  // the first ones did not
};

/// A note as a line of the record, and back.
std::string line_of(const Note& note) {
  std::string line = note.what + "\t" + note.text;
  std::ranges::replace(line, '\n', ' ');
  return line + "\n";
}
Note note_of(std::string_view line) {
  const auto tab = std::min(line.find('\t'), line.size());
  return {std::string(line.substr(0, tab)), std::string(line.substr(std::min(tab + 1, line.size())))};
}

/// What follows `start` in a line of the text, up to the line's end.
std::optional<std::string> rest_of_line(const std::string& text, std::string_view start) {
  const auto at = text.find(start);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = at + start.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

class Preparation {
 public:
  Preparation(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup)
      : data_(data), instances_(instances), setup_(setup), directory_(engine::expand_home(data.prepared)) {
    require<ConfigError>(!directory_.empty(), "masked_lm: data.prepared must name the directory for vocabulary and corpora");
    train_files_ = files_of("data.train", data.train, setup, notes_);
    validation_files_ = files_of("data.validation", data.validation, setup, notes_);
    test_files_ = files_of("data.test", data.test, setup, notes_);
  }

  PreparedData run(std::ostream* report) {
    const std::string file = path("prepared.txt");
    if (data_.train.empty()) {
      require<ConfigError>(fs::exists(file), "masked_lm: data.train must name text files: it names none, and ", directory_,
                           " holds nothing prepared that could stand in for them (no ", file, ")");
      const Record record = read_record(file);
      require_same_instances(record);
      const auto missing = first_missing(record);
      require<DataError>(!missing, missing.value_or(""), ": is missing, but ", file, " says that it was made; prepare the data again");
      return found(record);
    }
    load_given_vocabulary();
    const std::string key = make_key();
    if (auto there = current(file, key, report)) return *std::move(there);
    require<DataError>(setup_.purpose != engine::Purpose::evaluate, directory_,
                       ": does not hold what these texts and options make, and evaluate prepares nothing: run `capstan prepare` first");
    data::create_directories_durably(directory_);
    const data::PreparationLock lock(file);
    data::remove_unfinished(directory_);
    if (auto there = current(file, key, nullptr)) return *std::move(there);  // made by another process meanwhile
    data::remove_durably(file);
    std::error_code error;
    for (const std::string& old : {path(kValidation), path(kTest)}) fs::remove(old, error);
    for (const std::string& old : instance_files()) fs::remove(path(old), error);
    Record record{.key = key, .made = make(report), .lists_files = true};
    record.notes = notes_;
    std::string text = join_text(key, kMade);
    for (const std::string& name : record.made) text += name + "\n";
    text += join_text(kNotes, "\n");
    for (const Note& note : record.notes) text += line_of(note);
    data::write_file_durably(file, std::string_view(text));
    return found(record);
  }

 private:
  std::string path(std::string_view name) const { return (fs::path(directory_) / name).string(); }

  /// What was prepared before, if it is whole and of this key.
  std::optional<PreparedData> current(const std::string& file, const std::string& key, std::ostream* report) {
    if (!fs::exists(file)) return std::nullopt;
    const Record record = read_record(file);
    const auto missing = first_missing(record);
    // Instances of the first records lie in chunks that are slow to read by rows.
    const bool readable = record.lists_files || instances_.kind != InstanceKind::original;
    if (record.key == key && !missing && readable) {
      if (report != nullptr) *report << directory_ << ": was up to date\n";
      return found(record);
    }
    if (report != nullptr && record.key == key && missing) *report << *missing << ": is missing, all is made anew\n";
    return std::nullopt;
  }

  static bool is_instance_file(const std::string& name) {
    return name.starts_with(join_text(kInstancePrefix, "-")) && name.ends_with(".h5");
  }
  /// Names of the instance files that lie in the directory.
  std::vector<std::string> instance_files() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& e : fs::directory_iterator(directory_, error))
      if (std::string name = e.path().filename(); is_instance_file(name)) names.push_back(std::move(name));
    std::ranges::sort(names);
    return names;
  }

  Record read_record(const std::string& file) const {
    Record record{.key = data::read_text(file)};
    const auto list = record.key.find(join_text("\n", kMade));
    record.lists_files = list != std::string::npos;
    if (record.lists_files) {
      const std::string names = record.key.substr(list + 1 + kMade.size());
      record.key.resize(list + 1);
      bool in_notes = false;
      for (std::size_t begin = 0; begin < names.size();) {
        const std::size_t end = std::min(names.find('\n', begin), names.size());
        const std::string line = names.substr(begin, end - begin);
        begin = end + 1;
        if (line == kNotes) in_notes = true;
        if (line == kNotes) continue;
        if (in_notes) record.notes.push_back(note_of(line));
        if (!in_notes) record.made.push_back(line);
      }
    } else {
      record.made = {std::string(kVocabulary), std::string(kTrain)};
      for (const std::string_view name : {kValidation, kTest})
        if (fs::exists(path(name))) record.made.emplace_back(name);
      for (std::string& name : instance_files()) record.made.push_back(std::move(name));
    }
    return record;
  }

  /// The path of a file that was made and is not there.
  std::optional<std::string> first_missing(const Record& record) const {
    for (const std::string& name : record.made)
      if (!fs::exists(path(name))) return path(name);
    return std::nullopt;
  }

  void require_same_instances(const Record& record) const {
    const auto made = rest_of_line(record.key, kOriginal);
    if (instances_.kind != InstanceKind::original || !made) return;  // that there are none is said elsewhere
    // Without a limit the number in the record tells nothing, as long as it left room for all that masked_share asks for.
    InstanceOptions wanted = instances_;
    if (wanted.max_predictions == 0) {
      constexpr std::string_view kPredictions = ", predictions ";
      const auto at = made->find(kPredictions);
      const std::int64_t recorded = at == std::string::npos ? 0 : std::atoll(made->c_str() + at + kPredictions.size());
      if (recorded >= data::most_predictions(pretraining_options(instances_))) wanted.max_predictions = recorded;
    }
    const std::string line = *rest_of_line(original_line(wanted), kOriginal);
    require<ConfigError>(*made == line, "masked_lm: the instances in ", directory_,
                         " were made with other options than section instances has: ", *made, "; the configuration says ", line);
  }

  PreparedData found(const Record& record) const {
    PreparedData out{.vocabulary = path(kVocabulary), .train = path(kTrain)};
    for (const std::string& name : record.made) {
      if (name == kValidation) out.validation = path(name);
      if (name == kTest) out.test = path(name);
      if (instances_.kind == InstanceKind::original && is_instance_file(name)) out.instances.push_back(path(name));
    }
    out.digest = to_text(data::digest_of(std::as_bytes(std::span(record.key))));
    // Of the record, not of the configuration, which with data.train empty says nothing about the text.
    const std::string lower_case = rest_of_line(record.key, kLowerCase).value_or("");
    const auto variant = data::variant_named(rest_of_line(record.key, join_text("\n", kTokenizer)).value_or("google"));
    require<DataError>((lower_case.starts_with("true") || lower_case.starts_with("false")) && variant, path("prepared.txt"),
                       ": this is not a record of prepared data: it does not say how the text was cut");
    out.tokenizer = {.lower_case = lower_case.starts_with("true"), .variant = *variant};
    if (const auto strip = rest_of_line(record.key, join_text("\n", kStripAccents))) out.tokenizer.strip_accents = *strip == "true";
    out.notes = record.notes;
    return out;
  }

  /// All that the result depends on, as text. Names of files are not part of it: data may move.
  std::string make_key() const {
    std::string key = join_text("capstan bert data, form 1\ntext form ", number_of(data_.form), kLowerCase, data_.lower_case, ", held out ",
                                data_.held_out, "\n");
    if (data_.tokenizer != data::TokenizerVariant::google) key += join_text(kTokenizer, name_of(data_.tokenizer), "\n");
    if (const auto strip = data_.options().strip_accents) key += join_text(kStripAccents, *strip, "\n");
    if (longest_sentence() > 0) key += join_text("sentences of at most ", longest_sentence(), " tokens\n");
    if (instances_.whole_words) key += "ideographs between blanks are a word\n";
    const bool lines = data_.form == data::TextForm::sentences || data_.form == data::TextForm::paragraphs;
    if (lines && holds_out() && train_files_.size() > 1) key += "a file with held-out lines ends a document\n";
    if (data_.vocabulary.empty()) {
      key += join_text("vocabulary of ", data_.vocab_size, " learned");
      key += data_.alphabet > 0 ? join_text(" with an alphabet of ", data_.alphabet, "\n") : "\n";
    } else {
      key += join_text("vocabulary ",
                       engine::named_by("data.vocabulary", [&] { return to_text(data::digest_file(setup_.data_path(data_.vocabulary))); }),
                       "\n");
    }
    const auto add = [&](std::string_view name, const std::vector<std::string>& files) {
      for (const std::string& f : files)
        key += join_text(name, " ", engine::named_by(join_text("data.", name), [&] { return to_text(data::digest_file(f)); }), "\n");
    };
    add("train", train_files_);
    add("validation", validation_files_);
    add("test", test_files_);
    if (instances_.kind == InstanceKind::original) key += original_line(instances_);
    return key;
  }

  static std::string original_line(const InstanceOptions& o) {
    return join_text(kOriginal, "length ", o.max_length, ", predictions ", o.max_predictions, ", masked ", o.masked_share, ", short ",
                     o.short_share, ", whole words ", o.whole_words, ", passes ", o.dupe_factor, ", seed ", o.seed,
                     o.next_sentence ? "" : ", single texts", "\n");
  }

  /// Whether lines of the training files are held out.
  bool holds_out() const { return data_.held_out > 0 && (validation_files_.empty() || test_files_.empty()); }

  Parts parts_of(const std::string& file) const {
    constexpr std::int64_t kAll = std::int64_t{1} << 62;
    if (!holds_out()) return {kAll, kAll};
    std::int64_t lines = 0;
    data::LineReader reader(file);
    for (std::string_view line; reader.next(line);) ++lines;
    const std::int64_t held_out = static_cast<std::int64_t>(static_cast<double>(lines) * data_.held_out);
    Parts parts{lines - held_out, lines, held_out > 0};
    if (validation_files_.empty() && test_files_.empty()) parts.validation = lines - held_out / 2;
    if (!validation_files_.empty()) parts.validation = parts.train;
    return parts;
  }

  /// Calls the function for the part of a training file that each line belongs to.
  static data::NotUtf8 read(const std::string& file, const Parts& parts, const Lines& train, const Lines& validation, const Lines& test) {
    data::LineReader reader(file);
    for (std::string_view line; reader.next(line);) {
      const std::int64_t number = reader.line_number() - 1;
      const Lines& part = number < parts.train ? train : number < parts.validation ? validation : test;
      if (part) part(line);
    }
    return reader.not_utf8();
  }

  /// Notes the lines that are not UTF-8: the tokenizer leaves such bytes out.
  void note_encoding(std::string_view key, const std::string& file, const data::NotUtf8& found) {
    if (found.lines > 0) notes_.push_back({"", join_text(key, ": ", file, ": ", to_text(found))});
  }

  /// Sentences of the form `sentences` are the user's own, and as create_pretraining_data reads them.
  std::int64_t longest_sentence() const { return data_.form == data::TextForm::sentences ? 0 : data_.longest_sentence; }
  data::CorpusOptions corpus_options() const { return {.longest_sentence = longest_sentence(), .mark_words = instances_.whole_words}; }

  /// data.vocabulary, if it is one for BERT: nothing is made of another.
  void load_given_vocabulary() {
    if (data_.vocabulary.empty()) return;
    given_ =
        engine::named_by("data.vocabulary", [&] { return data::load_vocabulary(setup_.data_path(data_.vocabulary), data_.tokenizer); });
    for (const std::string_view token : {"[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"}) given_->id(token);
  }

  data::Vocabulary make_vocabulary(const std::vector<Parts>& parts, std::ostream* report) const {
    if (given_) {
      if (report != nullptr)
        *report << path(kVocabulary) << ": " << given_->size() << " tokens of " << setup_.data_path(data_.vocabulary) << "\n";
      return *given_;
    }
    data::WordpieceLearner learner({.vocab_size = static_cast<std::int32_t>(data_.vocab_size),
                                    .alphabet_limit = static_cast<std::size_t>(data_.alphabet),
                                    .tokenizer = data_.options()});
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
    require<DataError>(learner.distinct_words() > 0, "masked_lm: data.train holds no text: ", train_files_.size(), " files, the first is ",
                       train_files_.front());
    data::Vocabulary vocabulary = learner.learn();
    if (report != nullptr)
      *report << path(kVocabulary) << ": " << vocabulary.size() << " tokens learned from " << learner.distinct_words()
              << " distinct words\n";
    return vocabulary;
  }

  /// A corpus that is filled line by line; there is no file without a call of finish(), which needs text.
  struct Part {
    Part(const std::string& where, const data::Tokenizer& tokenizer, data::TextForm form, const data::CorpusOptions& options)
        : file(where), builder(file, tokenizer, form, options) {}
    void add(std::string_view line) { builder.add_line(line); }
    /// What counts is what the builder keeps. To be asked behind the end of a file.
    bool has_text() const { return builder.sentences() > 0; }
    data::CorpusBuilder::Counts finish(std::ostream* report) {
      const data::CorpusBuilder::Counts n = builder.finish();
      if (report != nullptr)
        *report << file << ": " << n.documents << " documents, " << n.sentences << " sentences, " << n.tokens << " tokens, " << n.unknown
                << " of them [UNK]\n";
      return n;
    }
    std::string file;
    data::CorpusBuilder builder;
  };

  static std::string names_of(const std::vector<std::string>& files) {
    return join_text(files.size(), " files, the first is ", files.front());
  }

  /// Returns the names of the files made.
  std::vector<std::string> make(std::ostream* report) {
    std::vector<std::string> made{std::string(kVocabulary), std::string(kTrain)};
    std::vector<Parts> parts;
    for (const std::string& file : train_files_) parts.push_back(parts_of(file));
    make_vocabulary(parts, report).save(path(kVocabulary));
    const data::Vocabulary vocabulary = data::load_vocabulary(path(kVocabulary), data_.tokenizer);
    const data::Tokenizer tokenizer(vocabulary, data_.options());
    {
      const data::CorpusOptions options = corpus_options();
      Part train(path(kTrain), tokenizer, data_.form, options), validation(path(kValidation), tokenizer, data_.form, options),
          test(path(kTest), tokenizer, data_.form, options);
      for (std::size_t i = 0; i < train_files_.size(); ++i) {
        const data::NotUtf8 bad = read(
            train_files_[i], parts[i], [&](std::string_view line) { train.add(line); },
            [&](std::string_view line) { validation.add(line); }, [&](std::string_view line) { test.add(line); });
        note_encoding("data.train", train_files_[i], bad);
        // Whole files may go on with a document, as in create_pretraining_data; where lines are held out, other text follows.
        for (Part* p : {&train, &validation, &test}) parts[i].cut ? p->builder.end_document() : p->builder.end_file();
      }
      const auto add_files = [&](Part& part, std::string_view key, const std::vector<std::string>& files) {
        for (const std::string& file : files) {
          note_encoding(key, file, read(file, {0, 0}, {}, {}, [&](std::string_view line) { part.add(line); }));
          part.builder.end_file();
        }
      };
      add_files(validation, "data.validation", validation_files_);
      add_files(test, "data.test", test_files_);
      require<DataError>(train.has_text(), "masked_lm: data.train holds no text: ", names_of(train_files_),
                         holds_out() ? ", apart from what is held out" : "");
      const std::int64_t cut = train.finish(report).cut;
      if (cut > 0)
        notes_.push_back({"cut", join_text(cut, cut == 1 ? " sentence" : " sentences", " of train longer than data.longest_sentence = ",
                                           longest_sentence(), " tokens, behind punctuation where there is some")});
      const auto finish = [&](Part& part, std::string_view name, std::string_view option, const std::vector<std::string>& files) {
        require<DataError>(part.has_text() || files.empty(), "masked_lm: ", option,
                           " holds no text: ", files.empty() ? "" : names_of(files));
        if (part.has_text()) {
          part.finish(report);
          made.emplace_back(name);
        } else if (holds_out() && report != nullptr) {
          *report << part.file << ": is not made, what is held out holds no text: " << names_of(train_files_) << '\n';
        }
      };
      finish(validation, kValidation, "data.validation", validation_files_);
      finish(test, kTest, "data.test", test_files_);
    }
    if (instances_.kind == InstanceKind::original) {
      const data::Corpus corpus(path(kTrain));
      const auto files = data::write_pretraining_files(path(kInstancePrefix), corpus, vocabulary, pretraining_options(instances_));
      for (const std::string& file : files) made.push_back(fs::path(file).filename().string());
      if (report != nullptr) *report << files.front() << ": the first of " << files.size() << " files of instances\n";
    }
    return made;
  }

  const DataOptions& data_;
  const InstanceOptions& instances_;
  const engine::Setup& setup_;
  std::string directory_;
  std::vector<std::string> train_files_, validation_files_, test_files_;
  std::optional<data::Vocabulary> given_;  // data.vocabulary
  std::vector<Note> notes_;
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
          .next_sentence = o.next_sentence,
          .dupe_factor = static_cast<int>(o.dupe_factor),
          .seed = static_cast<std::uint64_t>(o.seed)};
}

}  // namespace capstan::masked_lm
