#include "data/image/cifar.h"

#include <algorithm>
#include <filesystem>

#include "autograd/core/error.h"
#include "data/line_reader.h"

namespace capstan::data {
namespace {

constexpr std::int64_t kSide = 32, kPlane = kSide * kSide;

std::int64_t class_count(CifarLabels labels) { return labels == CifarLabels::ten ? 10 : labels == CifarLabels::coarse ? 20 : 100; }

std::vector<std::string> read_names(const std::string& path, std::int64_t classes) {
  if (std::error_code error; !std::filesystem::is_regular_file(path, error)) return numbered_classes(classes);
  std::vector<std::string> names;
  LineReader reader(path);
  for (std::string_view line; reader.next(line);)
    if (!line.empty()) names.emplace_back(line);
  require<DataError>(static_cast<std::int64_t>(names.size()) == classes, path, ": found ", names.size(), " class names, expected ",
                     classes);
  return names;
}

}  // namespace

LabelledImages read_cifar(const std::vector<std::string>& paths, CifarLabels labels, std::vector<std::string> class_names) {
  const std::int64_t classes = class_count(labels), label_bytes = labels == CifarLabels::ten ? 1 : 2;
  const std::int64_t label_at = labels == CifarLabels::fine ? 1 : 0, record = label_bytes + 3 * kPlane;
  if (class_names.empty()) class_names = numbered_classes(classes);
  require<DataError>(static_cast<std::int64_t>(class_names.size()) == classes, "cifar: needs ", classes, " class names, got ",
                     class_names.size());
  LabelledImages set;
  set.height = set.width = kSide;
  set.channels = 3;
  set.class_names = std::move(class_names);
  for (const std::string& path : paths) {
    const std::vector<std::uint8_t> bytes = read_inflated(path);
    const auto total = static_cast<std::int64_t>(bytes.size());
    require<DataError>(total > 0 && total % record == 0, path, ": ", total, " bytes are not a whole number of records of ", record,
                       " bytes");
    const std::int64_t before = set.size(), count = total / record;
    set.pixels.resize(static_cast<std::size_t>((before + count) * 3 * kPlane));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t* from = bytes.data() + i * record;
      std::uint8_t* to = set.pixels.data() + (before + i) * 3 * kPlane;
      require<DataError>(from[label_at] < classes, path, ": record ", i, " has label ", static_cast<int>(from[label_at]),
                         ", expected 0 .. ", classes - 1);
      set.labels.push_back(from[label_at]);
      from += label_bytes;
      for (std::int64_t p = 0; p < kPlane; ++p)
        for (std::int64_t c = 0; c < 3; ++c) to[3 * p + c] = from[c * kPlane + p];
    }
  }
  require<DataError>(set.size() > 0, "cifar: no files");
  return set;
}

LabelledImages read_cifar_folder(const std::string& folder, CifarPart part, CifarLabels labels) {
  const bool ten = labels == CifarLabels::ten;
  const std::string stem = part == CifarPart::test ? (ten ? "test_batch" : "test.bin") : (ten ? "data_batch_" : "train.bin");
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& e : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = e.path().filename();
    if (name.starts_with(stem) && (name.ends_with(".bin") || name.ends_with(".bin.gz"))) paths.push_back(e.path());
  }
  require<IoError>(!error, folder, ": cannot list the folder: ", error.message());
  require<DataError>(!paths.empty(), folder, ": found no file ", stem, ten ? "*.bin" : "", " nor the same with .gz");
  std::ranges::sort(paths);
  for (std::size_t i = 1; i < paths.size(); ++i)
    require<DataError>(paths[i] != paths[i - 1] + ".gz", paths[i], ": the same records are in ", paths[i - 1], "; remove one of the two");
  const char* names = ten ? "batches.meta.txt" : labels == CifarLabels::fine ? "fine_label_names.txt" : "coarse_label_names.txt";
  return read_cifar(paths, labels, read_names(folder + "/" + names, class_count(labels)));
}

}  // namespace capstan::data
