#include "recipes/tasks/text/decode_bench.h"

#include <algorithm>

#include "autograd/core/error.h"
#include "recipes/engine/system.h"

namespace capstan::text {

double tokens_per_second(nn::Decoder& decoder, std::int64_t lines, std::int64_t written,
                         const std::function<nn::GenerationRequest()>& request) {
  const auto run = [&] {
    nn::Generator generator(decoder, {.deliver = [](const nn::Generation&) {}, .in_order = false});
    for (std::int64_t i = 0; i < lines; ++i) generator.submit(request());
    generator.finish();
  };
  run();
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double start = engine::wall_seconds();
    run();
    best = std::max(best, static_cast<double>(lines * written) / (engine::wall_seconds() - start));
  }
  return best;
}

std::string weights_json(const nn::Decoder& decoder, WeightStorage storage) {
  return join_text(R"("weights":")", to_text(storage), R"(","weight_bytes":)", decoder.weight_bytes(), R"(,"weight_error":)",
                   decoder.weight_error());
}

}  // namespace capstan::text
