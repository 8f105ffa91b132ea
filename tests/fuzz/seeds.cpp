#include <algorithm>
#include <map>

#include "data/file.h"
#include "data/hdf5/hdf5.h"
#include "data/image/image.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/safetensors.h"
#include "data/text/corpus.h"
#include "data/text/subword.h"
#include "tests/data/scratch.h"
#include "tests/fuzz/reader.h"

namespace capstan::fuzz {
namespace {

using namespace data;

const std::string kGoldens = CAPSTAN_SOURCE_DIR "/tests/goldens/", kHostile = CAPSTAN_SOURCE_DIR "/tests/data/goldens/";
const std::string kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfilm\nwas\ngood\n##s\n";

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The parts of an input with several files.
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all.append(part) += '\x1e';
  all.pop_back();
  return all;
}

std::vector<std::string> images() {
  std::vector<std::string> all;
  const Hdf5Reader goldens(kGoldens + "image.h5", {.require_seal = false});
  for (const Hdf5Entry& e : goldens.entries())
    if (e.name.starts_with("/file/")) {
      const Tensor bytes = goldens.read(e.name);
      all.push_back(text_of(std::as_bytes(bytes.span<std::uint8_t>())));
    }
  return all;
}

Hdf5Writer hdf5_sample() {
  Hdf5Writer w;
  w.write("/a/f32", Tensor::from({1.0f, -2.5f, 3.0f, 4.0f}, {2, 2}));
  w.write("/packed", Tensor::zeros({40, 3}, DType::i32), {.deflate = 1, .chunk_rows = 8});
  w.write_text("/config", "seed = 1\n");
  w.set("/", "step", 12);
  w.set("/a", "note", "text");
  return w;
}

std::vector<std::string> hdf5_unsealed() {
  std::vector<std::string> all;
  for (const char* name : {"plain", "committed_type", "external_link", "soft_link", "virtual_layout", "unknown_filter", "variable_text"})
    all.push_back(content(kHostile + name + ".h5"));
  return all;
}

std::vector<NamedTensor> tensors() {
  return {{"encoder.0.weight", Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3})},
          {"ids", Tensor::from<std::int64_t>({7, 8}, Shape{2})},
          {"empty", Tensor(Shape{0, 4})}};
}

std::string subword() {
  int line = 0;
  const SubwordModel model = SubwordModel::learned({.size = 60}, [&](std::string_view& text) {
    text = line % 2 == 0 ? "the film was good and the book was long" : "a short book about a good film";
    return ++line < 40;
  });
  return model.bytes();
}

/// "user_id,item_id\\n1,2\\n1,3\\n" as gzip -n packs it.
std::string gzipped() {
  return {
      "\037\213\010\000\000\000\000\000\002\377\053\055\116\055\212\317\114\321\311\054\111\315\005\322\134\206\072\106\100\154\314\005\000"
      "\305\322\065\074\030\000\000\000",
      41};
}

std::string big_endian(std::initializer_list<unsigned> numbers) {
  std::string bytes;
  for (const unsigned n : numbers)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(n >> shift & 0xff);
  return bytes;
}

std::vector<std::string> seeds(std::string_view reader, const Scratch& scratch) {
  const auto saved = [&](const auto& write) {
    const std::string path = scratch / "file";
    write(path);
    return content(path);
  };
  if (reader == "config")
    return {joined({"recipe = sasrec\nname = \"a # b\"\n[train]\nbatch_size = 8  # all\nlearning_rate = 1e-3\n[run]\ndir = ~/x\n",
                    "--resume\nauto\ncolour=green\n--sizes=1, 2\n--train.epochs\n3\nwords=a, \"b, c\""}),
            joined({"[optimizer]\nname = adam\nweight_decay = .1\n[schedule]\nwarmup_steps = 10\n", "shares=0.5,0.25\n--check"})};
  if (reader == "json")
    return {R"({"a": [1, -2.5e3, "tA", null, true, {"b": NaN}], "weight_map": {"x": "y"}})", "[[[[1]]]]", "\"\\ud83d\\ude00\""};
  if (reader == "table")
    return {"a,b,c\n1,\"x, \"\"y\"\"\",3\n\"two\nlines\",2,3\n", "a\tb\n1\t2\n", "a;b\n1;2\n", "1::2::3::4\n5::6::7::8\n"};
  if (reader == "interactions")
    return {"user_id,item_id,timestamp\n1,a,100\n1,b,200\n2,a,50\n",
            "SessionId\tItemId\tTime\n1\t2\t2014-04-07T10:51:09.277Z\n1\t3\t2014-04-07T10:54:09\n", "1 2\n1 3\n2 2\n",
            "1::1193::5::978300760\n1::661::3::978302109\n", "user,item,click_time\n1,x,2015-01-02 03:04:05\n2,y,05/06/2015\n"};
  if (reader == "item_titles")
    return {"item_id:token\tmovie_title:token_seq\tclass:token_seq\n1\tToy Story\tAnimation\n2\tHeat\tAction\n",
            "1::Toy Story (1995)::Animation\n2::Mis\xe9rables, Les (1995)::Drama\n", "id,title\na,\"Heat, \"\"the\"\" film\"\n2,\n,x\n"};
  if (reader == "session_lines") return {"1 2 3\n4 5\n", "a b c\nb c\n"};
  if (reader == "text_table")
    return {joined({"jh", "{\"text\": \"good\", \"label\": 1}\n{\"text\": \"bad\", \"label\": \"no\"}\n"}),
            joined({"th", "text,label\n\"a, b\",1\nc,0\n"}), joined({"tl", "label\ttext\n1\tcaf\xe9\n"})};
  if (reader == "labelled_lines") return {"1\tgood film\n0\tbad film\n", "positive good film\nnegative bad\n"};
  if (reader == "parallel_text") return {joined({"a\nb\n\nc", "x\ny\n\nz\n"})};
  if (reader == "wordpiece") return {joined({kVocabulary, "The films \xc3\xa9t\xc3\xa9 \xe4\xb8\xad [MASK] was\xcc\x81 GOODS"})};
  if (reader == "tokenizer_json")
    return {joined({R"({"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "the": 2, "##s": 3}}})",
                    "the thes"}),
            joined({kVocabulary, "the film"})};
  if (reader == "byte_bpe")
    return {
        joined(
            {R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4}, "merges": ["a b", "Ġ a"]}, "added_tokens": [{"id": 5, "content": "<|endoftext|>", "special": true}]})",
             "ab ab<|endoftext|>b"}),
        joined({content(kGoldens + "byte_bpe/tokenizer.json").substr(0, 1 << 16), "The film's 3 words"})};
  if (reader == "subword") return {joined({subword(), "a good film"})};
  if (reader == "image") return images();
  if (reader == "idx") return {joined({big_endian({0x803, 2, 2, 3}) + "abcdefghijkl", big_endian({0x801, 2}) + std::string("\1\0", 2)})};
  if (reader == "cifar") return {std::string(3073, '\1'), std::string(3074, '\2')};
  if (reader == "hdf5") return {text_of(hdf5_sample().finish())};
  if (reader == "hdf5_unsealed") return hdf5_unsealed();
  if (reader == "instances")
    return {std::string("\1\3\1\4\3\2\2\1\1\2\5\6\3\2\6\3\0\1\2\1\0\5\6\5\0\1\0", 27), "\x03\x07\x02" + std::string(90, '\2')};
  if (reader == "prepared")
    return {joined({std::string("\0\2\3", 3), std::string("\0\1\0", 3), std::string("\0\1", 2), "\1\2\3", "ab", "\1\2", "xy", "\1\2"})};
  if (reader == "corpus")
    return {saved([&](const std::string& path) {
      CorpusWriter writer(path, Vocabulary({"[PAD]", "[UNK]", "a", "b"}));
      const std::vector<std::int32_t> first{2, 3, 2}, second{3};
      writer.add_sentence(first);
      writer.add_sentence(second);
      writer.end_document();
      writer.add_sentence(second);
      writer.finish();
    })};
  if (reader == "safetensors") return {saved([&](const std::string& path) { write_safetensors(path, tensors()); })};
  if (reader == "safetensors_index") {
    const auto one = [&](std::size_t i) {
      return saved([&](const std::string& path) { write_safetensors(path, std::vector{tensors()[i]}); });
    };
    return {joined({R"({"metadata": {"total_size": 40}, "weight_map": {"encoder.0.weight": "a.safetensors", "ids": "b.safetensors"}})",
                    one(0), one(1)})};
  }
  if (reader == "npz")
    return {saved([&](const std::string& path) { write_npz(path, tensors()); }),
            saved([&](const std::string& path) { write_npz(path, tensors(), NpzPacking::deflated); })};
  if (reader == "npy") return {saved([&](const std::string& path) { write_npy(path, tensors()[0].value); })};
  if (reader == "coco")
    return {joined(
        {R"({"images": [{"id": 3, "file_name": "a.jpg", "width": 10, "height": 8}], "categories": [{"id": 1, "name": "dog"}], "annotations": [{"id": 1, "image_id": 3, "category_id": 1, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0}]})",
         R"([{"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}])"})};
  if (reader == "voc") {
    const std::string box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox>";
    return {joined(
        {"a\nb\n",
         "<annotation><filename>a.jpg</filename><size><width>10</width><height>8</height><depth>3</depth></size><object><name>dog</name>" +
             box + "</object></annotation>",
         "<annotation><size><width>4</width><height>4</height></size></annotation>"})};
  }
  if (reader == "yolo")
    return {joined({"names: [dog, cat]\n", "0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.3 0.1 0.2 0.4\n"}),
            joined({"names:\n  0: dog\n  1: 'cat'\n", "1 .5 .5 1 1\n"})};
  if (reader == "word_vectors") return {"the 1 2 3\na 0.5 -1e3 4\n", "2 3\nb 1 2 3\nthe 4 5 6\n"};
  if (reader == "squad")
    return {
        R"({"version": "2.0", "data": [{"title": "t", "paragraphs": [{"context": "the film was good", "qas": [{"id": "1", "question": "what", "answers": [{"text": "film", "answer_start": 4}], "is_impossible": false}, {"id": "2", "question": "who", "answers": [], "is_impossible": true}]}]}]})"};
  if (reader == "words") return {joined({"The film was good, 3 Films", "the FILM 1999"})};
  return {};
}

}  // namespace

std::vector<std::string> seeds_of(std::string_view reader) {
  const Scratch scratch;
  std::vector<std::string> all = seeds(reader, scratch);
  if (all.size() > 1 && (reader == "interactions" || reader == "item_titles" || reader == "table" || reader == "word_vectors"))
    all.push_back(gzipped());
  return all;
}

}  // namespace capstan::fuzz
