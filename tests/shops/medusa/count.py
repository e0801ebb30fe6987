"""Counts the statements of a walk.

    count.py AUDIT...

In: audit logs of pgscrim. Out, on stdout: statements, distinct texts (the log has no constants), the same with lists of
any length and placeholders of any number made alike, how many were refused, failed on the server, and were not analysed;
then each distinct text that was refused or failed, with its code. Fails when any was refused.
"""

import collections
import json
import re
import sys

ITEM = r"(?:\$\d+|\?|null|true|false|default|'[^']*')"
LIST = re.compile(rf"\(\s*{ITEM}(?:\s*,\s*{ITEM})*\s*\)", re.IGNORECASE)
ROWS = re.compile(r"\(\.\.\.\)(?:\s*,\s*\(\.\.\.\))+")


def shape(text):
    text = ROWS.sub("(...)", LIST.sub("(...)", text))
    return re.sub(r"\$\d+", "$n", text)


def events(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            yield from map(json.loads, file)


def main():
    texts, shapes, kept, wrong = set(), set(), collections.Counter(), collections.Counter()
    for event in events(sys.argv[1:]):
        texts.add(event["text"])
        shapes.add(shape(event["text"]))
        kept["statements"] += 1
        kept["not analysed"] += not event["analysed"]
        kept[event["outcome"]] += 1
        if event["outcome"] != "completed":
            wrong[event["refusal"] or event["sqlstate"] or event["outcome"], event["text"]] += 1
    print(f"statements {kept['statements']}, distinct {len(texts)}, without lengths of lists {len(shapes)}")
    print(", ".join(f"{name} {kept[name]}" for name in ("refused", "failed", "broken", "not analysed")))
    for (code, text), times in wrong.most_common():
        print(f"{code} {times}x {text[:200]}")
    return 1 if kept["refused"] else 0


sys.exit(main())
