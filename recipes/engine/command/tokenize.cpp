#include "recipes/engine/command/tokenize.h"

#include <istream>
#include <ostream>

#include "autograd/core/error.h"
#include "data/line_reader.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace capstan::engine {

int tokenize(std::span<const std::string> arguments, const Console& console) {
  const Arguments given = parse_arguments(arguments, flags_of("tokenize"), nullptr);
  require<ConfigError>(given.has("vocab"), "tokenize: needs --vocab FILE");
  const auto variant = data::variant_named(given.value("variant", "google"));
  require<ConfigError>(variant.has_value(), "tokenize: --variant must be google, hf_slow or hf_fast, got '", given.value("variant"), "'");
  data::TokenizerOptions options{.lower_case = !given.has("cased"), .variant = *variant};
  if (given.has("strip-accents")) {
    const std::string strip = given.value("strip-accents");
    require<ConfigError>(strip == "yes" || strip == "no", "tokenize: --strip-accents must be yes or no, got '", strip, "'");
    options.strip_accents = strip == "yes";
  }
  const data::Vocabulary vocabulary = data::load_vocabulary(given.value("vocab"), *variant);
  const data::Tokenizer tokenizer(vocabulary, options);

  std::vector<std::int32_t> ids;
  std::string line, answer;
  data::NotUtf8 bad;
  for (std::int64_t number = 1; console.out && std::getline(console.in, line); ++number) {
    bad.note(line, number);
    ids.clear();
    answer.clear();
    tokenizer.encode(line, ids);
    for (const std::int32_t id : ids) {
      if (!answer.empty()) answer += ' ';
      answer += vocabulary.token(id);
    }
    console.out << answer << '\n';
    if (console.in.rdbuf()->in_avail() <= 0) console.out.flush();
  }
  if (bad.lines > 0) console.err << "tokenize: warning: " << to_text(bad) << "; such bytes are left out\n";
  return kOk;
}

}  // namespace capstan::engine
