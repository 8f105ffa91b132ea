#pragma once
// The rows of metrics.jsonl as one table for spreadsheets and data frames.

#include <span>
#include <string>

#include "recipes/engine/report/run_record.h"

namespace capstan::engine {

/// RFC 4180: a head line, then a line for each row, of all runs one below the other. The columns are all that occur, in the order of first
/// appearance; several runs have their names in a first column "run". What a row does not have is empty; numbers have all their digits,
/// what is not finite is nan, inf or -inf.
std::string csv_of(std::span<const RunRecord> runs);

}  // namespace capstan::engine
