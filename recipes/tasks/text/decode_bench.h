#pragma once
// How fast a decoder writes, for `bench --what decode`.

#include <cstdint>
#include <functional>

#include "nn/generation/generator.h"

namespace capstan::text {

/// The best of three runs, after one that is not timed, of so many lines side by side; `request` makes each of them, for `written` tokens.
double tokens_per_second(nn::Decoder& decoder, std::int64_t lines, std::int64_t written,
                         const std::function<nn::GenerationRequest()>& request);

}  // namespace capstan::text
