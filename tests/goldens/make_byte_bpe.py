#!/usr/bin/env python3
"""Makes byte_bpe/: a small byte-level BPE of Hugging Face tokenizers and what it makes of texts.

  tokenizer.json vocab.json merges.txt   the same tokenizer twice: 400 pieces, and <|endoftext|> and <|row|> as tokens of their own
  digits.json                            the same tokenizer, which parts digits before
  cases.json                             texts and their ids: with these tokens in text, without them, with a blank before the text, with
                                         every digit apart

Needs tokenizers.
"""
import json
import os
import random

from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "byte_bpe")

WORDS = ("the quick brown fox doesn't jump over the lazy dog because they're tired and we've seen 1984 of them in 2024 they'll say I'm done "
         "naïve café Straße größer übermäßig Москва говорит привет 北京 东京 한국어 emoji 😀👍🏽 don't can't won't").split()
TEXTS = [
    "", " ", "  ", "a", "'", "''s", "don't DON'T we'll we'LL I'm you're they've he'd '", " 's 't", "it's'sss 're're", "1984 and 3.14159, 007!",
    "word  two   three    ", "\n", "\n\n", "a\n\nb", "a \n b\t\tc\r\nd", " leading", "   leading", "trailing   ", "tabs\t\tand\tblanks \t ",
    "naïve café Straße", "Москва, привет!", "北京东京 한국어", "😀👍🏽👨‍👩‍👧 ok", "e\u0301 a\u0308o", "½ ² Ⅷ ٣ १२", "…—“quoted”—…",
    "\u00a0nb\u00a0 sp\u2003em\u3000wide\u2028line\u0085next", "\x00\x01\x1c\x1f\x7f control \x1b[0m", "_under_score __init__ a_b1c2",
    "x=(y+z)*2;//!?", "ﬁ ǅ ʰ ª º", "a\u200db\ufeffc\ufffd", "\U0001d400\U0001d7d8 \U000e0001 \U0010ffff", "the the the thethethe",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabc" * 12, "<|endoftext|>", "end<|endoftext|>begin", "a <|row|> b", "<|endoftext", "<|row|><|row|> ",
    "<|endoftext|> x",
]


def random_texts(n):
    generator = random.Random(17)
    pool = list("aeiostTH'  \n\t..19") + ["'s", "'ll", " the", "é", "ß", "д", "中", "😀", "\u0301", "²", "\u00a0", "\u3000", "\x00"]
    return ["".join(generator.choice(pool) for _ in range(generator.randint(1, 40))) for _ in range(n)]


def main():
    os.makedirs(HERE, exist_ok=True)
    generator = random.Random(7)
    trained = ByteLevelBPETokenizer()
    lines = [" ".join(generator.choices(WORDS, k=12)) for _ in range(400)]
    trained.train_from_iterator(lines, vocab_size=400, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False)
    trained.save_model(HERE)
    plain = ByteLevelBPETokenizer(os.path.join(HERE, "vocab.json"), os.path.join(HERE, "merges.txt"))  # knows no token of its own
    trained.add_special_tokens(["<|row|>"])
    trained.save(os.path.join(HERE, "tokenizer.json"), pretty=False)
    whole = Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))
    blank = Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))
    blank.pre_tokenizer = ByteLevel(add_prefix_space=True)
    digits = Tokenizer.from_file(os.path.join(HERE, "tokenizer.json"))
    digits.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    digits.save(os.path.join(HERE, "digits.json"), pretty=False)
    cases = []
    for text in TEXTS + random_texts(60):
        ids = whole.encode(text).ids
        assert whole.decode(ids, skip_special_tokens=False) == text
        cases.append({"text": text, "tokens": ids, "plain": plain.encode(text).ids, "blank": blank.encode(text).ids,
                      "digits": digits.encode(text).ids})
    with open(os.path.join(HERE, "cases.json"), "w") as f:
        f.write("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]\n")


if __name__ == "__main__":
    main()
