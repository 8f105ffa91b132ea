// What each reader does with an input. Inputs of several files are cut at record separators (reader.h: part).

#include <algorithm>
#include <charconv>

#include "autograd/core/error.h"
#include "data/data_report.h"
#include "data/detection/coco.h"
#include "data/detection/voc.h"
#include "data/detection/yolo.h"
#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/image/cifar.h"
#include "data/image/idx.h"
#include "data/image/image.h"
#include "data/interactions.h"
#include "data/item_titles.h"
#include "data/json.h"
#include "data/line_reader.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/prepared.h"
#include "data/safetensors.h"
#include "data/table.h"
#include "data/text/byte_bpe.h"
#include "data/text/corpus.h"
#include "data/text/instance_file.h"
#include "data/text/labelled_lines.h"
#include "data/text/parallel_text.h"
#include "data/text/squad.h"
#include "data/text/subword.h"
#include "data/text/text_table.h"
#include "data/text/tokenizer.h"
#include "data/text/unicode.h"
#include "data/text/word_counter.h"
#include "data/text/word_vectors.h"
#include "recipes/engine/config/arguments.h"
#include "recipes/engine/config/config_file.h"
#include "recipes/engine/config/config_text.h"
#include "recipes/engine/config/option_table.h"
#include "recipes/engine/config/options.h"
#include "tests/fuzz/reader.h"

namespace capstan::fuzz {
namespace {

using namespace data;

/// A configuration with an option of every kind.
struct Sample {
  enum class Colour { red, green };
  engine::EngineOptions engine;
  std::string name = "x";
  Colour colour = Colour::red;
  std::vector<std::int64_t> sizes = {1, 2};
  std::vector<double> shares = {.5};
  std::vector<std::string> words;

  template <class V>
  void visit(V& v) {
    engine.visit(v);
    v("name", name, "a text");
    v("colour", colour, "a choice", {{"red", Colour::red}, {"green", Colour::green}});
    v("sizes", sizes, "integers", V::at_least(1));
    v("shares", shares, "numbers", V::fraction());
    v("words", words, "texts");
  }
};

void config(Input& in) {
  const auto parsed = engine::parse_config(in.part(), "a.cfg");
  Sample first, second;
  engine::OptionTable table(first), again(second);
  std::vector<std::string> arguments;
  for (std::string_view rest = in.part(); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    arguments.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const std::vector<engine::Flag> flags{{"resume", "FILE", "goes on"}, {"check", "", "checks"}};
  const engine::Arguments given = engine::parse_arguments(arguments, flags, &table);
  engine::assign(table, parsed);
  engine::assign(table, given.assignments);
  const std::string text = engine::to_config_text(table);
  engine::assign(again, engine::parse_config(text, "again.cfg"));
  require_same(engine::to_config_text(again, false) == engine::to_config_text(table, false), "a configuration reads back otherwise");
}

/// Walks a JSON value as readers do.
void walk(const Json& value, int depth) {
  switch (value.kind()) {
    case Json::Kind::number:
      (void)value.number();
      (void)value.whole();
      break;
    case Json::Kind::text: (void)value.text(); break;
    case Json::Kind::list:
      for (const Json& item : value.items())
        if (depth < 50) walk(item, depth + 1);
      break;
    case Json::Kind::object:
      for (const auto& [name, member] : value.members()) {
        (void)value.has(name);
        if (depth < 50) walk(member, depth + 1);
      }
      break;
    default: break;
  }
}

void json(Input& in) { walk(parse_json(in.bytes(), "a.json", NotFinite::null), 0); }

void table(Input& in) {
  TableReader reader(in.file("a.csv"));
  while (reader.next())
    for (const std::string_view field : reader.fields()) (void)field.size();
  (void)reader.separator_text();
}

void interactions(Input& in) {
  const std::string path = in.file("a.csv");
  DataReport report;
  const Interactions x = read_interactions(path, {.bad_lines = BadLines::skip}, &report);
  require_same(static_cast<std::int64_t>(x.offsets.size()) == x.sequences() + 1 && x.offsets.back() == x.events(),
               "offsets of interactions do not end with the events");
  (void)lines_of(report);
}

void item_titles(Input& in) {
  IdMap items;
  for (const char* name : {"1", "2", "a", "caf\xe9"}) items.add(name);
  DataReport report;
  const auto titles = read_item_titles(in.file("a.csv"), {.bad_lines = BadLines::skip}, items, report);
  require_same(std::ssize(titles) == items.size(), "not a title an item");
  for (const std::string& title : titles) require_same(unicode::is_valid_utf8(title), "a title that is not UTF-8");
  (void)lines_of(report);
}

void session_lines(Input& in) { (void)read_session_lines(in.file("a.txt")); }

void text_table(Input& in) {
  const std::string options(in.part());
  TextTable reader(in.file(options.starts_with('j') ? "a.jsonl" : "a.csv"),
                   {.header = options.ends_with('h') ? Header::present : Header::automatic,
                    .encoding = options.find('l') != std::string::npos ? Encoding::latin1 : Encoding::utf8,
                    .label_may_miss = true,
                    .bad_lines = BadLines::skip});
  for (TextRecord record; reader.next(record);) (void)reader.where(record);
  (void)reader.form_text();
}

void labelled_lines(Input& in) {
  IdMap classes;
  const LabelledTexts x = read_labelled_lines(in.file("a.txt"), classes, NewLabels::add);
  require_same(x.texts.size() == x.labels.size(), "a label for each text");
}

void parallel(Input& in) {
  const std::string source = in.file("a.en", in.part());
  const ParallelText x = read_parallel_text(source, in.file("a.de", in.bytes()));
  require_same(x.source.size() == x.target.size() && x.lines.size() == x.source.size(), "sides of parallel texts differ in length");
}

void wordpiece(Input& in) {
  const std::string path = in.file("vocab.txt", in.part());
  const Vocabulary vocabulary = Vocabulary::load(path, Vocabulary::Lines::kept_spaces);
  vocabulary.save(path);
  require_same(Vocabulary::load(path, Vocabulary::Lines::kept_spaces).checksum() == vocabulary.checksum(),
               "a vocabulary reads back otherwise");
  for (const TokenizerVariant variant : {TokenizerVariant::google, TokenizerVariant::hf_slow, TokenizerVariant::hf_fast}) {
    const Tokenizer tokenizer(vocabulary, {.variant = variant});
    for (const std::int32_t id : tokenizer.encode(in.bytes()))
      require_same(id >= 0 && id < vocabulary.size(), "an id outside the vocabulary");
  }
}

void tokenizer_json(Input& in) {
  const std::string path = in.file("tokenizer.json", in.part());
  const Vocabulary vocabulary = load_vocabulary(path, TokenizerVariant::hf_fast);
  (void)Tokenizer(vocabulary).encode(in.bytes());
}

void byte_bpe(Input& in) {
  const ByteBpe model(in.part());
  const auto ids = model.encode(in.bytes());
  require_same(model.decode(ids) == in.bytes(), "byte-level BPE does not give a text back");
  require_same(ByteBpe(model.bytes()).encode(in.bytes()) == ids, "a byte-level BPE reads back otherwise");
  (void)model.encode(in.bytes(), ByteBpe::AddedTokens::as_tokens);
}

void subword(Input& in) {
  const SubwordModel model{std::string(in.part())};
  for (const std::int32_t id : model.encode(in.bytes())) (void)model.piece(id);
}

void image(Input& in) {
  const auto bytes = std::as_bytes(std::span(in.bytes().data(), in.bytes().size()));
  const Image x = decode_image(bytes, "a.png", {.max_pixels = 1 << 20});
  require_same(static_cast<std::int64_t>(x.pixels.size()) == x.height * x.stride(), "an image has other pixels than its size says");
  const ImageSize size = image_size(in.file("a.png"));
  require_same(size.height == x.height && size.width == x.width, "an image has two sizes");
}

void idx(Input& in) {
  const std::string images = in.file("images", in.part());
  const LabelledImages x = read_idx_images(images, in.file("labels", in.bytes()));
  require_same(static_cast<std::int64_t>(x.pixels.size()) == x.size() * x.image_bytes(), "images have other pixels than their size says");
}

void cifar(Input& in) {
  const std::string path = in.file("a.bin");
  for (const CifarLabels labels : {CifarLabels::ten, CifarLabels::fine}) {
    try {
      (void)read_cifar({path}, labels);
    } catch (const DataError&) {  // of one kind only
    }
  }
}

void read_all(const Hdf5Reader& reader) {
  for (const std::string& group : reader.groups()) (void)reader.attributes(group);
  for (const Hdf5Entry& e : reader.entries()) {
    (void)reader.attributes(e.name);
    e.is_text ? (void)reader.read_text(e.name) : (void)reader.read(e.name);
  }
}

/// What an accident makes of a file: the seal is as it was.
void hdf5(Input& in) { read_all(Hdf5Reader(in.file("a.h5"), Hdf5Reader::Options{.max_bytes = 1 << 26})); }

/// A file of another program, which has no seal.
void hdf5_unsealed(Input& in) { read_all(Hdf5Reader(in.file("a.h5"), {.require_seal = false, .max_bytes = 1 << 26})); }

/// What reads meaning from a sealed file: its form is right, its numbers are anything.
void instances(Input& in) {
  const Vocabulary vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"});
  std::string_view bytes = in.bytes();
  const auto next = [&] {
    const int value = bytes.empty() ? 0 : static_cast<signed char>(bytes[0]);
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 1));
    return value;
  };
  const auto size = [&] { return 1 + std::int64_t{next() & 7}; };
  const std::int64_t rows = size(), length = size(), predictions = size();
  Hdf5Writer writer;
  const auto numbers = [&](std::string_view name, const Shape& shape) {
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(next());
    writer.write(name, Tensor::from(values, shape));
  };
  numbers("lengths", {rows});
  numbers("first_segment", {rows});
  numbers("masked_counts", {rows});
  numbers("input_ids", {rows, length});
  numbers("masked_positions", {rows, predictions});
  numbers("masked_ids", {rows, predictions});
  std::vector<std::uint8_t> random;
  for (std::int64_t i = 0; i < rows; ++i) random.push_back(static_cast<std::uint8_t>(next()));
  writer.write("next_sentence_labels", Tensor::from(random, {rows}));
  writer.set("/", "kind", "pretraining instances");
  writer.set("/", "vocabulary_size", vocabulary.size());
  writer.set("/", "vocabulary_checksum", std::int64_t{vocabulary.checksum()});
  const std::string path = in.folder() + "/a.h5";
  write_file_durably(path, writer.finish());
  for (const Instance& x : read_instances(path, vocabulary)) {
    for (const std::int32_t id : x.ids) require_same(id >= 0 && id < vocabulary.size(), "an id outside the vocabulary");
    for (const std::int32_t at : x.positions)
      require_same(at >= 0 && at < static_cast<std::int32_t>(x.ids.size()), "a masked position outside the instance");
  }
}

void prepared(Input& in) {
  const std::string path = in.folder() + "/a.h5";
  Hdf5Writer writer;
  const auto numbers = [&](std::string_view name, auto zero) {
    std::vector<decltype(zero)> values;
    for (const char c : in.part()) values.push_back(static_cast<decltype(zero)>(static_cast<signed char>(c)));
    writer.write(name, Tensor::from(values, Shape{static_cast<std::int64_t>(values.size())}));
  };
  numbers("x/offsets", std::int64_t{});
  numbers("x/items", std::int32_t{});
  numbers("x/users", std::int32_t{});
  numbers("x/times", double{});
  numbers("x/user_ids/names", std::uint8_t{});
  numbers("x/user_ids/ends", std::int64_t{});
  numbers("x/item_ids/names", std::uint8_t{});
  numbers("x/item_ids/ends", std::int64_t{});
  write_file_durably(path, writer.finish());
  const Interactions x = data::read_interactions(Hdf5Reader(path), "x");
  for (std::int64_t s = 0; s < x.sequences(); ++s)
    for (const std::int32_t item : x.sequence(s)) (void)(*x.item_ids)[item];
}

void corpus(Input& in) {
  const Corpus x(in.file("a.corpus"));
  (void)x.documents();
}

void safetensors(Input& in) {
  const SafetensorsReader reader(in.file("a.safetensors"));
  for (const SafetensorsEntry& e : reader.entries()) {
    try {
      (void)reader.read(e.name);
    } catch (const DataError&) {  // of a type that is not read
    }
  }
}

void safetensors_index(Input& in) {
  const std::string index = in.file("model.safetensors.index.json", in.part());
  in.file("a.safetensors", in.part());
  in.file("b.safetensors", in.bytes());
  const SafetensorsSet set(index);
  for (const auto& [name, spec] : set.tensors()) (void)set.read(name);
}

void npz(Input& in) {
  const NpzReader reader(in.file("a.npz"));
  for (const NpzEntry& e : reader.entries()) {
    try {
      (void)reader.read(e.name);
    } catch (const DataError&) {  // damaged, or of a type that is not read
    }
  }
}

void npy(Input& in) {
  const std::string path = in.file("a.npy");
  const NpyHeader header = read_npy_header(path);
  require_same(read_npy(path).numel() == header.spec(path).shape.numel(), "an array has another size than its header says");
}

void describe(const AnnotatedImages& x) {
  DataReport report;
  x.describe("train", report);
  (void)x.classes_by_id();
  (void)x.over_the_border();
}

void coco(Input& in) {
  const std::string annotations = in.file("a.json", in.part());
  const AnnotatedImages x = read_coco(annotations);
  describe(x);
  (void)read_coco_results(in.file("results.json", in.bytes()), x);
}

void voc(Input& in) {
  in.file("ImageSets/Main/train.txt", in.part());
  in.file("Annotations/a.xml", in.part());
  in.file("Annotations/b.xml", in.bytes());
  (void)voc_splits(in.folder());
  describe(read_voc(in.folder(), "train"));
}

void yolo(Input& in) {
  static const std::string picture = [] {
    const auto bytes = encode_png(Image(4, 6, 3));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }();
  in.file("images/train/a.png", picture);
  in.file("data.yaml", in.part());
  in.file("labels/train/a.txt", in.bytes());
  describe(read_yolo(in.folder(), "train"));
}

void word_vectors(Input& in) {
  const Vocabulary vocabulary({"[PAD]", "[UNK]", "the", "a", "b"});
  const WordVectors x = load_word_vectors(in.file("a.txt"), vocabulary, 3);
  require_same(x.values.size() == x.tokens.size() * 3, "vectors of another width");
}

void squad(Input& in) {
  const Squad x = read_squad(in.file("a.json"));
  (void)x.has_impossible();
  for (const SquadQuestion& q : x.questions) (void)x.place(q);
}

void words(Input& in) {
  WordCounter counter({.shapes = true});
  counter.add(in.part());
  const Vocabulary vocabulary = counter.vocabulary();
  (void)Tokenizer(vocabulary).encode(in.bytes());
}

}  // namespace

const std::vector<Reader>& readers() {
  static const std::vector<Reader> all = {
      {"config", config},
      {"json", json},
      {"table", table},
      {"interactions", interactions},
      {"item_titles", item_titles},
      {"session_lines", session_lines},
      {"text_table", text_table},
      {"labelled_lines", labelled_lines},
      {"parallel_text", parallel},
      {"wordpiece", wordpiece},
      {"tokenizer_json", tokenizer_json},
      {"byte_bpe", byte_bpe},
      {"subword", subword},
      {"image", image},
      {"idx", idx},
      {"cifar", cifar},
      {"hdf5", hdf5},
      {"hdf5_unsealed", hdf5_unsealed},
      {"instances", instances},
      {"prepared", prepared},
      {"corpus", corpus},
      {"safetensors", safetensors},
      {"safetensors_index", safetensors_index},
      {"npz", npz},
      {"npy", npy},
      {"coco", coco},
      {"voc", voc},
      {"yolo", yolo},
      {"word_vectors", word_vectors},
      {"squad", squad},
      {"words", words},
  };
  return all;
}

}  // namespace capstan::fuzz
