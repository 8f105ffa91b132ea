#pragma once
// ViT classification as a recipe of the engine (recipes/engine/recipe.h). README.md says how to use it; model.h, dataset.h, batch.h,
// evaluation.h and classify.h say what it computes.

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/pipeline.h"
#include "nn/parameter_store.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "recipes/engine/recipe.h"
#include "recipes/vit/batch.h"
#include "recipes/vit/dataset.h"
#include "recipes/vit/model.h"
#include "recipes/vit/options.h"

namespace capstan::vit {

class Vit {
 public:
  static constexpr std::string_view name = "vit";
  static constexpr std::array<std::string_view, 1> loss_terms{"loss"};
  static constexpr engine::Selection selection{"accuracy", engine::Goal::maximize};
  using Config = vit::Config;
  using Batch = vit::Batch;

  Vit(const Config& config, const engine::Setup& setup);

  nn::ParameterStore& parameters() { return store_; }
  optim::AdamW& optimizer() { return *optimizer_; }
  double learning_rate(std::int64_t step) const { return schedule_(step); }

  std::int64_t batches_per_epoch() const;
  Batch make_batch(std::int64_t epoch, std::int64_t index) const;
  engine::LossCounts<Vit> loss_counts(const Batch& batch) const { return {static_cast<double>(batch.size())}; }
  engine::LossSums<Vit> loss(const Batch& batch, nn::Run run);
  std::int64_t items(const Batch& batch) const { return batch.size(); }

  engine::Metrics evaluate(engine::Split split);
  std::string protocol(engine::Split split) const;
  void predict(std::istream& in, std::ostream& out);
  /// Reads every image file and reports the broken ones.
  static void prepare(const Config& config, const engine::Setup& setup, std::ostream& report);
  engine::NamedTensors artifacts() const { return class_artifacts(class_names_); }
  std::string data_digest() const { return data_ ? data_->digest() : ""; }

  Batch bench_batch(std::int64_t index);
  double flops_per_step() const;
  double items_per_step() const { return static_cast<double>(setup_.batch_size * setup_.batches_per_step); }

 private:
  const Dataset& dataset() const;
  /// The images in the element type that the model is to compute in.
  Tensor as_input(const Tensor& images) const;
  Tensor logits(const Tensor& images) const;
  void write_broken_list() const;

  Config config_;
  engine::Setup setup_;
  data::ImagePipeline pipeline_;
  std::unique_ptr<Dataset> data_;  // none for bench and for predict from paths
  std::vector<std::string> class_names_;
  nn::ParameterStore store_;
  std::optional<VitModel> model_;
  std::optional<optim::AdamW> optimizer_;
  optim::Schedule schedule_;
};

}  // namespace capstan::vit
