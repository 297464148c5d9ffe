"""Print how many cells there are of each sort; with ``--write``, write the table, and forget faults that are mended.

The list of known faults only becomes shorter here: a new one has to be mended, or entered by hand.
"""

from __future__ import annotations

import sys
from collections import Counter

from bad_data import KNOWN, TABLE, TOPICS, cells, counted, faults_of, read, still, table_of, written


def main(write: bool) -> None:
    """Count, and perhaps write."""
    total: Counter[str] = Counter()
    for topic in TOPICS:
        print(f"{topic}: {counted(cells(topic))}")
        total.update(counted(cells(topic)))
    print(f"in all: {dict(total)}")
    if write:
        known = read(KNOWN)
        TABLE.write_text(written({topic: table_of(topic) for topic in TOPICS}), encoding="utf-8")
        KNOWN.write_text(written({t: still(known.get(t, {}), faults_of(t)) for t in TOPICS}), encoding="utf-8")


if __name__ == "__main__":
    main("--write" in sys.argv)
