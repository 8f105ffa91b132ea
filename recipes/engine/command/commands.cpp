#include "recipes/engine/command/commands.h"

#include <algorithm>
#include <string>

#include "autograd/core/error.h"
#include "autograd/core/nearest_name.h"

namespace capstan::engine {

std::span<const CommandText> commands() {
  static const Flag kPrintConfig{"print-config", "", "print the resolved configuration with the origin of every value, then stop"};
  static const std::vector<CommandText> all = {
      {"train",
       "CONFIG [section.key=value]... [--resume auto|best|latest|FILE] [--check [--parameters]] [--lr-range LOW:HIGH "
       "[--steps N]] [--profile N:M] [--print-config]",
       "Trains a recipe and keeps checkpoints, metrics.jsonl and log.txt in run.dir.",
       {{"resume", "auto|best|latest|FILE",
         "go on from the newest usable checkpoint of run.dir, from its best or newest one, or from a file, of another run where run.dir "
         "holds none"},
        {"check", "",
         "keep nothing: read the data, build the model and do a few steps; print the model by layers, and what the run would need of "
         "memory, "
         "disk and time"},
        {"parameters", "", "with --check: a line for each parameter, with its whole name, instead of the table by layers"},
        {"lr-range", "LOW:HIGH",
         "keep nothing but run.dir/lr_range.jsonl: let the learning rate grow from LOW to HIGH, print how the loss goes, and suggest a "
         "rate"},
        {"steps", "N", "with --lr-range: over so many steps (default 100)"},
        {"profile", "N:M",
         "report what the steps N to M, counted from 1, spend their time on: a table in the log, and run.dir/trace.json for a browser"},
        kPrintConfig}},
      {"sweep",
       "CONFIG section.key=a,b,c... [section.key=value]... [--jobs N]",
       "Trains a run for each combination of values, below run.dir, and compares them in a table; the same command goes on where it was "
       "stopped.",
       {{"jobs", "N", "so many runs at a time, which share the processors (default 1)"}}},
      {"evaluate",
       "[CONFIG] --checkpoint FILE|best|latest [section.key=value]... [--split validation|test] [--findings FILE] [--json], or CONFIG "
       "--detections FILE "
       "--annotations FILE [--curves FILE] [--json]",
       "Computes the metrics of a checkpoint, or of what any program answered.",
       {{"checkpoint", "FILE|best|latest", "the model to evaluate: a file, or the best or newest one of run.dir"},
        {"split", "validation|test", "the part that is evaluated: test unless it is given"},
        {"detections", "FILE", "score these results, in COCO's JSON, instead of a model: with CONFIG = detr"},
        {"annotations", "FILE", "what --detections are scored against, in COCO's JSON"},
        {"curves", "FILE", "with --detections: draw curves of what was computed, precision over recall, as SVG"},
        {"findings", "FILE",
         "write what the model does, example by example where a recipe shows it, for `capstan report`, which reads run.dir/findings.json"},
        {"json", "", "print one JSON line"},
        kPrintConfig}},
      {"predict",
       "[CONFIG] --checkpoint FILE|best|latest --input FILE|- --output FILE|- [--what TASK] [--pictures DIR] [section.key=value]...",
       "Answers each line of the input with one line.",
       {{"checkpoint", "FILE|best|latest", "the model to use: a file, or the best or newest one of run.dir"},
        {"input", "FILE|-", "lines to answer, - for standard input"},
        {"output", "FILE|-", "answers, - for standard output; FILE.npy, FILE.h5: an array with a row for each line"},
        {"what", "TASK", "what is asked for, where a recipe has several answers: predict.task"},
        {"pictures", "DIR", "directory for pictures of the answers, of recipes that draw them: predict.pictures"},
        {"attention", "DIR", "another name of --pictures, for those of attention"},
        kPrintConfig}},
      {"generate",
       "[CONFIG] --checkpoint FILE|best|latest [--prompt TEXT|-] [section.key=value]...",
       "Goes on with a text, writing tokens as they come, with a recipe that writes text.",
       {{"checkpoint", "FILE|best|latest", "the model to use: a file, or the best or newest one of run.dir"},
        {"prompt", "TEXT|-", "the text to go on with; -, or without it: standard input to its end"},
        kPrintConfig}},
      {"prepare",
       "CONFIG [section.key=value]... [--preview FILE]",
       "Builds what training reads: vocabulary, instances, splits.",
       {{"preview", "FILE",
         "build nothing; write a picture (PNG) of training samples as the model is shown them, of recipes that have one"},
        kPrintConfig}},
      {"bench",
       "CONFIG [section.key=value]... [--steps N] [--profile FILE] [--what KIND] [--json]",
       "Times training steps on random data.",
       {{"steps", "N", "steps to time (default 20)"},
        {"profile", "FILE", "report what a step spends its time on: a table, and a trace for a browser (JSON) in FILE"},
        {"what", "KIND",
         "what else is measured, as one JSON line. steps: nothing; the steps alone are run, without a warm-up, for a tool that counts what "
         "they do. decode, of recipes that write text: tokens a second"},
        {"json", "", "print one JSON line"},
        kPrintConfig}},
      {"report",
       "RUN... [--output FILE.html|-] [--csv FILE|-] [--tensorboard DIR] [--smoothing W]",
       "Draws what runs did as one page (HTML), RUN/report.html for one; RUN is the directory of a run, its metrics.jsonl, or the "
       "directory of a sweep.",
       {{"output", "FILE.html|-", "the page; - for standard output. Several runs are drawn over each other"},
        {"csv", "FILE|-", "write the rows of metrics.jsonl as a table"},
        {"tensorboard", "DIR", "write the rows as event files of TensorBoard, of several runs in a directory each"},
        {"smoothing", "W",
         "weight of the moving average that smooths the rows of training, from 0 to below 1; without it as suits their number"}},
       false},
      {"inspect",
       "FILE|DIR|best|latest [run.dir=DIRECTORY]",
       "Shows what is in a checkpoint, a data file, a model directory, or a .safetensors, .npz or .npy file.",
       {},
       false},
      {"verify",
       "FILE|DIR...",
       "Checks that runs, checkpoints, prepared data, weights and model directories are whole: a line each, and exit code 6 for a bad "
       "checkpoint, 3 for other bad files.",
       {},
       false},
      {"average", "CHECKPOINT... FILE", "Writes a model whose weights are the means of those of several checkpoints.", {}, false},
      {"export",
       "CHECKPOINT FILE.safetensors|DIR [--as capstan|hf|timm|torch]",
       "Writes a model for other programs: a file of its weights, or a directory that they open.",
       {{"as", "FORM", "whose form: capstan (our names, with . for /; a file; the default), or one that the recipe has: hf, timm, torch"}},
       false},
      {"list",
       "[--options RECIPE]",
       "Names the recipes and their configurations.",
       {{"options", "RECIPE", "all keys of a recipe as a Markdown table"}},
       false},
      {"tokenize",
       "--vocab FILE [--cased] [--strip-accents yes|no] [--variant google|hf_slow|hf_fast]",
       "Writes lines of standard input as WordPiece tokens.",
       {{"vocab", "FILE", "vocabulary, a token a line"},
        {"cased", "", "keep capitals, and accents but for --strip-accents"},
        {"strip-accents", "yes|no", "take accents off; without it: not with --cased"},
        {"variant", "google|hf_slow|hf_fast", "whose results where these programs differ: google unless it is given"}},
       false},
      {"completion",
       "bash",
       "Prints what completes commands, configurations, flags and keys: source <(capstan completion bash)",
       {},
       false},
      {"manual", "", "Prints the manual page: capstan manual | man -l -", {}, false},
      {"selftest",
       "",
       "Checks that the installed program computes, trains, saves and resumes on this machine as it should; takes some seconds and no "
       "data.",
       {},
       false},
  };
  return all;
}

std::span<const ExitText> exit_texts() {
  static constexpr ExitText kAll[] = {
      {"0", "ok"},
      {"2", "usage or configuration"},
      {"3", "data"},
      {"4", "input/output or disk full"},
      {"5", "not a finite number"},
      {"6", "bad checkpoint"},
      {"70", "internal error, or a self-test that failed"},
      {"129, 130, 138 or 143", "stopped by a signal (training after saving)"},
      {"141", "nobody reads the output any more"},
  };
  return kAll;
}

bool CommandText::uses_checkpoint() const {
  return std::ranges::any_of(flags, [](const Flag& f) { return f.name == "checkpoint"; });
}

const CommandText& command_text(std::string_view name) {
  std::vector<std::string> known{"help"};
  for (const CommandText& c : commands()) {
    if (c.name == name) return c;
    known.emplace_back(c.name);
  }
  throw ConfigError(join_text("unknown command '", name, "'", suggestion(name, known), kSeeHelp));
}

std::vector<Flag> flags_of(std::string_view command) {
  std::vector<Flag> flags = command_text(command).flags;
  flags.push_back({"help", "", "this text"});
  return flags;
}

}  // namespace capstan::engine
