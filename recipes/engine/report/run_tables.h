#pragma once
// The tables of one or several runs: the runs themselves, results, layers, differences, data and configuration, each as a part of a page.
// A part is empty where the runs say nothing about it.

#include <string>

#include "recipes/engine/report/compared_runs.h"

namespace capstan::engine {

/// A row for each run.
std::string runs_table(const ComparedRuns& compared);
/// The metrics: of one run at its best and at its last validation, of several at the best of each; beside what methods reach.
std::string results_table(const ComparedRuns& compared);
/// The last state of each layer, and its course.
std::string layers_tables(const ComparedRuns& compared);
/// The keys that are not the same in all runs.
std::string differences_table(const ComparedRuns& compared);
/// What was read.
std::string data_tables(const ComparedRuns& compared);
std::string configuration_tables(const ComparedRuns& compared);

}  // namespace capstan::engine
