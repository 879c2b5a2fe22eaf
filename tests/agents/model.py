"""A model that does as the prompt says, for coding agents without a network: it speaks the Messages API (Claude Code) and
the Responses API (Codex) on a loopback port, which it prints.

The newest prompt that begins with one of these words is the script:

    say TEXT      answers with the text
    run COMMAND   calls the agent's shell tool, and says "Done." once it has its result
    hang          begins an answer and never ends it
    fail STATUS   refuses with this HTTP status

It knows no sessions: what has been done is read from the request. It ends with its standard input.
"""

import json
import os
import re
import select
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ORDER = re.compile(r"^(say|run|hang|fail)\b ?(.*)", re.MULTILINE)
# The shell tools of Claude Code and Codex, and what the command is called there.
SHELLS = {
    "Bash": lambda command: {"command": command, "description": "what the prompt says"},
    "exec_command": lambda command: {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "May it?"},
}
RESULTS = ("tool_result", "function_call_output")


def orders(content):
    """The orders in a message, which is a text or a list of parts."""
    parts = [{"text": content}] if isinstance(content, str) else content or []
    return [ORDER.search(part.get("text") or "") for part in parts if isinstance(part, dict)]


def decide(messages, tools):
    """What to do now: a word, and what belongs to it."""
    word, rest = "say", "Nothing to do."
    for message in messages:
        kinds = [message.get("type")]
        if isinstance(message.get("content"), list):
            kinds += [part.get("type") for part in message["content"]]
        if any(kind in RESULTS for kind in kinds):
            word, rest = "say", "Done."
        for order in orders(message.get("content")) if message.get("role") == "user" else []:
            if order:
                word, rest = order.groups()
    # Beside its work an agent asks small things, such as a title, without tools: those get a text.
    shell = next((tool for tool in tools if tool in SHELLS), None)
    if word == "run":
        return ("run", (shell, SHELLS[shell](rest))) if shell else ("say", "A title")
    return word, rest


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """An agent that goes away in the middle of an answer is no fault."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, {"object": "list", "data": []})

    do_HEAD = do_GET

    def do_POST(self):
        size = int(self.headers.get("content-length") or 0)
        request = json.loads(self.rfile.read(size) or b"{}")
        speak = {"messages": self.as_message, "responses": self.as_response}.get(self.path.split("?")[0].split("/")[-1])
        if not speak:
            return self.answer(200, {"input_tokens": 1})
        messages = request.get("messages") or request.get("input") or []
        tools = [tool.get("name") for tool in request.get("tools") or []]
        word, rest = decide(messages, tools)
        if word == "fail":
            return self.answer(int(rest), {"type": "error", "error": {"type": "api_error", "message": "as asked for"}})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        speak(request.get("model"), word, rest)

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def event(self, kind, **data):
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())
        self.wfile.flush()

    def hang(self):
        """Until the agent goes away."""
        select.select([self.connection], [], [])

    def as_message(self, model, word, rest):
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
        self.event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})
        if word == "run":
            block = {"type": "tool_use", "id": f"toolu_{os.urandom(8).hex()}", "name": rest[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(rest[1])}
        else:
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": rest or "Let me think"}
        self.event("content_block_start", index=0, content_block=block)
        self.event("content_block_delta", index=0, delta=delta)
        if word == "hang":
            return self.hang()
        self.event("content_block_stop", index=0)
        reason = "tool_use" if word == "run" else "end_turn"
        self.event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
        self.event("message_stop")

    def as_response(self, model, word, rest):
        item, response = {"id": f"msg_{os.urandom(8).hex()}"}, {"id": "resp_1", "object": "response", "model": model}
        if word == "run":
            item |= {"type": "function_call", "call_id": f"call_{os.urandom(8).hex()}", "name": rest[0]}
            item |= {"arguments": json.dumps(rest[1]), "status": "completed"}
        else:
            text = {"type": "output_text", "text": rest or "Let me think", "annotations": []}
            item |= {"type": "message", "role": "assistant", "content": [text], "status": "completed"}
        self.event("response.created", response={**response, "status": "in_progress", "output": []})
        self.event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
        if word == "hang":
            self.event("response.output_text.delta", output_index=0, content_index=0, item_id=item["id"], delta="Let me think")
            return self.hang()
        self.event("response.output_item.done", output_index=0, item=item)
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        self.event("response.completed", response={**response, "status": "completed", "output": [item], "usage": usage})


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
