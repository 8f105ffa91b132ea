#pragma once
// Subword models of tasks that learn them from their training texts: keys of the section data, and directories that keep what was learned.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/subword.h"

namespace capstan::text {

using SharedSubwords = std::shared_ptr<const data::SubwordModel>;

template <class V>
void visit_subwords(V& v, data::SubwordOptions& o) {
  v("subwords", o.kind, "how words are cut where the vocabulary is learned. bpe: byte pair encoding",
    {{"bpe", data::SubwordKind::bpe}, {"unigram", data::SubwordKind::unigram}, {"character", data::SubwordKind::character}})
      .of_training();
  v("vocab_size", o.size, "pieces of a learned vocabulary at most", V::between(8, 1e6)).of_training();
  v("normalization", o.normalization, "what is done to text before it is cut",
    {{"identity", data::TextNormalization::identity},
     {"nfkc", data::TextNormalization::nfkc},
     {"nmt_nfkc", data::TextNormalization::nmt_nfkc}})
      .of_training();
  v("coverage", o.coverage, "share of the characters that get a piece; the rarest others are [UNK]", V::between(0.5, 1)).of_training();
  v("byte_fallback", o.byte_fallback, "characters without a piece become their bytes, 256 pieces of the vocabulary").of_training();
}

/// The options as a part of a key.
std::string to_text(const data::SubwordOptions& options);

/// Models that a directory keeps under a key, file by file.
struct PreparedSubwords {
  std::vector<SharedSubwords> models;
  bool learned = false;  ///< now; else they were there
};
/// Reads the files if the directory's key is this one, else learns and keeps them; of processes that start together one does. Throws
/// IoError, and what `learn` does.
PreparedSubwords prepared_subwords(const std::string& directory, const std::vector<std::string>& files, std::string_view key,
                                   const std::function<std::vector<SharedSubwords>()>& learn);

}  // namespace capstan::text
