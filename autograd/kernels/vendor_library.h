#pragma once
// The library behind matrix products and convolutions, as a program reports it.

#include <string>

namespace capstan::kernels {

/// "oneDNN 2.6.3": the one that is loaded, which need not be the one this was compiled with.
std::string vendor_library();
/// The instructions that it computes with on this processor: "AVX2", "AVX-512 with bf16".
std::string vendor_instructions();

}  // namespace capstan::kernels
