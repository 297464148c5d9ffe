"""Print how many cells there are of each sort; with ``--write``, write the table, and forget faults that are mended.

The list of known faults only becomes shorter here: a new one has to be mended, or entered by hand, with its reason.
"""

from __future__ import annotations

import sys
from collections import Counter

from bad_data import KNOWN, TABLE, TOPICS, Folded, cells, counted, faults_of, read, table_of, written


def still(old: Folded, new: Folded) -> Folded:
    """Return those of the old faults that are among the new ones."""
    left: Folded = {}
    for name, by in old.items():
        for came, kinds in by.items():
            there = new.get(name, {}).get(came, "").split(", ")
            if kept := ", ".join(kind for kind in kinds.split(", ") if kind in there):
                left.setdefault(name, {})[came] = kept
    return left


total: Counter[str] = Counter()
for topic in TOPICS:
    print(f"{topic}: {counted(cells(topic))}")
    total.update(counted(cells(topic)))
print(f"in all: {dict(total)}")
if "--write" in sys.argv:
    TABLE.write_text(written({topic: table_of(topic) for topic in TOPICS}), encoding="utf-8")
    known = read(KNOWN)
    for topic in TOPICS:
        now, functions = faults_of(topic), known[topic]
        for function, entry in list(functions.items()):
            entry["faults"] = still(entry["faults"], now.get(function, {}))
            if not entry["faults"]:
                del functions[function]
    KNOWN.write_text(written(known), encoding="utf-8")
