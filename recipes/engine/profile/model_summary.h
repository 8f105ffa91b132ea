#pragma once
// A model as a table by layers: parameters, their shapes, and the floating-point operations of a step, as far as they can be told.
//
// A layer is the path of some parameters without their last part: encoder/0/query has a weight and a bias. An operation that reads
// parameters belongs to the path that they share; one that reads none (the products of attention) to the path that the parameters read
// just before and just after it share. Blocks that differ in their number alone are one block in the table: encoder/0..11.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "autograd/core/profile.h"
#include "autograd/tape/operation_log.h"
#include "nn/parameter_store.h"

namespace capstan::engine {

/// Floating-point operations of products.
struct LayerWork {
  double forward = 0, backward = 0;
};
/// By path; "" for what belongs to no layer. What checkpointed activations compute again is left out.
std::map<std::string, LayerWork> work_of_layers(std::span<const profile::Event> events, std::span<const LoggedOperation> operations,
                                                std::span<const Parameter> parameters);

/// What a forward pass read that is neither a parameter nor computed in it: its input, and constants that were made for it. Each once, in
/// the order in which they are read: "i32[64, 30] (embedding)".
std::vector<std::string> inputs_of_pass(std::span<const profile::Event> events, std::span<const LoggedOperation> operations,
                                        std::span<const Parameter> parameters);

/// A line of the table.
struct LayerLine {
  std::string path;        ///< "encoder/0..11/query"; a block's own line has the path of the block
  std::size_t depth = 0;   ///< 1: below the line of its block
  std::int64_t count = 1;  ///< blocks in one
  std::int64_t parameters = 0, fixed = 0;
  LayerWork work = {};
  std::string tensors = {};  ///< of one block: "weight f32[64, 64], bias f32[64] fixed"
};
/// Sums of `count` blocks in each line; the lines of depth 0 add up to the model.
std::vector<LayerLine> layer_lines(std::span<const Parameter> parameters, const std::map<std::string, LayerWork>& work);

/// For people, at most so many columns wide where the last column can be cut.
std::string layer_table(std::span<const LayerLine> lines, std::size_t columns);

/// A line for each parameter, with its whole name.
std::string parameter_lines(std::span<const Parameter> parameters);

}  // namespace capstan::engine
