#pragma once
// What the tensors of SASRec (sasrec.h) are called by the port to PyTorch that is in wide use (pmixer/SASRec.pytorch).
//
// Query, key and value are one matrix there, and its position table has a row for padding before the first position. A model here without a
// projection behind attention is written with the identity, and read if it is that. Its attention lets padding take part, ours does not:
// scores agree for sequences that fill the length.

#include <span>
#include <string>

#include "nn/foreign_names.h"
#include "nn/models/sasrec.h"

namespace capstan::nn {

bool is_torch_port_sasrec(std::span<const std::string> names);
ForeignNames torch_port_names(const SasrecOptions& options);

}  // namespace capstan::nn
