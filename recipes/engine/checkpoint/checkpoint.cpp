#include "recipes/engine/checkpoint/checkpoint.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "data/file.h"
#include "data/hdf5/format.h"

namespace capstan::engine {
namespace {

constexpr std::string_view kModel = "/model/", kWeights = "/weights/", kOptimizer = "/optimizer/";
constexpr std::string_view kGuard = "/train/guard", kRecipeState = "/train/recipe/", kArtifacts = "/artifacts/";
constexpr std::size_t kOverhead = 64 << 10;  // of an image, besides its tensors
constexpr std::size_t kHeldBytes = 4 << 20;  // of a file that is read in parts

std::string joined(std::string_view group, std::string_view name) { return std::string(group).append(name); }

// Runs f on bytes that libhdf5 may not survive, in a process of its own, and returns the text it wrote.
template <class F>
std::string in_child_process(const F& f) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "";
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(20);
    std::string text;
    try {
      text = f();
    } catch (...) {  // what cannot be located is not reported
    }
    text.resize(std::min<std::size_t>(text.size(), 4096));
    const auto written = ::write(ends[1], text.data(), text.size());
    ::_exit(written < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t n; child > 0 && (n = ::read(ends[0], part.data(), part.size())) > 0;) text.append(part.data(), static_cast<std::size_t>(n));
  ::close(ends[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return text;
}

// Which datasets of a file with a broken seal fail their own checksums.
std::string damaged_tensors(const std::string& path) {
  return in_child_process([&] {
    std::vector<std::byte> image = data::read_file(path);
    if (image.size() <= data::kSealBytes) return std::string();
    image.resize(image.size() - data::kSealBytes);
    const data::Hdf5Reader reader(std::move(image), path, {.require_seal = false});
    std::string damaged;
    for (const auto& entry : reader.entries()) {
      try {
        entry.is_text ? (void)reader.read_text(entry.name) : (void)reader.read(entry.name);
      } catch (const DataError&) {
        damaged += (damaged.empty() ? "" : ", ") + entry.name;
      }
    }
    return damaged;
  });
}

data::Hdf5Reader open_reader(const std::string& path, Checkpoint::Reading reading) {
  try {
    return {path, {.mapped = reading == Checkpoint::Reading::in_parts && std::filesystem::is_regular_file(path)}};
  } catch (const DataError& e) {
    const std::string damaged = damaged_tensors(path);
    throw CheckpointError(join_text("checkpoint: ", e.what(), damaged.empty() ? "" : "; damaged: ", damaged));
  }
}

// Reads with errors as the user should see them: a checkpoint at fault, not a data file.
template <class F>
decltype(auto) as_checkpoint_error(const F& f) {
  try {
    return f();
  } catch (const DataError& e) {
    throw CheckpointError(join_text("checkpoint: ", e.what()));
  }
}

std::size_t bytes_of(const Spec& s) { return static_cast<std::size_t>(s.shape.numel()) * size_of(s.dtype); }

void add_parameters(std::string_view group, const nn::ParameterStore& parameters, std::vector<CheckpointTensor>& all) {
  for (const Parameter& p : parameters.parameters()) all.push_back({joined(group, p.name()), p.value()});
}

void add_averages(std::string_view group, const optim::WeightAverage& average, std::vector<CheckpointTensor>& all) {
  for (std::size_t i = 0; i < average.averages().size(); ++i)
    all.push_back({joined(group, average.parameters()[i].name()), average.averages()[i]});
}

std::string name_of(const optim::OptimizerState& s) { return joined(kOptimizer, s.slot + "/" + s.parameter); }

Spec whole_spec(const optim::OptimizerState& s, const ShardedOptimizer* sharded) {
  return sharded != nullptr ? sharded->whole_spec(s) : s.value.spec();
}

// "/model/" of "/model/layer/weight".
std::string_view group_of(std::string_view name) { return name.substr(0, name.find('/', 1) + 1); }

void write_guard(const GuardState& guard, data::Hdf5Writer& out) {
  const auto list = [&](std::string_view name, const std::vector<double>& values) {
    out.write(joined(kGuard, name), Tensor::from(values, Shape{static_cast<std::int64_t>(values.size())}));
  };
  out.group(kGuard);
  out.set(kGuard, "rewind_step", guard.rewind_step);
  out.set(kGuard, "rewind_best", guard.rewind_best);
  out.set(kGuard, "rewinds", guard.rewinds);
  list("/losses", guard.losses);
  list("/gradient_norms", guard.norms);
  std::vector<std::int64_t> left_out;
  for (const LeftOut& l : guard.left_out) left_out.insert(left_out.end(), {l.epoch, l.position, l.end_epoch, l.end_position});
  out.write(joined(kGuard, "/left_out"), Tensor::from(left_out, Shape{static_cast<std::int64_t>(guard.left_out.size()), 4}));
}

/// The state that a dataset of the file holds for a parameter of the optimiser that is frozen now; nothing if it is none such.
std::optional<optim::OptimizerState> state_of_frozen(std::string_view dataset, const optim::Optimizer& optimizer) {
  if (!dataset.starts_with(kOptimizer)) return std::nullopt;
  const std::string_view rest = dataset.substr(kOptimizer.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view name = rest.substr(slash + 1);
  for (const Parameter& p : optimizer.parameters())
    if (!p.trainable() && p.name() == name) return optim::OptimizerState{std::string(rest.substr(0, slash)), p.name(), {}};
  return std::nullopt;
}

/// Counts what was read of a file, and gives the memory back now and then.
void release_after(const data::Hdf5Reader& reader, std::size_t bytes, std::size_t& held) {
  held += bytes;
  if (held >= kHeldBytes) reader.release(), held = 0;
}

// The values were replaced: nobody may use what was derived from the old ones.
void begin_versions(const nn::ParameterStore& parameters) {
  for (const Parameter& p : parameters.parameters()) p.write();
}

/// What a file holds, but for the optimiser's state.
struct Content {
  CheckpointMeta meta;
  TrainState train;
  NamedTensors artifacts;
  std::vector<CheckpointTensor> tensors;  // of /model and /weights
  bool averaged = false;
  optim::Optimizer* optimizer = nullptr;
  std::vector<optim::OptimizerState> state = {};
};

Content content_of(const CheckpointMeta& meta, const nn::ParameterStore& parameters, optim::Optimizer* optimizer, const TrainState& train,
                   const NamedTensors& artifacts, const optim::WeightAverage* average) {
  Content c{.meta = meta, .train = train, .artifacts = artifacts, .tensors = {}, .averaged = average != nullptr, .optimizer = optimizer};
  add_parameters(average != nullptr ? kWeights : kModel, parameters, c.tensors);
  if (average != nullptr) add_averages(kModel, *average, c.tensors);
  if (optimizer != nullptr) c.state = optimizer->state();
  return c;
}

std::size_t size_of(const Content& c, const ShardedOptimizer* sharded) {
  std::size_t bytes = kOverhead + c.meta.config.size();
  for (const CheckpointTensor& t : c.tensors) bytes += bytes_of(t.value.spec()) + 1024;
  for (const optim::OptimizerState& s : c.state) bytes += bytes_of(whole_spec(s, sharded)) + 1024;
  bytes += 8 * (2 * c.train.guard.losses.size() + 4 * c.train.guard.left_out.size()) + 4096;
  for (const auto* group : {&c.train.recipe, &c.artifacts})
    for (const auto& [name, t] : *group) bytes += bytes_of(t.spec()) + 1024;
  return bytes;
}

void write_model(const Content& c, data::Hdf5Writer& out) {
  out.group("/meta");
  out.set("/meta", "format", kCheckpointFormat);
  out.set("/meta", "program", "capstan");
  out.set("/meta", "recipe", data::Hdf5Attribute(c.meta.recipe));
  out.set("/meta", "data_digest", data::Hdf5Attribute(c.meta.data_digest));
  out.set("/meta", "threads", c.meta.threads);
  out.set("/meta", "precision", data::Hdf5Attribute(c.meta.precision));
  out.write_text("/meta/config", c.meta.config);

  out.group("/model");
  if (c.averaged) out.group("/weights");
  if (c.optimizer != nullptr) {
    out.group("/optimizer");
    out.set("/optimizer", "name", data::Hdf5Attribute(std::string(c.optimizer->name())));
    out.set("/optimizer", "step_count", c.optimizer->step_count());
  }
  for (const CheckpointTensor& t : c.tensors) out.write(t.name, t.value);
}

void write_train(const Content& c, data::Hdf5Writer& out) {
  const TrainState& train = c.train;
  out.group("/train");
  out.set("/train", "step", train.step);
  out.set("/train", "epoch", train.epoch);
  out.set("/train", "position", train.position);
  out.set("/train", "bad_validations", train.bad_validations);
  out.set("/train", "best_step", train.best_step);
  out.set("/train", "best_metric", data::Hdf5Attribute(train.best_metric));
  if (!train.metric.empty()) out.set("/train", "metric", data::Hdf5Attribute(train.metric));
  out.set("/train", "items", data::Hdf5Attribute(train.items));
  std::vector<std::int64_t> steps;
  std::vector<double> metrics;
  for (const KeptCheckpoint& k : train.kept) {
    steps.push_back(k.step);
    metrics.push_back(k.metric);
  }
  const Shape count{static_cast<std::int64_t>(steps.size())};
  out.write("/train/kept_steps", Tensor::from(steps, count));
  out.write("/train/kept_metrics", Tensor::from(metrics, count));
  out.write("/train/window", Tensor::from(train.window, Shape{static_cast<std::int64_t>(train.window.size())}));
  write_guard(train.guard, out);
  for (const auto& [name, t] : train.recipe) out.write(joined(kRecipeState, name), t);
  for (const auto& [name, t] : c.artifacts) out.write(joined(kArtifacts, name), t);
}

}  // namespace

std::vector<std::byte> checkpoint_image(const CheckpointMeta& meta, const nn::ParameterStore& parameters, optim::Optimizer* optimizer,
                                        const TrainState& train, const NamedTensors& artifacts, const optim::WeightAverage* average) {
  const Content c = content_of(meta, parameters, optimizer, train, artifacts, average);
  data::Hdf5Writer out(size_of(c, nullptr));
  write_model(c, out);
  for (const optim::OptimizerState& s : c.state) out.write(name_of(s), s.value);
  write_train(c, out);
  return out.finish();
}

CheckpointContent gathered_checkpoint(const CheckpointMeta& meta, const nn::ParameterStore& parameters, ShardedOptimizer& optimizer,
                                      const TrainState& train, const NamedTensors& artifacts, const optim::WeightAverage* average) {
  const Content c = content_of(meta, parameters, &optimizer.own(), train, artifacts, average);
  const auto write = [c, &optimizer](data::Hdf5Writer* out) {
    std::exception_ptr error;
    const auto unless_failed = [&](const auto& f) {
      if (out == nullptr || error) return;
      try {
        f();
      } catch (...) {
        error = std::current_exception();
      }
    };
    unless_failed([&] { write_model(c, *out); });
    for (const optim::OptimizerState& s : c.state) {
      const Tensor whole = optimizer.gather(s);
      unless_failed([&] { out->write(name_of(s), whole); });
    }
    unless_failed([&] { write_train(c, *out); });
    if (error) std::rethrow_exception(error);
  };
  return {.image = {}, .write = write, .bytes = size_of(c, &optimizer)};
}

Checkpoint::Checkpoint(const std::string& path, Reading reading) : reader_(open_reader(path, reading)) {
  as_checkpoint_error([&] {
    require<CheckpointError>(has_group("/meta") && has_group("/model") && has_group("/train"), "checkpoint: ", path,
                             ": is no checkpoint: a group of /meta, /model, /train is missing");
    const std::int64_t format = reader_.integer("/meta", "format");
    require<CheckpointError>(format >= 1 && format <= kCheckpointFormat, "checkpoint: ", path, ": has format ", format,
                             ", this program reads up to ", kCheckpointFormat);
    meta_.recipe = reader_.text("/meta", "recipe");
    meta_.data_digest = reader_.text("/meta", "data_digest");
    meta_.threads = reader_.integer("/meta", "threads");
    meta_.precision = reader_.text("/meta", "precision");
    meta_.config = reader_.read_text("/meta/config");
    step_ = reader_.integer("/train", "step");
  });
}

void Checkpoint::require_recipe(std::string_view recipe) const {
  require<CheckpointError>(meta_.recipe == recipe, "checkpoint: ", path(), ": belongs to the recipe ", meta_.recipe, ", not to ", recipe);
}

bool Checkpoint::has_group(std::string_view name) const {
  const auto& groups = reader_.groups();
  return std::find(groups.begin(), groups.end(), name) != groups.end();
}

void Checkpoint::load(const nn::ParameterStore& parameters) const {
  std::vector<CheckpointTensor> targets;
  add_parameters(kModel, parameters, targets);
  load(targets, nullptr, nullptr);
  begin_versions(parameters);
}

void Checkpoint::load(const nn::ParameterStore& parameters, optim::Optimizer* optimizer, optim::WeightAverage* average,
                      const ShardedOptimizer* sharded) const {
  const bool averaged = has_group("/weights");
  std::vector<CheckpointTensor> targets;
  add_parameters(averaged ? kWeights : kModel, parameters, targets);
  if (averaged && average != nullptr) add_averages(kModel, *average, targets);
  load(targets, optimizer, sharded);
  begin_versions(parameters);
  if (!averaged && average != nullptr) average->restart();
}

void Checkpoint::load(const std::vector<CheckpointTensor>& targets, optim::Optimizer* optimizer, const ShardedOptimizer* sharded) const {
  std::vector<optim::OptimizerState> state;
  std::vector<std::pair<std::string, Spec>> expected;
  for (const CheckpointTensor& t : targets) expected.emplace_back(t.name, t.value.spec());
  std::set<std::string, std::less<>> groups;  // those that must hold nothing else
  for (const CheckpointTensor& t : targets) groups.emplace(group_of(t.name));
  if (optimizer != nullptr) {
    state = optimizer->state();
    for (const optim::OptimizerState& s : state) expected.emplace_back(name_of(s), whole_spec(s, sharded));
    groups.emplace(kOptimizer);
  }
  std::map<std::string_view, const data::Hdf5Entry*> stored;
  for (const auto& e : reader_.entries())
    if (groups.contains(group_of(e.name))) stored.emplace(e.name, &e);

  std::vector<optim::OptimizerState> waiting;  // state of what was trained when it was saved and is frozen now
  std::string problems;
  for (const auto& [name, spec] : expected) {
    const auto it = stored.find(name);
    if (it == stored.end()) {
      problems += join_text("\n  missing: ", name, " ", spec);
      continue;
    }
    if (it->second->is_text || it->second->spec != spec)
      problems += join_text("\n  of another shape or type: ", name, ": the model has ", spec, ", the file ", it->second->spec);
    stored.erase(it);
  }
  for (const auto& [name, entry] : stored) {
    const auto frozen = optimizer == nullptr ? std::nullopt : state_of_frozen(name, *optimizer);
    if (frozen && !entry->is_text) {
      waiting.push_back(*frozen);
    } else {
      problems += join_text("\n  unexpected: ", name, " ", entry->spec);
    }
  }
  require<CheckpointError>(problems.empty(), "checkpoint: ", path(), ": does not fit the model:", problems);

  std::size_t held = 0;  // of the file in memory
  const auto count_held = [&](const Tensor& read) { release_after(reader_, bytes_of(read.spec()), held); };
  as_checkpoint_error([&] {
    if (optimizer != nullptr) {
      require<CheckpointError>(reader_.text("/optimizer", "name") == optimizer->name(), "checkpoint: ", path(),
                               ": has the state of the optimiser ", reader_.text("/optimizer", "name"), ", the model is trained with ",
                               optimizer->name());
      state.insert(state.end(), waiting.begin(), waiting.end());
      for (optim::OptimizerState& s : state) {
        s.value = reader_.read(name_of(s));
        count_held(s.value);
        if (sharded != nullptr) s.value = sharded->share_of(s.parameter, s.value);
      }
      optimizer->load_state(state, reader_.integer("/optimizer", "step_count"));
    }
    for (const CheckpointTensor& t : targets) {
      reader_.read_into(t.name, t.value);
      count_held(t.value);
    }
    reader_.release();
  });
}

std::string Checkpoint::optimizer_name() const {
  return as_checkpoint_error([&] { return has_group("/optimizer") ? reader_.text("/optimizer", "name") : std::string(); });
}

std::int64_t Checkpoint::optimizer_steps() const {
  return as_checkpoint_error([&] { return reader_.integer("/optimizer", "step_count"); });
}

TrainState Checkpoint::train_state() const {
  return as_checkpoint_error([&] {
    const auto integer = [&](std::string_view name) { return reader_.integer("/train", name); };
    require<CheckpointError>(has_group("/optimizer"), "checkpoint: ", path(), ": holds weights only, training cannot go on from it");
    TrainState s;
    s.step = integer("step");
    s.epoch = integer("epoch");
    s.position = integer("position");
    s.bad_validations = integer("bad_validations");
    s.best_step = integer("best_step");
    s.best_metric = reader_.number("/train", "best_metric");
    if (reader_.attributes("/train").contains("metric")) s.metric = reader_.text("/train", "metric");
    s.items = reader_.number("/train", "items");
    require<CheckpointError>(s.step >= 0 && s.epoch >= 0 && s.position >= 0, "checkpoint: ", path(), ": a counter of /train is negative");
    const auto steps = reader_.read("/train/kept_steps").to_vector(), metrics = reader_.read("/train/kept_metrics").to_vector();
    require<CheckpointError>(steps.size() == metrics.size(), "checkpoint: ", path(),
                             ": /train/kept_steps and kept_metrics differ in length");
    for (std::size_t i = 0; i < steps.size(); ++i) s.kept.push_back({static_cast<std::int64_t>(steps[i]), metrics[i]});
    s.window = reader_.read("/train/window").to_vector();
    s.guard = guard_state();
    s.recipe = tensors_below(kRecipeState);
    return s;
  });
}

GuardState Checkpoint::guard_state() const {
  GuardState s;
  if (!has_group(kGuard)) return s;  // of an earlier version
  const auto below = [](std::string_view name) { return joined(kGuard, name); };
  s.losses = reader_.read(below("/losses")).to_vector();
  s.norms = reader_.read(below("/gradient_norms")).to_vector();
  s.rewind_step = reader_.integer(kGuard, "rewind_step");
  s.rewind_best = reader_.integer(kGuard, "rewind_best");
  s.rewinds = reader_.integer(kGuard, "rewinds");
  const Tensor left_out = reader_.read(below("/left_out"));
  require<CheckpointError>(s.losses.size() == s.norms.size() && left_out.rank() == 2 && left_out.size(1) == 4, "checkpoint: ", path(),
                           ": /train/guard has ", s.losses.size(), " losses and ", s.norms.size(),
                           " gradient norms, expected as many, and left_out ", left_out, ", expected [n, 4]");
  const std::vector<double> numbers = left_out.to_vector();
  for (std::size_t i = 0; i < numbers.size(); i += 4) {
    const auto number = [&](std::size_t k) { return static_cast<std::int64_t>(numbers[i + k]); };
    s.left_out.push_back({number(0), number(1), number(2), number(3)});
  }
  return s;
}

NamedTensors Checkpoint::tensors_below(std::string_view group) const {
  return as_checkpoint_error([&] {
    NamedTensors found;
    for (const auto& e : reader_.entries())
      if (e.name.starts_with(group) && !e.is_text) found.emplace(e.name.substr(group.size()), reader_.read(e.name));
    return found;
  });
}

nn::TensorSource Checkpoint::source(std::string_view group) const {
  nn::TensorSource out{.name = path(), .tensors = {}, .read = [this, group = std::string(group)](std::string_view name) {
                         return as_checkpoint_error([&] { return reader_.read(joined(group, name)); });
                       }};
  for (const auto& e : reader_.entries())
    if (e.name.starts_with(group) && !e.is_text) out.tensors.emplace_back(e.name.substr(group.size()), e.spec);
  return out;
}

void Checkpoint::verify() const {
  as_checkpoint_error([&] {
    std::size_t held = 0;
    for (const auto& e : reader_.entries()) {
      e.is_text ? (void)reader_.read_text(e.name) : (void)reader_.read(e.name);
      release_after(reader_, bytes_of(e.spec), held);
    }
    reader_.release();
  });
}

}  // namespace capstan::engine
