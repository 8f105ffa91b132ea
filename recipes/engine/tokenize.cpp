#include "recipes/engine/tokenize.h"

#include <istream>
#include <ostream>
#include <vector>

#include "autograd/core/error.h"
#include "data/text/tokenizer.h"
#include "data/text/vocabulary.h"

namespace capstan::engine {

int tokenize(std::span<const std::string> arguments, const Console& console) {
  const std::vector<Flag> flags{{"vocab", "FILE", "vocabulary, a token a line"}, {"cased", "", "keep capitals and accents"}};
  const Arguments given = parse_arguments(arguments, flags, nullptr);
  require<ConfigError>(given.has("vocab"), "tokenize: needs --vocab FILE");
  const data::Vocabulary vocabulary = data::Vocabulary::load(given.value("vocab"));
  const data::Tokenizer tokenizer(vocabulary, {.lower_case = !given.has("cased")});

  std::vector<std::int32_t> ids;
  std::string line, answer;
  while (console.out && std::getline(console.in, line)) {
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
  return kOk;
}

}  // namespace capstan::engine
