# Reads event files with TensorBoard and compares them with metrics.jsonl of their run: every number once, at its step.
# Usage: read_events.py METRICS.jsonl DIRECTORY_OF_EVENTS     (needs the package tensorboard)
import json
import math
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

rows, directory = sys.argv[1:]
events = EventAccumulator(directory, size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
found = {}
for tag in events.Tags()["scalars"]:
    for e in events.Scalars(tag):
        assert (tag, e.step) not in found, f"{tag} stands twice at step {e.step}"
        assert e.wall_time > 1e9, f"{tag} at step {e.step} has the time {e.wall_time}"
        found[tag, e.step] = e.value


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


wanted = {}
for line in open(rows):
    row = json.loads(line)
    not_finite = row.pop("not_finite", {})
    for name, value in row.items():
        value = float(not_finite[name]) if name in not_finite else value
        if name != "step" and isinstance(value, (int, float)):
            wanted[f"{row['split']}/{name}", row["step"]] = single(value)
same = lambda a, b: a == b or (math.isnan(a) and math.isnan(b))
wrong = [k for k in wanted if k not in found or not same(found[k], wanted[k])]
extra = [k for k in found if k not in wanted]
print(f"{len(wanted)} numbers of {len(set(t for t, _ in wanted))} tags, {len(wrong)} missing or wrong, {len(extra)} too many")
sys.exit(bool(wrong or extra or not wanted))
