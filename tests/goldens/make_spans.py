#!/usr/bin/python3
"""Makes spans.json and spans.h5 from spans_squad.json. Needs PyTorch 2.13, transformers 5 and h5py (pip).

spans.json    what reading comprehension makes of the questions, by plain Python from the rules of run_squad and of the official scorer:
  vocabulary  tokens in the order of their numbers
  windows     for several lengths and strides, of each question that trains: tokens, which of them have their most context here, answer
  decoded     for random logits and several settings, the three files of predictions
  scores      answers and null odds made up for the questions, and what the scorer prints
spans.h5      curve: a tiny random BertForQuestionAnswering of transformers in f64 (dropout 0), the windows it trains on, padded, and its loss
              before each of 50 steps of the original's optimiser, where [PAD] is trained too (output), as by the original, and where it is
              not (output_fixed_padding), as transformers has it
"""
import collections
import copy
import json
import math
import os
import random
import re
import string
import sys

import h5py
import numpy as np
import torch
from transformers import BertConfig, BertForQuestionAnswering

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "data", "text"))
import reference_tokenizer as reference  # noqa: E402

generator = random.Random(16)


def questions(squad):
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                yield paragraph["context"], qa


def make_vocabulary(squad):
    """Short words whole, of longer ones the first three letters and the rest, all letters but one."""
    words = {w for context, qa in questions(squad) for w in reference.words(context + " " + qa["question"], True, "google")}
    tokens = {w for w in words if len(w) < 5 or len(w) % 3 == 0} | {w[:3] for w in words} | {"##" + w[3:] for w in words if len(w) > 3}
    letters = {c for w in words for c in w} - {"\u4eac"}
    tokens |= letters | {"##" + c for c in letters if c.isalnum()}
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + sorted(tokens - {""} - {"\u4eac"})


class Text:
    def __init__(self, vocabulary):
        self.vocabulary = set(vocabulary)

    def pieces(self, text):
        return [p for w in reference.words(text, True, "google") for p in reference.pieces(w, self.vocabulary, 200)]


def document_words(context):
    """The words, and for every character the number of the word that began last."""
    words, of_character = [], []
    for i, c in enumerate(context):
        blank = c in " \t\r\n\u202f"
        if not blank and (i == 0 or context[i - 1] in " \t\r\n\u202f"):
            words.append("")
        if not blank:
            words[-1] += c
        of_character.append(len(words) - 1)
    return words, of_character


def spans_of(count, capacity, stride):
    spans, start = [], 0
    while start < count:
        length = min(count - start, capacity)
        spans.append((start, length))
        if start + length == count:
            break
        start += min(length, stride)
    return spans


def owner(spans, position):
    scores = [(min(position - s, s + n - 1 - position) + 0.01 * n, -i) for i, (s, n) in enumerate(spans) if s <= position < s + n]
    return -max(scores)[1]


class Example:
    def __init__(self, text, context, qa, query_length, length, stride):
        self.id = qa["id"]
        self.words, of_character = document_words(context)
        self.query = text.pieces(qa["question"])[:query_length]
        self.word_pieces = [text.pieces(w) for w in self.words]
        self.pieces = [p for w in self.word_pieces for p in w]
        self.word_of = [i for i, w in enumerate(self.word_pieces) for _ in w]
        self.spans = spans_of(len(self.pieces), length - len(self.query) - 3, stride)
        self.first = len(self.query) + 2
        self.target = None
        self.found = True
        if qa["answers"]:
            (answer,) = qa["answers"]
            a = of_character[answer["answer_start"]]
            b = of_character[answer["answer_start"] + len(answer["text"]) - 1]
            self.found = a >= 0 and " ".join(answer["text"].split()) in " ".join(self.words[a : b + 1])
            if self.found:
                begin = sum(len(w) for w in self.word_pieces[:a])
                end = sum(len(w) for w in self.word_pieces[: b + 1]) - 1
                wanted = text.pieces(answer["text"])
                inside = [(i, j) for i in range(begin, end + 1) for j in range(end, i - 1, -1) if self.pieces[i : j + 1] == wanted]
                self.target = inside[0] if inside else (begin, end)

    def windows(self):
        for number, (start, length) in enumerate(self.spans):
            tokens = ["[CLS]"] + self.query + ["[SEP]"] + self.pieces[start : start + length] + ["[SEP]"]
            answer = [0, 0]
            if self.target and start <= self.target[0] and self.target[1] < start + length:
                answer = [self.target[0] - start + self.first, self.target[1] - start + self.first]
            owned = [owner(self.spans, start + i) == number for i in range(length)]
            yield {"tokens": tokens, "first": self.first, "owned": owned, "answer": answer}


def final_text(prediction, original):
    tokens = " ".join(reference.words(original, True, "google"))
    at = tokens.find(prediction)
    if at < 0:
        return original
    of_original = [i for i, c in enumerate(original) if c != " "]
    of_tokens = [i for i, c in enumerate(tokens) if c != " "]
    if len(of_original) != len(of_tokens):
        return original
    a, b = of_tokens.index(at), of_tokens.index(at + len(prediction) - 1)
    return original[of_original[a] : of_original[b] + 1]


def decode(example, logits, n_best, max_length, threshold, unanswerable):
    """logits: for each window the lists of start and end. Returns the answer, the listed ones and the null odds."""
    candidates = []
    for number, ((start, length), (starts, ends)) in enumerate(zip(example.spans, logits)):
        def best(values):
            return sorted(range(len(values)), key=lambda i: -values[i])[:n_best]

        for i in best(starts):
            for j in best(ends):
                a, b = i - example.first, j - example.first
                if 0 <= a <= b < length and b - a + 1 <= max_length and owner(example.spans, start + a) == number:
                    candidates.append((starts[i], ends[j], start + a, start + b))
    null = min(((s[0], e[0]) for s, e in logits), key=sum, default=(0.0, 0.0))
    if unanswerable and logits:
        candidates.append((*null, None, None))
    candidates.sort(key=lambda c: -(c[0] + c[1]))
    listed = {}
    for s, e, a, b in candidates:
        if len(listed) == n_best:
            break
        text = ""
        if a is not None:
            pieces = " ".join(example.pieces[a : b + 1]).replace(" ##", "").replace("##", "")
            words = example.words[example.word_of[a] : example.word_of[b] + 1]
            text = final_text(" ".join(pieces.split()), " ".join(words))
        listed.setdefault(text, (s, e))
    if unanswerable:
        listed.setdefault("", null)
    if not listed:
        listed["empty"] = (0.0, 0.0)
    sums = [s + e for s, e in listed.values()]
    total = sum(math.exp(x - max(sums)) for x in sums)
    n_best_list = [
        collections.OrderedDict(text=t, probability=math.exp(s + e - max(sums)) / total, start_logit=s, end_logit=e)
        for t, (s, e) in listed.items()
    ]
    if not unanswerable:
        return n_best_list[0]["text"], n_best_list, None
    others = [x for x in n_best_list if x["text"]]
    if not others:
        return "", n_best_list, 1e6
    odds = sum(null) - others[0]["start_logit"] - others[0]["end_logit"]
    return "" if odds > threshold else others[0]["text"], n_best_list, odds


def normalized(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(given, predicted):
    given, predicted = normalized(given).split(), normalized(predicted).split()
    if not given or not predicted:
        return float(given == predicted)
    same = sum((collections.Counter(given) & collections.Counter(predicted)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted), same / len(given)
    return 2 * precision * recall / (precision + recall)


def score(golds, predictions, odds):
    exact, f = {}, {}
    for key, given in golds.items():
        given = [g for g in given if normalized(g)] or [""]
        exact[key] = max(float(normalized(g) == normalized(predictions[key])) for g in given)
        f[key] = max(f1(g, predictions[key]) for g in given)
    out = {}
    for name, keys in (("", list(golds)), ("HasAns_", [k for k in golds if golds[k]]), ("NoAns_", [k for k in golds if not golds[k]])):
        for metric, values in (("exact", exact), ("f1", f)):
            out[name + metric] = 100 * sum(values[k] for k in keys) / len(keys)
    for metric, values in (("best_exact", exact), ("best_f1", f)):
        # Every threshold: below all null odds, or at one of them, where questions up to it in a stable order are answered.
        order = sorted(golds, key=lambda k: odds[k])
        value = [sum(not golds[k] for k in golds)]
        for k in order:
            value.append(value[-1] + (values[k] if golds[k] else -1 if predictions[k] else 0))
        best = max(range(len(value)), key=lambda i: value[i])
        out[metric] = 100 * value[best] / len(golds)
        out[metric + "_thresh"] = odds[order[best - 1]] if best else 0.0
    return out


def made_up_scores():
    words = ["the", "a", "Cat", "cat", "dog", "U.S.", "us", "state-of-the-art", "state", "of", "art", "caf\u00e9", "cafe", "\u00abx\u00bb", "x",
             "\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2", "a\u0301", "\u00e9a", "\u20aca", "the_", "anthem", "...", "\u5317\u4eac", "1,000", "1000", "\u0130s", "\u00a0"]

    def text():
        return " ".join(generator.choice(words) for _ in range(generator.randint(1, 4)))

    golds, predictions, odds = {}, {}, {}
    for i in range(120):
        key = f"q{i}"
        golds[key] = [] if generator.random() < 0.3 else [text() for _ in range(generator.randint(1, 3))]
        predictions[key] = "" if generator.random() < 0.2 else generator.choice(golds[key] + [text()])
        odds[key] = round(generator.gauss(0 if golds[key] else 0.7, 1), 1)
    return golds, predictions, odds


def our_name(name):
    name = name.replace("bert.encoder.layer.", "bert.encoder.layer_")
    for theirs, ours in (("attention.self.", "attention."), ("attention.output.dense", "attention.output"),
                         ("attention.output.LayerNorm", "attention_norm"), ("intermediate.dense", "feed_forward.inner"),
                         ("output.LayerNorm", "feed_forward_norm"), ("embeddings.weight", "embeddings")):
        name = name.replace(theirs, ours)
    name = re.sub(r"(layer_\d+)\.output\.dense", r"\1.feed_forward.outer", name)
    return name.replace(".", "/")


def curve(file, windows, vocabulary, length, batch=8, steps=50, warmup=5, peak=5e-3):
    torch.manual_seed(3)
    numbers = {t: i for i, t in enumerate(vocabulary)}
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                        max_position_embeddings=length, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-12)
    model = BertForQuestionAnswering(config)
    for name, p in model.named_parameters():  # larger than the usual start, so that fifty steps get somewhere
        if p.dim() == 2:
            torch.nn.init.normal_(p, std=0.1)
        file["curve/parameter/" + our_name(name)] = p.detach().numpy()
    ids = torch.zeros(len(windows), length, dtype=torch.long)
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, w in enumerate(windows):
        n = len(w["tokens"])
        ids[row, :n] = torch.tensor([numbers[t] for t in w["tokens"]])
        mask[row, :n] = 1
        segments[row, w["first"] : n] = 1
    answers = torch.tensor([w["answer"] for w in windows])
    for name, value in (("ids", ids), ("lengths", mask.sum(1)), ("first", torch.tensor([w["first"] for w in windows])), ("answers", answers)):
        file["curve/" + name] = value.numpy().astype(np.int32)
    for name, padding in (("output", None), ("output_fixed_padding", 0)):
        trained = copy.deepcopy(model).double()
        trained.bert.embeddings.word_embeddings.padding_idx = padding
        file["curve/" + name] = np.array(train(trained, ids, mask, segments, answers, batch, steps, warmup, peak))


def train(model, ids, mask, segments, answers, batch, steps, warmup, peak):
    p = dict(model.named_parameters())
    m, v = {k: torch.zeros_like(x) for k, x in p.items()}, {k: torch.zeros_like(x) for k, x in p.items()}
    losses = []
    for step in range(steps):
        rows = (torch.arange(batch) + step * batch) % len(ids)
        loss = model(input_ids=ids[rows], attention_mask=mask[rows], token_type_ids=segments[rows], start_positions=answers[rows, 0],
                     end_positions=answers[rows, 1]).loss
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(p.values()))
        clip = min(1.0, 1.0 / math.sqrt(sum((g**2).sum().item() for g in gradients)))
        rate = peak * step / warmup if step < warmup else peak * (1 - step / steps)
        with torch.no_grad():
            for (name, x), g in zip(p.items(), gradients):
                m[name] = 0.9 * m[name] + 0.1 * clip * g
                v[name] = 0.999 * v[name] + 0.001 * (clip * g) ** 2
                decay = 0.0 if "LayerNorm" in name or name.endswith("bias") else 0.01
                x -= rate * (m[name] / (torch.sqrt(v[name]) + 1e-6) + decay * x)
    return losses


def main():
    with open(os.path.join(HERE, "spans_squad.json"), encoding="utf-8") as f:
        squad = json.load(f)
    vocabulary = make_vocabulary(squad)
    text = Text(vocabulary)
    out = {"vocabulary": vocabulary, "windows": [], "decoded": []}
    for length, query_length, stride in ((24, 8, 5), (16, 6, 30), (128, 64, 128)):
        examples = [Example(text, context, qa, query_length, length, stride) for context, qa in questions(squad)]
        rows = [dict(w, id=e.id) for e in examples if e.found for w in e.windows()]
        out["windows"].append({"length": length, "question_length": query_length, "stride": stride,
                               "left_out": [e.id for e in examples if not e.found], "rows": rows})
    trained = out["windows"][0]["rows"]

    length, query_length, stride = 40, 10, 11
    examples = [Example(text, context, qa, query_length, length, stride) for context, qa in questions(squad)]
    logits = [[[[round(generator.gauss(0, 2), 1) for _ in range(length)] for _ in range(2)] for _ in e.spans] for e in examples]
    logits = [[[[float(np.float32(x)) for x in part] for part in window] for window in question] for question in logits]
    settings = ((5, 4, 0.0, False), (6, 30, 0.0, True), (1, 30, -1.0, True))
    for n_best, max_length, threshold, unanswerable in settings:
        answers = [decode(e, x, n_best, max_length, threshold, unanswerable) for e, x in zip(examples, logits)]
        files = {"predictions": {e.id: a[0] for e, a in zip(examples, answers)}, "nbest": {e.id: a[1] for e, a in zip(examples, answers)}}
        if unanswerable:
            files["null_odds"] = {e.id: a[2] for e, a in zip(examples, answers)}
        out["decoded"].append({"n_best": n_best, "max_length": max_length, "threshold": threshold, "unanswerable": unanswerable,
                               **{k: json.dumps(v, indent=4) + "\n" for k, v in files.items()}})
    out["logits"] = {"length": length, "question_length": query_length, "stride": stride,
                     "values": [[[[round(x, 1) for x in part] for part in window] for window in question] for question in logits]}
    golds, predictions, odds = made_up_scores()
    out["scores"] = {"golds": golds, "predictions": predictions, "odds": odds, "values": score(golds, predictions, odds),
                     "normal": {t: normalized(t) for t in sorted({*predictions.values(), *(g for many in golds.values() for g in many)})}}
    with open(os.path.join(HERE, "spans.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")
    path = os.path.join(HERE, "spans.h5")
    with h5py.File(path + ".new", "w") as f:
        curve(f, trained, vocabulary, 32)
        losses = f["curve/output"][()]
        print("loss", losses[0], losses[-1], "of", len(trained), "windows,", len(vocabulary), "tokens")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
