#!/usr/bin/env python3
"""Slow reference of data/text/tokenizer.h, written from the rules of the BERT tokenizers with Python's own Unicode functions.

reference_tokenizer.py --vocab VOCAB [--cased] [--variant google|hf_slow|hf_fast] < TEXT > PIECES

Every line of standard input (bytes, ended by LF) gives one line of pieces separated by spaces. tokenizer_slow_test.cpp runs it.
"""
import argparse
import sys
import unicodedata

IDEOGRAPHS = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF),
              (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]


# Private use and unassigned characters. The library of the fast tokenizer counts the former alone among control characters.
DROPPED = {"google": (), "hf_slow": ("Co", "Cn"), "hf_fast": ("Co",)}


def clean(text, variant):
    out = []
    for c in text:
        category = unicodedata.category(c)
        if c in "\t\n\r" or category == "Zs":
            out.append(" ")
        elif c == "\ufffd" or category in ("Cc", "Cf") or category in DROPPED[variant]:
            continue
        else:
            out.append(c)
    return "".join(out)


def space_ideographs(text, variant):
    out = []
    for c in text:
        code = ord(c)
        inside = any(low <= code <= high for low, high in IDEOGRAPHS)
        if variant == "hf_fast" and 0x2B820 <= code < 0x2B920:
            inside = False
        out.append(f" {c} " if inside else c)
    return "".join(out)


def without_accents(text):
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


def is_punctuation(c):
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or unicodedata.category(c).startswith("P")


def words(text, lower, variant):
    text = space_ideographs(clean(text, variant), variant)
    if variant == "hf_slow":
        text = unicodedata.normalize("NFC", text)
    for token in text.split():
        if lower and variant == "hf_fast":
            token = "".join(c.lower() for c in without_accents(token))
        elif lower:
            token = without_accents(token.lower())
        yield from "".join(f" {c} " if is_punctuation(c) else c for c in token).split()


def pieces(word, vocabulary, limit):
    if len(word) > limit:
        return ["[UNK]"]
    out, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        out.append(piece)
        start = end
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--cased", action="store_true")
    parser.add_argument("--variant", default="google")
    options = parser.parse_args()
    with open(options.vocab, encoding="utf-8", newline="\n") as file:
        vocabulary = {line.strip() if options.variant == "google" else line.rstrip("\r\n") for line in file} - {""}
    limit = 200 if options.variant == "google" else 100
    known = {}
    for line in sys.stdin.buffer.read().split(b"\n")[:-1]:
        out = []
        for word in words(line.decode("utf-8", errors="replace"), not options.cased, options.variant):
            if word not in known:
                known[word] = pieces(word, vocabulary, limit)
            out += known[word]
        sys.stdout.buffer.write(" ".join(out).encode() + b"\n")


if __name__ == "__main__":
    main()
