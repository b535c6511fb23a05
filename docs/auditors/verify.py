#!/usr/bin/env python3
"""Verifies an exported log against a signed checkpoint. Standard library only; shares no code with Huzhu.
Usage: verify.py PUBLIC-KEY-FILE CHECKPOINT LOG.jsonl
Formats: c2sp.org/signed-note and /tlog-checkpoint, RFC 6962 (tree), RFC 8785 (JSON), RFC 8032 (Ed25519).
"""
import base64, hashlib, json, sys
from decimal import Decimal

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P

def multiply(point, factor):
    result = (0, 1)
    for bit in bin(factor)[2:]:
        result = add(add(result, result), point if bit == "1" else (0, 1))
    return result

def decode_point(data):
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return (P - x if x % 2 != sign else x), y

BASE = decode_point(bytes.fromhex("58" + "66" * 31))

def signature_holds(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return s < L and multiply(BASE, s) == add(decode_point(signature[:32]), multiply(decode_point(key), h))

# ---- The checkpoint: origin, size, root and last sequence number, signed by one of our keys
def open_checkpoint(note, keys):
    text, signatures = note.rsplit("\n\n", 1)
    for name, signature in (line.split(" ")[1:] for line in signatures.splitlines()):
        signature = base64.b64decode(signature)
        for key_name, key_hash, key in (key.split("+", 2) for key in keys):
            key = base64.b64decode(key)
            right_hash = hashlib.sha256(key_name.encode() + b"\n" + key).digest()[:4]
            if (name, signature[:4], key_hash, key[0]) == (key_name, right_hash, right_hash.hex(), 1) \
                    and signature_holds(key[1:], text.encode() + b"\n", signature[4:]):
                origin, size, root, sequence = text.split("\n")[:4]
                return origin, int(size), base64.b64decode(root), int(sequence.removeprefix("sequence "))
    raise ValueError("no trusted key has signed this checkpoint")

# ---- Canonical JSON. Numbers are kept as text, so that no digit is lost
class Number(str):
    def canonical(self):
        sign, digits, exponent = Decimal(self).as_tuple()
        digits = "".join(map(str, digits)).lstrip("0")
        magnitude, digits = len(digits) + exponent, digits.rstrip("0")
        if not digits:
            return "0"
        if 0 < magnitude <= 21:
            body = (digits[:magnitude].ljust(magnitude, "0") + "." + digits[magnitude:]).rstrip(".")
        elif -6 < magnitude <= 0:
            body = "0." + "0" * -magnitude + digits
        else:
            body = (digits[0] + "." + digits[1:]).rstrip(".") + "e" + format(magnitude - 1, "+d")
        return "-" * sign + body

def canonical(value):
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(member) for name, member in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return value.canonical() if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)

# ---- The tree
def leaf(row):
    sealed = {name: row[name] for name in ("id", "sequence", "stream", "time", "type", "version")}
    for part in "context", "data":
        sealed[part] = hashlib.sha256(canonical(row[part]).encode()).hexdigest()
    return hashlib.sha256(b"\0" + canonical(sealed).encode()).digest()

def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:middle]) + root(leaves[middle:])).digest()

try:
    keys, note, log = (open(file, encoding="utf-8", newline="\n") for file in sys.argv[1:])
    origin, size, signed_root, last = open_checkpoint(note.read(), keys.read().split())
    rows = (json.loads(line, parse_int=Number, parse_float=Number) for line in log)
    leaves = [leaf(row) for row in rows if int(row["sequence"]) <= last]
except (ValueError, KeyError, TypeError, OSError) as error:
    sys.exit(f"nothing can be said: {error}")
if len(leaves) != size or root(leaves) != signed_root:
    sys.exit(f"{origin}: the {len(leaves)} events up to sequence {last} are not the {size} that were signed")
print(f"{origin}: the log of {size} events up to sequence {last} is as it was signed")
