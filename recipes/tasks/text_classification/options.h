#pragma once
// The configuration of the task: sections data, validation, test, loss and bench, and keys of evaluate beside the engine's own. Every
// field, its range and its help stand here once; recipes/bert_classify/README.md explains the choices that matter.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/text/text_table.h"
#include "recipes/tasks/text/bench_options.h"
#include "recipes/tasks/text/tokenizer_keys.h"
#include "recipes/tasks/text_classification/encoded_texts.h"

namespace capstan::text_classification {

/// What is learned of a text.
enum class Target {
  label,   ///< one of several classes
  number,  ///< regression
};

/// Which columns of a file are meant, and whether its first line names them.
struct ColumnOptions {
  std::string text_column, pair_column, label_column, only;
  data::Header header = data::Header::automatic;
};

struct DataOptions : text::VocabularyKeys {
  std::string train = "train.tsv", validation, test;
  double held_out = 0;
  std::int64_t split_seed = 1;
  data::TextTableForm form = data::TextTableForm::automatic;
  data::TextTableOptions table;  // separator, quotes, comment, encoding, bad_lines
  ColumnOptions columns{.text_column = "text", .pair_column = {}, .label_column = "label", .only = {}};
  Target target = Target::label;
  std::vector<std::string> labels, rename_labels, class_weights;
  std::int64_t max_length = 128;

  template <class V>
  void visit(V& v) {
    v("train", train, "file of texts with labels, plain or with .gz behind its name, relative to run.data").of_use();
    v("validation", validation, "the same for validation; empty: see held_out").of_use();
    v("test", test, "the same for test, with or without labels; empty: the texts of validation").of_use();
    v("held_out", held_out,
      "where validation is empty, training texts set aside for it, whatever run.seed is: below 1 their share, from 1 on their number; 0: "
      "validate on the test texts",
      V::non_negative())
        .of_data();
    v("split_seed", split_seed, "which ones held_out sets aside", V::non_negative()).of_data();
    v("form", form,
      "table: a record a text, its fields between separators; json_lines: a JSON object a line; lines: a label, a blank and the text; "
      "auto: "
      "json_lines by the names .jsonl, .ndjson and .json, else table",
      {{"auto", data::TextTableForm::automatic},
       {"table", data::TextTableForm::table},
       {"json_lines", data::TextTableForm::json_lines},
       {"lines", data::TextTableForm::lines}})
        .of_use();
    v("text_column", columns.text_column, "name of the column of the text, or its number: from 1, or from -1 at the end").of_use();
    v("pair_column", columns.pair_column, "the same of the second text of a pair; empty: texts are single");
    v("label_column", columns.label_column, "the same of the label, or of the number that is learned").of_use();
    v("only", columns.only, "column=value: records whose column holds another value are left out; empty: all count").of_data();
    v("header", columns.header, "whether the first line names the columns; auto: if a column is given by name",
      {{"auto", data::Header::automatic}, {"present", data::Header::present}, {"absent", data::Header::absent}})
        .of_use();
    v("separator", table.table.separator,
      "between fields: tab, comma, semicolon, pipe, blank (any run of blanks and tabs), control-a or a text such as ::; empty: judged over "
      "the first 200 lines")
        .of_use();
    v("comment", table.table.comment, "lines that begin with this are left out; empty: there are none").of_use();
    v("quotes", table.table.quotes, "fields may stand in double quotes (RFC 4180); no: a quote is a letter like any other, as in GLUE")
        .of_use();
    v("encoding", table.encoding, "of the files", {{"utf-8", data::Encoding::utf8}, {"iso-8859-1", data::Encoding::latin1}}).of_use();
    v("bad_lines", table.bad_lines, "lines with too few or too many fields, an empty text or label, and repeated headers",
      {{"refuse", data::BadLines::refuse}, {"skip", data::BadLines::skip}})
        .of_use();
    v("target", target, "what is learned: label, one of several classes; number, a regression",
      {{"label", Target::label}, {"number", Target::number}});
    v("labels", labels, "the classes in their order, of two the second being the positive one; empty: those of the training texts, sorted")
        .of_training();
    v("rename_labels", rename_labels, "labels of the files that mean another one, old=new").of_use();
    v("class_weights", class_weights,
      "weights of the classes in the loss, label=weight (1 where a label is left out), or balanced: texts / (classes * texts of the class)")
        .of_training();
    v("max_length", max_length, "tokens of a text or pair with [CLS] and [SEP]; of a longer pair the end of the longer text is cut first",
      V::between(4, 65536));
    text::VocabularyKeys::visit(v);
  }
};

/// Keys of the section data beside DataOptions, of a recipe whose model may learn its vocabulary.
struct WordKeys {
  std::int64_t vocab_size = 0, min_count = 1;
  bool shapes = false;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "tokens at most of a vocabulary of the words of the training texts; 0: no limit", V::between(0, 1e7))
        .of_training();
    v("min_count", min_count, "how often a word of the training texts must come to be in that vocabulary; rarer ones are [UNK]",
      V::between(1, 1e6))
        .of_training();
    v("shapes", shapes,
      "in that vocabulary rarer and unknown words are their lower-case form, or else tokens for their shape (capitals, digits, ending), "
      "instead of [UNK]")
        .of_training();
  }
};

/// How the model of a recipe wants its texts: not for users to choose.
struct Reading {
  Frame frame = Frame::cls_sep;
  /// Where no vocabulary is given, it is the words of the training texts; absent: that is an error.
  std::optional<WordKeys> words = {};
};

/// Columns of the files of one part where they differ from those of data.
struct PartOptions {
  std::string text_column, pair_column, label_column, only;
  std::string header = "data";

  template <class V>
  void visit(V& v) {
    v("text_column", text_column, "as data.text_column, in the files of this part; empty: the same");
    v("pair_column", pair_column, "as data.pair_column; empty: the same");
    v("label_column", label_column, "as data.label_column; empty: the same, and a test file without it has no labels; none: no labels");
    v("only", only, "as data.only; empty: the same");
    v("header", header, "as data.header; data: the same", {"data", "auto", "present", "absent"});
  }
};

struct LossOptions {
  double label_smoothing = 0;

  template <class V>
  void visit(V& v) {
    v("label_smoothing", label_smoothing, "share of the target distribution that is spread over all classes", V::fraction());
  }
};

struct EvaluateOptions {
  std::string output, results, confusion;

  template <class V>
  void visit(V& v) {
    v("output", output,
      "a file for `evaluate` to write, a line a text: the probability of each class with tabs between, as test_results.tsv of the "
      "original, "
      "or the number; empty: none")
        .output();
    v("results", results, "a file for `evaluate` to write: eval_accuracy, eval_loss, ..., as eval_results.txt of the original; empty: none")
        .output();
    v("confusion", confusion, "a file for `evaluate` to write the confusion matrix to, tab-separated; empty: none").output();
  }
};

/// Everything but the model. A recipe adds its section `model`.
struct Options {
  DataOptions data;
  PartOptions validation, test;
  LossOptions loss;
  EvaluateOptions evaluate;
  text::BenchOptions bench;

  template <class V>
  void visit(V& v) {
    v.section("data", data);
    v.section("validation", validation, V::of_use());
    v.section("test", test, V::of_use());
    v.section("loss", loss, V::of_training());
    v.section("evaluate", evaluate, V::of_use());
    v.section("bench", bench, V::of_use());
  }

  /// Rules between these and a model of so many positions. Throws ConfigError.
  void validate(std::int64_t max_positions) const;
  /// Two texts in each record.
  bool pairs() const { return !data.columns.pair_column.empty(); }
  bool regression() const { return data.target == Target::number; }
  /// How much of the training texts is set aside for validation.
  double held_out() const { return data.validation.empty() ? data.held_out : 0; }
  /// How files of the training part are read, or of another.
  data::TextTableOptions training_table() const;
  data::TextTableOptions table(const PartOptions& part) const;
};

/// "old=new" in two. Throws ConfigError naming the key, which wants `form`.
std::pair<std::string, std::string> named_pair(const std::string& text, std::string_view key, std::string_view form);

}  // namespace capstan::text_classification
