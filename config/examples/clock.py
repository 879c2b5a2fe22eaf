#!/usr/bin/env python3
"""A source in any language: one JSON object per line on standard output is one event.

The first line says that it runs and what it emits. The first line of standard input is the config: the settings of its table.
When standard input ends, the source is to stop.
"""
import json
import select
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


say(headwater=1, version="0.1.0", emits=["clock"])
settings = json.loads(sys.stdin.readline()).get("settings", {})
every = float(settings.get("every_seconds", 1))

while True:
    say(channel="clock", type="clock.tick", data={"unix": int(time.time())})
    ready, _, _ = select.select([sys.stdin], [], [], every)
    if ready:
        line = sys.stdin.readline()
        if not line or json.loads(line).get("kind") == "stop":
            break
