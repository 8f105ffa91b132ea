#pragma once
// How fast a decoder writes, for `bench --what decode`.

#include <cstdint>
#include <functional>
#include <string>

#include "nn/generation/generator.h"
#include "recipes/tasks/text/generation.h"

namespace capstan::text {

/// The best of three runs, after one that is not timed, of so many lines side by side; `request` makes each of them, for `written` tokens.
double tokens_per_second(nn::Decoder& decoder, std::int64_t lines, std::int64_t written,
                         const std::function<nn::GenerationRequest()>& request);

/// What bounds that speed, and what it costs: members of a JSON object, "weights": how they are stored, "weight_bytes": read for each token
/// of a line alone, "weight_error": by rounding, relative.
std::string weights_json(const nn::Decoder& decoder, WeightStorage storage);

}  // namespace capstan::text
