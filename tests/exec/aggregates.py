"""Computes by other means what `GET /v1/history?granularity=minute&metric=cpu_usage` answers, and names each difference.

usage: aggregates.py ANSWER.json EVENTS.ndjson HISTORY.db
"""

import json
import math
import sqlite3
import statistics
import sys

FIELD = "cpu_usage_percent"


def nearest_rank(values, percent):
    """The value that so many of a hundred do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def of_the_events(lines):
    """By Python, from the exported events."""
    minutes = {}
    for event in sorted(map(json.loads, lines), key=lambda event: event["offset"]):
        count, values = minutes.setdefault(event["timestamp"][:16], ([], []))
        count.append(event["offset"])
        value = event["data"].get(FIELD)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            values.append(value)
    for minute, (offsets, values) in sorted(minutes.items()):
        stats = None
        if values:
            stats = {
                "count": len(values),
                "avg": statistics.fmean(values),
                "min": min(values),
                "max": max(values),
                "p50": nearest_rank(values, 50),
                "p95": nearest_rank(values, 95),
                "last": values[-1],
            }
        yield minute, len(offsets), stats


def of_the_file(path):
    """By SQLite, from the store's own file."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        yield from file.execute(
            f"""SELECT substr(time, 1, 16), count(*), count(x), avg(x), min(x), max(x) FROM
                (SELECT time, CASE WHEN json_type(data, '$.{FIELD}') IN ('integer', 'real')
                                   THEN json_extract(data, '$.{FIELD}') END AS x FROM events WHERE channel = 'load')
                GROUP BY 1 ORDER BY 1"""
        )


def main(answer, events, file):
    with open(answer, encoding="utf-8") as text:
        points = json.load(text)["points"]
    with open(events, encoding="utf-8") as lines:
        expected = list(of_the_events(lines))
    told = [(point["timestamp"][:16], point["count"], point.get("stats", {}).get("cpu_usage")) for point in points]
    close = lambda one, other: math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    faults = [] if len(told) == len(expected) else [f"{len(told)} points instead of {len(expected)}"]
    for (minute, count, stats), wanted in zip(told, expected):
        if (minute, count, stats is None) != (wanted[0], wanted[1], wanted[2] is None):
            faults.append(f"{minute} with {count} events instead of {wanted}")
        elif stats and (stats.keys() != wanted[2].keys() or not all(close(stats[key], wanted[2][key]) for key in stats)):
            faults.append(f"{minute}: {stats} instead of {wanted[2]}")
    rows = list(of_the_file(file))
    if len(rows) != len(told):
        faults.append(f"{len(told)} points, and {len(rows)} in the file")
    for (minute, count, stats), row in zip(told, rows):
        ours = (minute, count, *((stats[key] for key in ("count", "avg", "min", "max")) if stats else (0, None, None, None)))
        same = ours[:3] == row[:3] and all(a == b or close(a, b) for a, b in zip(ours[3:], row[3:]))
        if not same:
            faults.append(f"{ours}, and in the file {row}")
    print(f"{len(told)} points compared", *faults, sep="\n")
    return 1 if faults or not told else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
