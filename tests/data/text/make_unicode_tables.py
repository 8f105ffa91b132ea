#!/usr/bin/env python3
"""Writes data/text/unicode_tables.inc from Python's own Unicode database, which must be version 14.0 (Python 3.11).

Run by hand, from the root of the repository: python3 tests/data/text/make_unicode_tables.py > data/text/unicode_tables.inc
With --digests it prints instead the checksums that tests/data/text/unicode_test.cpp expects.
"""
import random
import sys
import unicodedata
import zlib

VERSION = "14.0.0"
MARK, SPACE, LINE, CONTROL, OTHER, PUNCTUATION, CASED, IGNORABLE = (1 << i for i in range(8))
SIGMA, FINAL_SIGMA = "\u03a3", "\u03c2"
LIMIT, BLOCK = 0x20000, 32  # code points below LIMIT go through two stages of blocks, the few ranges above into a list


def flags(c):
    category = unicodedata.category(c)
    f = {"Mn": MARK, "Zs": SPACE, "Zl": LINE, "Zp": LINE, "Cc": CONTROL, "Cf": CONTROL}.get(category, 0)
    if category[0] == "C" and f == 0:
        f = OTHER
    if category[0] == "P":
        f |= PUNCTUATION
    # Case properties are not in the database that Python shows, but decide what becomes of a sigma behind the character.
    if (c + SIGMA).lower()[-1] == FINAL_SIGMA:
        f |= CASED
    elif ("A" + c + SIGMA).lower()[-1] == FINAL_SIGMA:
        f |= IGNORABLE
    return f


def record(c):
    lower = c.lower() if c != "\u0130" else "i"  # the only one that becomes two characters; special in the code
    assert len(lower) == 1
    return flags(c), unicodedata.combining(c), ord(lower) - ord(c)


def lines(name, kind, values, per_line):
    print(f"constexpr {kind} {name}[] = {{")
    for i in range(0, len(values), per_line):
        print("".join(f"{v}," for v in values[i : i + per_line]))
    print("};")


def is_number(c):
    return unicodedata.category(c)[0] == "N"


def changes(holds):
    """The code points at which an answer becomes another, beginning with no."""
    answers = [False] + [holds(chr(code)) for code in range(0x110000)] + [False]
    return [code for code in range(0x110001) if answers[code + 1] != answers[code]]


def tables():
    records, rows = {}, []
    for code in range(0x110000):
        rows.append(records.setdefault(record(chr(code)), len(records)))
    assert len(records) < 256
    blocks = {}
    index = [blocks.setdefault(tuple(rows[i : i + BLOCK]), len(blocks)) for i in range(0, LIMIT, BLOCK)]
    ranges = []
    for code in range(LIMIT, 0x110000):
        if not ranges or ranges[-1][1] != rows[code]:
            ranges.append((code, rows[code]))

    full, single = [], []
    for code in range(0x110000):
        c = chr(code)
        if 0xAC00 <= code <= 0xD7A3 or not unicodedata.decomposition(c) or unicodedata.decomposition(c)[0] == "<":
            continue
        full.append((code, unicodedata.normalize("NFD", c)))
        if unicodedata.normalize("NFC", c) == c:
            first, second = (int(part, 16) for part in unicodedata.decomposition(c).split())
            single.append((first, second, code))
    alphanumeric = changes(lambda c: c.isalnum())
    number = changes(is_number)
    text = [ord(d) for _, decomposed in full for d in decomposed]
    starts, at = [], 0
    for code, decomposed in full:
        starts.append((code, at))
        at += len(decomposed)
    starts.append((0x110000, at))

    print(f"// Unicode {VERSION}. Made by tests/data/text/make_unicode_tables.py; do not edit.")
    lines("kRecords", "Record", ["{%d,%d,%d}" % r for r in records], 10)
    lines("kBlockOf", "std::uint16_t", index, 32)
    lines("kBlocks", "std::uint8_t", [r for b in blocks for r in b], BLOCK)
    lines("kHighRanges", "Range", ["{%d,%d}" % r for r in ranges], 12)
    lines("kDecompositions", "Decomposition", ["{%d,%d}" % s for s in starts], 12)
    lines("kDecomposed", "char32_t", text, 20)
    lines("kCompositions", "Composition", ["{%d,%d,%d}" % s for s in sorted(single)], 8)
    lines("kAlphanumeric", "char32_t", alphanumeric, 20)
    lines("kNumber", "char32_t", number, 20)


def digests():
    crc = 0
    for code in range(0x110000):
        c = chr(code)
        decomposed = unicodedata.normalize("NFD", c)
        words = [code, flags(c), unicodedata.combining(c), *map(ord, c.lower()), *map(ord, decomposed), *map(ord, unicodedata.normalize("NFC", c))]
        crc = zlib.crc32(b"".join(w.to_bytes(4, "little") for w in words), crc)
    print(f"every code point: {crc}")
    print(f"alphanumeric: {zlib.crc32(bytes(chr(code).isalnum() for code in range(0x110000)))}")
    print(f"number: {zlib.crc32(bytes(is_number(chr(code)) for code in range(0x110000)))}")

    # Random strings of characters that interact: starters with their marks, Hangul, cased letters, sigma, punctuation.
    pool = [c for c in range(0x110000) if unicodedata.combining(chr(c)) or unicodedata.decomposition(chr(c))[:1] not in ("", "<")]
    pool += list(range(0x1100, 0x1200)) + [0xAC00 + 28 * i for i in range(400)] + [0xAC01 + 31 * i for i in range(300)]
    pool += [0x3A3] * 1000 + list(range(0x20, 0x180)) * 2 + [0x2019, 0xB7, 0x2B0, 0x345, 0x10A0, 0x1F88, 0x130] * 20
    generator, crc = random.Random(2022), 0
    for _ in range(100000):
        text = "".join(chr(pool[generator.randint(0, len(pool) - 1)]) for _ in range(generator.randint(1, 8)))
        for form in (text.lower(), unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text)):
            crc = zlib.crc32(b"".join(ord(c).to_bytes(4, "little") for c in form + "\n"), crc)
    print(f"random strings: {crc} from a pool of {len(pool)}")


if __name__ == "__main__":
    assert unicodedata.unidata_version == VERSION, unicodedata.unidata_version
    digests() if "--digests" in sys.argv else tables()
