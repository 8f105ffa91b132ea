#pragma once
// The files of run_squad: predictions.json, nbest_predictions.json and null_odds.json, byte for byte as Python's json writes them with an
// indent of four.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "recipes/tasks/span_extraction/decode.h"

namespace capstan::span_extraction {

/// A question's id and its answers, in the order of the file.
using Predictions = std::vector<std::pair<std::string, Answers>>;

std::string predictions_json(const Predictions& predictions);
std::string nbest_json(const Predictions& predictions);
std::string null_odds_json(const Predictions& predictions);

/// Makes a directory if need be. Throws IoError.
void make_directory(const std::string& path);
/// Writes the files into a directory, the last one where questions may be unanswerable. Throws IoError.
void write_predictions(const std::string& directory, const Predictions& predictions, bool unanswerable);

/// A number as Python writes it: 1.0, 0.5, 1e-05.
std::string python_number(double value);
/// A text as Python's json writes it: in quotes, what is not ASCII as \u00e9.
std::string ascii_json_string(std::string_view text);

}  // namespace capstan::span_extraction
