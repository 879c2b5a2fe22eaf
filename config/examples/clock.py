#!/usr/bin/env python3
"""A source in any language: one JSON object per line on standard output is one event.

The first line says that it runs and what it emits. The first line of standard input is the config: the settings of its table.
When standard input ends, the source is to stop.
"""
import json
import queue
import sys
import threading
import time


def say(**line):
    print(json.dumps(line), flush=True)


def listen(inbox):
    # A thread of its own: waiting for input with select would miss lines that Python has already read ahead.
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"kind": "stop"})


def main():
    say(headwater=1, version="0.1.0", emits=["clock"])
    inbox = queue.Queue(maxsize=64)
    threading.Thread(target=listen, args=(inbox,), daemon=True).start()
    settings = inbox.get().get("settings", {})
    every = float(settings.get("every_seconds", 1))
    due = time.monotonic()
    while True:
        try:
            message = inbox.get(timeout=max(0, due - time.monotonic()))
        except queue.Empty:
            due += every
            say(channel="clock", type="clock.tick", data={"unix": int(time.time())})
            continue
        if message["kind"] == "stop":
            return


main()
