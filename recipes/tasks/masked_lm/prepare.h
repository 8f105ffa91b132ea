#pragma once
// Prepared data: a directory with everything that training reads, made from text files in one command.
//
//     vocab.txt                                       given or learned
//     train.corpus  validation.corpus  test.corpus    data/text/corpus.h; the held-out ones only if there is held-out text
//     instances-00000-of-00003.h5 ...                 instances.kind = original: data/text/instance_file.h
//     prepared.txt                                    what all of it was made from, the names of the files, and notes; written last
//
// The directory is used as long as prepared.txt fits the texts (by digest) and the options that shape the result, and its files are
// there; otherwise it is made anew. Memory does not grow with the text.

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/pretraining.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"
#include "recipes/engine/recipe.h"
#include "recipes/tasks/masked_lm/options.h"

namespace capstan::masked_lm {

/// Something to say about what was read when the data was made: a fact about `what`, or a warning, where `what` is empty.
struct Note {
  std::string what, text;
};

struct PreparedData {
  std::string vocabulary = {}, train = {};
  std::string validation = {}, test = {};   ///< empty: there is no such text
  std::vector<std::string> instances = {};  ///< instances.kind = original
  std::string digest = {};                  ///< identity of texts and options
  data::TokenizerOptions tokenizer = {};    ///< lower case, accents and variant that the text was cut with
  std::vector<Note> notes = {};             ///< of the making
};

/// The prepared data, made if need be; says on `report`, if given, what was made. With data.train empty the directory is taken as it is:
/// how its text was cut comes from its record, and instances of the original kind must have been made with these options.
/// Throws ConfigError, DataError or IoError.
PreparedData prepare_data(const DataOptions& data, const InstanceOptions& instances, const engine::Setup& setup, std::ostream* report);

data::PretrainingOptions pretraining_options(const InstanceOptions& options);

}  // namespace capstan::masked_lm
