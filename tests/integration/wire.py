# SPDX-License-Identifier: Apache-2.0
"""The host side of the wire protocol (docs/protocol.md), for tests of the fake VMM."""
import hashlib
import json
import socket
import struct

import vulcan

HELLO, REQUEST, CODE, STDIN, STDOUT, STDERR, RESULT, PING, PONG, FILE, DATA = range(1, 12)


def code(data):
    """The fields of a request that announce the code."""
    return {"code_size": len(data), "code_sha256": hashlib.sha256(data).hexdigest()}


class Closed(Exception):
    pass


class Host:
    """Listens at <uds>_5000 before the VMM starts, as Vulcan does."""

    def __init__(self, uds):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(uds + "_5000")
        self.listener.listen(1)
        self.listener.settimeout(10 * vulcan.SLOW)
        self.connection = None

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(10 * vulcan.SLOW)

    def close(self):
        self.listener.close()
        if self.connection:
            self.connection.close()

    def _read(self, n):
        data = b""
        while len(data) < n:
            chunk = self.connection.recv(n - len(data))
            if not chunk:
                raise Closed(data)
            data += chunk
        return data

    def receive(self):
        size, kind = struct.unpack(">IB", self._read(5))
        payload = self._read(size)
        return kind, json.loads(payload) if kind in (HELLO, RESULT) else payload

    def send(self, kind, payload):
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self.connection.sendall(struct.pack(">IB", len(payload), kind) + payload)
