#include "recipes/engine/command/manual.h"

#include <utility>

#include "recipes/engine/command/command_line.h"
#include "recipes/engine/command/commands.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/config/options.h"

namespace capstan::engine {
namespace {

struct Entry {
  std::string_view head, text;
};

// What a run leaves, as recipes/README.md lists it.
constexpr Entry kFiles[] = {
    {"config.cfg", "the resolved configuration, each line with its origin; valid input again"},
    {"metrics.jsonl", "one JSON object per line: step, epoch, split, then loss and speed of training, or the metrics of a validation"},
    {"log.txt", "what happened, with the time"},
    {"checkpoints/step-N.h5",
     "the newest checkpoint.keep_last and the best checkpoint.keep_best checkpoints: HDF5 files that any reader opens"},
    {"checkpoints/best.h5", "a second name of the best one"},
    {"checkpoints/LATEST.json", "file, bytes, digest, step and metric of the newest one"},
    {"layers.jsonl",
     "every guard.layers_every steps a row for each parameter: its largest weight and gradient, and how far a step moves it"},
    {"run.json", "what the run is: recipe, configuration, metrics, what it read"},
    {"result.json", "how it ended and its best metric, once it has done all it was asked to"},
    {"report.html, findings.json", "with train.report: a page to look at, and what the best model so far does"},
    {"tensorboard/", "with train.tensorboard: the numbers of metrics.jsonl as events"},
    {"lr_range.jsonl", "of --lr-range: a row a step, then the rate that is suggested"},
    {"nan_dump.h5, nan_dump.json", "after a numerical stop: the last finite weights, and what is known of it"},
    {"run.lock", "keeps a second process out"},
};

constexpr Entry kEnvironment[] = {
    {"OMP_NUM_THREADS, OMP_THREAD_LIMIT", "at most so many threads, where run.threads does not say how many"},
    {"OMP_PLACES, OMP_PROC_BIND", "the cores that threads are bound to; there are as many threads as places"},
    {"GOMP_SPINCOUNT, OMP_WAIT_POLICY", "how waiting threads wait; where neither is set, they spin for a moment and then sleep"},
    {"TMPDIR", "where selftest writes instead of /tmp"},
    {"HOME", "what ~ and $HOME at the start of a path stand for"},
    {"NO_COLOR, TERM", "no colours where NO_COLOR is set or TERM is dumb"},
    {"LC_ALL, LC_CTYPE, LANG", "characters beyond ASCII where the locale is of UTF-8"},
};

constexpr Entry kExamples[] = {
    {"capstan train sasrec/quickstart run.dir=runs/first", "Trains a small recommender on generated data: no download, a few seconds."},
    {"capstan train sasrec/quickstart run.dir=runs/first --resume auto", "Goes on with it after Ctrl-C, a kill or a power cut."},
    {"capstan evaluate --checkpoint runs/first/checkpoints/best.h5", "Computes its metrics on the test split, beside baselines."},
    {"capstan train sasrec/ml1m data.path=my.txt --check", "Reads your data, builds the model and computes one batch; trains nothing."},
    {"capstan export runs/first/checkpoints/best.h5 model.safetensors", "Writes the weights for other programs."},
    {"capstan predict --checkpoint best run.dir=runs/first --input lines.txt --output answers.tsv", "Answers each line of a file."},
    {"mpirun -n 2 --bind-to core capstan train bert/mini run.data=texts run.dir=runs/two", "Trains with two processes."},
};

/// troff's requests, line by line.
class Page {
 public:
  void section(std::string_view name) { line(".SH ", name); }
  void paragraph(std::string_view text) {
    out_ += ".PP\n";
    line("", troff(text));
  }
  /// A term in bold, what follows it on its line, and its text below.
  void term(std::string_view bold, std::string_view rest, std::string_view text) {
    out_ += ".TP\n";
    out_.append("\\fB").append(troff(bold)).append("\\fR");
    if (!rest.empty()) out_.append(" ").append(troff(rest));
    out_ += '\n';
    line("", troff(text));
  }
  void terms(std::span<const Entry> entries) {
    for (const Entry& e : entries) term(e.head, "", e.text);
  }
  void indent() { out_ += ".RS\n"; }
  void back() { out_ += ".RE\n"; }
  /// A command as it is typed, and what it does.
  void example(std::string_view command, std::string_view text) {
    paragraph(text);
    out_ += ".RS 4\n.nf\n";
    line("", troff(command));
    out_ += ".fi\n.RE\n";
  }
  void line(std::string_view request, std::string_view rest) { out_.append(request).append(rest).append("\n"); }
  std::string done() && { return std::move(out_); }

 private:
  std::string out_;
};

void add_commands(Page& page) {
  page.section("COMMANDS");
  page.paragraph("CONFIG is a file, or one of the names that capstan list shows, such as sasrec/quickstart.");
  for (const CommandText& c : commands()) {
    page.term(c.name, c.arguments, c.help);
    if (c.flags.empty()) continue;
    page.indent();
    for (const Flag& f : c.flags) page.term("--" + f.name, f.value_name, f.help);
    page.back();
  }
  page.term("help", "[COMMAND]", "The same as --help: all commands, or one with its flags.");
  page.term("--version", "", "Prints the version.");
}

void add_keys(Page& page) {
  page.section("CONFIGURATION");
  page.paragraph(
      "A configuration is a file of lines key = value in sections, [train] and others; its first line names the recipe. What is on the "
      "command line as section.key=value, --section.key=value or --section.key value replaces what is in the file, which replaces the "
      "default. A key or value that makes no sense is an error with file, line and the nearest name. Integers may be written 64k, 64Ki, "
      "1e5 or 2^16.");
  page.paragraph(
      "The keys that every recipe has follow, with their defaults, which a recipe or its configuration may replace. capstan train CONFIG "
      "--help shows them all with the recipe's own ones, capstan train CONFIG --print-config where each value comes from.");
  EngineOptions options;
  const OptionTable table(options);
  for (const Option& o : table.options()) {
    const std::string value = o.default_text.empty() ? "" : "= " + o.default_text;
    page.term(o.key, value, o.type + (o.allowed.empty() ? "" : ", " + o.allowed) + ": " + o.help + ".");
  }
}

}  // namespace

std::string troff(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out += "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;
      case '~': out += "\\(ti"; break;
      case '^': out += "\\(ha"; break;
      case '`': out += "\\(ga"; break;
      case '\'': out += "\\(aq"; break;
      case '\n': out += ' '; break;  // a line that began with a dot would be a request
      default: out += c;
    }
  }
  return out;
}

std::string manual_page() {
  Page page;
  page.line(R"(.\" Made by "capstan manual" from the tables of the program: do not edit.)", "");
  page.line(".TH CAPSTAN 1 \"\" ", "\"capstan " + std::string(kVersion) + "\" \"User Commands\"");
  page.line(".nh", "");  // names and values are read letter by letter
  page.line(".ad l", "");
  page.section("NAME");
  page.line("capstan \\- ", troff("train sequence and vision models on CPUs"));
  page.section("SYNOPSIS");
  page.line(".B ", "capstan");
  page.line("", "\\fICOMMAND\\fR ...");
  page.line(".br", "");
  page.line(".B ", "capstan");
  page.line("", "\\fICOMMAND\\fR [\\fICONFIG\\fR] \\-\\-help");
  page.section("DESCRIPTION");
  page.paragraph(
      "capstan trains, evaluates and uses recommenders, language models, translators and models of images, each described by a "
      "configuration, without Python and without a graphics processor. Runs go on bit for bit where they stopped, and print their metrics "
      "beside baselines.");
  add_commands(page);
  add_keys(page);
  page.section("FILES");
  page.paragraph("In the directory of a run, run.dir, or runs/RECIPE-CONFIG where that is empty:");
  page.terms(kFiles);
  page.paragraph("Beside the program, as of /usr/bin/capstan in /usr/share:");
  page.term("../share/capstan/recipes/RECIPE/NAME.cfg", "", "the configurations that capstan list shows");
  page.term("../share/doc/capstan/", "", "what this page leaves out: README.md, and a page for each recipe in recipes/");
  page.section("SIGNALS");
  page.paragraph(
      "SIGINT (Ctrl-C), SIGTERM, SIGHUP and SIGUSR1 let training finish its step and save before it ends; a second one ends it at once.");
  page.section("EXIT STATUS");
  for (const ExitText& e : exit_texts()) page.term(e.codes, "", e.meaning);
  page.section("ENVIRONMENT");
  page.terms(kEnvironment);
  page.section("EXAMPLES");
  for (const Entry& e : kExamples) page.example(e.head, e.text);
  page.section("SEE ALSO");
  page.line(".BR ", "mpirun (1)");
  return std::move(page).done();
}

}  // namespace capstan::engine
