#!/usr/bin/env python3
"""A ticket system to try the package with: orders.py [PORT] serves GET /orders/NUMBER on loopback.

PORT 0 takes a free one. Prints one line when ready: listening on http://127.0.0.1:PORT
"""
import http.server
import json
import sys
import urllib.parse

ORDERS = {
    "4711": {"id": "4711", "status": "shipped", "due": "2026-12-01", "carrier": "Parcel Service"},
    "4712": {"id": "4712", "status": "delayed", "due": "2026-12-24"},
    "4713": {"id": "4713", "status": "delivered", "carrier": "Parcel Service"},
}


class Orders(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        head, _, number = self.path.rpartition("/")
        order = ORDERS.get(urllib.parse.unquote(number)) if head == "/orders" else None
        body = json.dumps(order or {"title": "there is no such order"}).encode()
        self.send_response(200 if order else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Orders)
    print("listening on http://127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()
