"""Compares the answers of two walks.

    compare.py RECORD RECORD

In: two records of medusa_shop.py. Out, on stdout: requests whose status differs; answers that differ, with the values at
the first places; how many are the same, and how many but for the order of arrays. Ids, times and tokens differ by nature
and are made alike.
"""

import json
import re
import sys

ALIKE = [
    (re.compile(r"\b([a-z_]+_)?01[0-9A-HJKMNP-TV-Z]{24}\b"), r"\1ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\bey[\w-]+\.[\w-]+\.[\w-]+"), "TOKEN"),
    (re.compile(r"\b[ps]k_[0-9a-f*]+"), "KEY"),
    (re.compile(r"\b\d{13}\b"), "TIME"),
]
# Moments, lengths of time, and a sequence that all changes of orders share.
SKIPPED = ("duration", "startedAt", "lastAttempt", "token_hash", "ordering")


def alike(value):
    if isinstance(value, dict):
        return {alike(key): alike(part) for key, part in value.items() if key not in SKIPPED}
    if isinstance(value, list):
        return [alike(part) for part in value]
    if isinstance(value, str):
        for pattern, instead in ALIKE:
            value = pattern.sub(instead, value)
    return value


def ordered(value):
    if isinstance(value, dict):
        return {key: ordered(part) for key, part in value.items()}
    if isinstance(value, list):
        return sorted(map(ordered, value), key=lambda part: json.dumps(part, sort_keys=True))
    return value


def places(value, path=""):
    """Each value with its path."""
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, f"{path}.{key}")
    else:
        yield path, value


def differences(one, other):
    one, other = dict(places(one)), dict(places(other))
    return [(path, one.get(path), other.get(path)) for path in {**one, **other} if one.get(path) != other.get(path)]


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    first, second = read(sys.argv[1]), read(sys.argv[2])
    same = same_ordered = different = 0
    for one, other in zip(first, second):
        where = f"{one['flow']} {one['method']} {one['step']}"
        if one["status"] != other["status"]:
            print(f"status {where}: {one['status']} {other['status']}")
        if alike(one["body"]) == alike(other["body"]):
            same += 1
            continue
        sorted_one, sorted_other = ordered(alike(one["body"])), ordered(alike(other["body"]))
        if sorted_one == sorted_other:
            same_ordered += 1
            continue
        different += 1
        found = differences(sorted_one, sorted_other)
        print(f"answer {where}: {len(found)} values, {found[:2]}")
    print(f"requests {len(first)} and {len(second)}: same {same}, but for order {same_ordered}, different {different}")


main()
