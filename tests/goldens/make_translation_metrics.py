#!/usr/bin/python3
"""Makes translation_metrics.json: BLEU and chrF of sacreBLEU 2 over small corpora, and tokens of its tokeniser 13a. Needs sacrebleu (pip)."""
import json
import os
import random

from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

TEXTS = [
    "The cat sat on the mat.", "There is a cat on the mat!", "Ein Mann, der 3,5 km in 1.5 Stunden läuft - und dann 2-3 Pausen macht.",
    "\"Quoted\" &quot;text&quot; &amp; <b>tags</b> (brackets) [1] {2} 50% of $100, a/b; c:d?", "e.g. U.S.A., p.5.,.7", "l'homme d'à côté",
    "a\u00a0b\u3000c  d\te", "日本語のテキスト、です。", "1990-1999 x-y 5 - 6 --", "über  „Größe“ … Straße", "", "  ", "a", ".", "12,345.67 and 8.,9",
    "It's rock'n'roll ~ `code` ^_^ #tag @you *bold* a+b=c", "end<skipped>ing &lt;x&gt;",
]


def noisy(text, rng):
    words = text.split(" ")
    rng.shuffle(words) if rng.random() < 0.2 else None
    return " ".join(w for w in words if rng.random() > 0.15)


def main():
    rng = random.Random(3)
    german = ["Ein Mann mit einem orangefarbenen Hut starrt etwas an.", "Ein Boston Terrier läuft über saftig-grünes Gras vor einem weißen Zaun.",
              "Ein Mädchen in einem Karateanzug bricht ein Brett mit einem Tritt.", "Fünf Leute in Winterjacken und mit Helmen stehen im Schnee."]
    corpora = [[(noisy(t, rng), t) for t in german * 5], [(t, t) for t in german], [("ein Mann", german[0])], [("", german[0]), ("x", "y")],
               [("völlig anders", german[1])], [(german[0] + " " + german[0], german[0])], [(t, u) for t, u in zip(TEXTS, TEXTS[1:])],
               [("ab", "abc"), ("a b c d e", "a b c d f")], [("", "")]]
    out = {"tokens": [{"text": t, "tokens": Tokenizer13a()(t).split()} for t in TEXTS], "corpora": []}
    for pairs in corpora:
        hypotheses, references = [p[0] for p in pairs], [[p[1] for p in pairs]]
        out["corpora"].append({"hypotheses": hypotheses, "references": references[0],
                               "bleu": BLEU().corpus_score(hypotheses, references).score,
                               "chrf": CHRF().corpus_score(hypotheses, references).score})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "translation_metrics.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1, ensure_ascii=True)


if __name__ == "__main__":
    main()
