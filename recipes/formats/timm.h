#pragma once
// What the directories of timm have in common, whatever the model.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "recipes/engine/pretrained/foreign_form.h"
#include "recipes/engine/pretrained/model_directory.h"
#include "recipes/formats/hugging_face.h"
#include "recipes/formats/image_preparation.h"
#include "recipes/formats/json_text.h"

namespace capstan::formats {

/// The name of an architecture, such as "vit_base_patch16_224.augreg", taken apart from its front. A part that is not there is a DataError,
/// which says the form that a name has.
class ArchitectureName {
 public:
  ArchitectureName(const data::Json& config, std::string_view form) : name_(config["architecture"]), form_(form), rest_(name_.text()) {}

  void skip(std::string_view text);
  std::int64_t number();  ///< a positive one
  /// The one of these whose `name` comes next.
  template <class Sizes>
  const typename Sizes::value_type& one_of(const Sizes& sizes) {
    const auto next = std::ranges::find_if(sizes, [&](const auto& size) { return rest_.starts_with(size.name); });
    if (next == sizes.end()) name_.fail(form_);
    skip(next->name);
    return *next;
  }
  /// Throws unless the name ends here, or a point and the name of its weights follow.
  void end();

 private:
  data::Json name_;
  std::string_view form_, rest_;
};

/// The images that a config.json says the weights are for (pretrained_cfg/input_size), if it does.
struct TimmInput {
  std::int64_t channels, size;
};
std::optional<TimmInput> timm_input(const data::Json& config);
/// Mean, deviation, part and filter of pretrained_cfg, if it is there.
void set_timm_preparation(const data::Json& config, Settings& out);

/// What is written of a model. `args`: of its architecture; `features`: its width before the classifier; the last two are names of layers
/// of theirs.
struct TimmModel {
  std::string_view architecture;
  JsonMembers args;
  std::int64_t image_size = 0, channels = 0, features = 0;
  std::string_view global_pool, first_conv, classifier;
};
/// Directories whose architecture begins so. Classes are label_names, or LABEL_0, LABEL_1, ... for num_classes.
engine::DirectoryForm timm_directories(std::string_view prefix, SettingsOf settings, std::function<TimmModel()> written,
                                       const ImagePreparation& images);

}  // namespace capstan::formats
