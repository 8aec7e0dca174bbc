"""Prints the keys log of a small pool, with what Python's standard library and `cryptography` give.

Keys grow from 32 equal bytes: alice-1 from 1, then 2; box-1 from 3; pool-1 from 9.
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "narpool-1a2b3c4d/keys"


class Key:
    def __init__(self, name, seed):
        self.name = name
        self.secret = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = self.secret.public_key().public_bytes_raw()
        self.line = f"{name}:{base64.b64encode(public).decode()}"
        self.id = hashlib.sha256(b"\x01" + public).hexdigest()

    def sign(self, message):
        return f"{self.name}:{base64.b64encode(self.secret.sign(message)).decode()}"


def text(value):
    return json.dumps(value, separators=(",", ":"))


def entry(logged_at, attestations, event, *keys):
    message = f"narpool-key-event/1\n{ORIGIN}\n{text(event)}".encode()
    signatures = sorted(key.sign(message) for key in keys)
    print(
        text(
            {
                "logged_at": logged_at,
                "attestations": attestations,
                "event": event,
                "signatures": signatures,
            }
        )
    )


pool = Key("pool-1", 9)
old = Key("alice-1", 1)
new = Key("alice-1", 2)
box = Key("box-1", 3)
delegated = {"root": old.id, "key": box.line, "names": "linux-*", "not_after": 9000}
compromised = {"compromised": {"from": 5}}
entry(1000, 0, {"event": "enrol", "key": old.line}, pool)
entry(2000, 7, {"event": "delegate", **delegated}, old)
entry(2000, 8, {"event": "rotate", "old": old.id, "key": new.line}, old, new)
entry(2001, 9, {"event": "revoke", "key": box.id, "reason": "retired"}, box)
entry(2002, 12, {"event": "revoke", "key": old.id, "reason": compromised}, pool)
