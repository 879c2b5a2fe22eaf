"""Stands between an MCP client and its server, and spoils what passes as the file ORDERS says at that moment.

python3 between.py ORDERS COMMAND ARGS…

slow MS      each answer is passed on that much later
garbage      a line that is no message comes before each answer
flood BYTES  so much is written to the standard error, once
"""

import os
import subprocess
import sys
import threading
import time

orders, command = sys.argv[1], sys.argv[2:]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
flooded = False


def order():
    """What is to be done now: a word and a number."""
    if not os.path.exists(orders):
        return "", 0
    with open(orders) as file:
        words = file.read().split()
    return (words + [""])[0], int((words + ["", "0"])[1] or 0)


def forward():
    for line in sys.stdin.buffer:
        try:
            server.stdin.write(line)
            server.stdin.flush()
        except BrokenPipeError:
            return
    server.stdin.close()


threading.Thread(target=forward, daemon=True).start()
for line in server.stdout:
    word, number = order()
    if word == "slow":
        time.sleep(number / 1000)
    elif word == "garbage":
        sys.stdout.buffer.write(b"and here is what nobody asked for\n")
    elif word == "flood" and not flooded:
        flooded = True
        for at in range(number // 64):
            sys.stderr.write(f"{at:063d}\n")
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
sys.exit(server.wait())
