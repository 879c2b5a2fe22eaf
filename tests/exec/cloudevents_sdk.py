"""Posts and parses events with the CloudEvents initiative's own Python SDK.

`post URL` posts one event in headers and body, and one as an object; prints the answers.
`parse` reads one structured event a line and prints what the SDK makes of each.
"""

import datetime
import json
import sys
import urllib.request

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent


def event(number):
    attributes = {
        "id": f"order-{number}",
        "source": "/shop/till-7",
        "type": "order.placed",
        "subject": f"orders/{number} – “ü”",
        "time": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "datacontenttype": "application/json",
        "channel": "orders",
        "severity": "warning",
        "branch": "main",
    }
    return CloudEvent(attributes, {"number": number, "text": "ü\n"})


def post(url):
    for message in [to_binary_event(event(1)), to_structured_event(event(2)), to_structured_event(event(2))]:
        request = urllib.request.Request(url, data=message.body, headers=message.headers, method="POST")
        with urllib.request.urlopen(request) as answer:
            print(answer.read().decode().strip(), flush=True)


def parse():
    for line in sys.stdin:
        headers = {"content-type": "application/cloudevents+json"}
        parsed = from_http_event(HTTPMessage(headers, line.encode()))
        parsed_attributes = {
            name: value.isoformat() if isinstance(value, datetime.datetime) else value
            for name, value in parsed.get_attributes().items()
        }
        print(json.dumps({"attributes": parsed_attributes, "data": parsed.get_data()}), flush=True)


if sys.argv[1] == "post":
    post(sys.argv[2])
else:
    parse()
