#!/usr/bin/env python3
"""A source in Python: the time, every few seconds, and whenever a client asks for it."""
import json
import queue
import sys
import threading
import time


def say(**line):
    print(json.dumps(line), flush=True)


def listen(inbox):
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"kind": "stop"})  # the daemon has gone


def main():
    say(headwater=1, name="clock", version="1.0", emits=["clock"], heartbeat=True,
        commands=[{"name": "now", "description": "The time."}])
    inbox = queue.Queue(maxsize=64)
    threading.Thread(target=listen, args=(inbox,), daemon=True).start()
    settings = inbox.get()["settings"]
    every = float(settings.get("every_seconds", 1))
    due = time.monotonic()
    while True:
        try:
            message = inbox.get(timeout=max(0, due - time.monotonic()))
        except queue.Empty:
            due += every
            say(channel="clock", type="clock.tick", key="now", evidence="observed", data={"unix": time.time()})
            continue
        if message["kind"] == "stop":
            print("bye", file=sys.stderr)  # a line of the log
            return
        if message["kind"] == "heartbeat":
            say(reply=message["request"], status="alive")
        elif message["kind"] == "command":
            say(reply=message["request"], status="completed", result={"unix": time.time()})


main()
