#!/usr/bin/env python3
"""Verifies an exported log against a signed checkpoint. Standard library only; shares no code with Huzhu.

    verify.py PUBLIC-KEY-FILE CHECKPOINT LOG.jsonl

The log is what `./huzhu audit export --format log` writes. Formats: c2sp.org/signed-note, c2sp.org/tlog-checkpoint,
RFC 6962 (tree), RFC 8785 (canonical JSON), RFC 8032 (Ed25519). Exit code 0 when the log is as it was signed, else 1.
"""
import base64
import hashlib
import json
import sys
from decimal import Decimal

# ---- Ed25519, verification only

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def multiply(point, factor):
    result = (0, 1)
    for bit in bin(factor)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def decode_point(data):
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return (P - x if x % 2 != sign else x), y


BASE = decode_point(bytes.fromhex("58" + "66" * 31))


def signature_holds(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return s < L and multiply(BASE, s) == add(decode_point(signature[:32]), multiply(decode_point(key), h))


# ---- The checkpoint: origin, size, root, last sequence number

def open_checkpoint(note, keys):
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        _, name, signature = line.split(" ")
        signature = base64.b64decode(signature)
        for key in keys:
            key_name, key_hash, encoded = key.split("+", 2)
            raw = base64.b64decode(encoded)
            right_hash = hashlib.sha256(key_name.encode() + b"\n" + raw).digest()[:4]
            if (name, signature[:4], key_hash) == (key_name, right_hash, right_hash.hex()) and raw[0] == 1 \
                    and signature_holds(raw[1:], text.encode(), signature[4:]):
                origin, size, root, sequence = text.splitlines()[:4]
                return origin, int(size), base64.b64decode(root), int(sequence.removeprefix("sequence "))
    raise ValueError("no trusted key has signed this checkpoint")


# ---- Canonical JSON. Numbers come as text, so that no digit is lost

def number(text):
    sign, digits, exponent = Decimal(text).as_tuple()
    digits = "".join(map(str, digits)).lstrip("0")
    if not digits:
        return "0"
    magnitude = len(digits) + exponent
    digits = digits.rstrip("0")
    if 0 < magnitude <= 21:
        body = digits.ljust(magnitude, "0") if len(digits) <= magnitude else digits[:magnitude] + "." + digits[magnitude:]
    elif -6 < magnitude <= 0:
        body = "0." + "0" * -magnitude + digits
    else:
        body = digits[0] + ("." + digits[1:] if digits[1:] else "") + "e" + format(magnitude - 1, "+d")
    return "-" * sign + body


class Number(str):
    pass


def canonical(value):
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(member) for name, member in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    # What json.dumps writes for strings and literals is what RFC 8785 asks for, but for U+007F, which it leaves alone too.
    return number(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


# ---- The tree

def leaf(row):
    sealed = {name: row[name] for name in ("id", "sequence", "stream", "time", "type", "version")}
    sealed["context"], sealed["data"] = sha256(canonical(row["context"])), sha256(canonical(row["data"]))
    return hashlib.sha256(b"\0" + canonical(sealed).encode()).digest()


def root(leaves):
    peaks = []
    for size, node in enumerate(leaves):
        while size & 1:
            node, size = hashlib.sha256(b"\1" + peaks.pop() + node).digest(), size >> 1
        peaks.append(node)
    if not peaks:
        return hashlib.sha256().digest()
    while len(peaks) > 1:
        right = peaks.pop()
        peaks.append(hashlib.sha256(b"\1" + peaks.pop() + right).digest())
    return peaks[0]


def main(key_file, checkpoint_file, log_file):
    with open(key_file, encoding="utf-8") as file:
        keys = file.read().split()
    with open(checkpoint_file, encoding="utf-8", newline="") as file:
        origin, size, signed_root, last = open_checkpoint(file.read(), keys)
    with open(log_file, encoding="utf-8") as file:
        rows = (json.loads(line, parse_int=Number, parse_float=Number) for line in file)
        leaves = [leaf(row) for row in rows if int(row["sequence"]) <= last]
    if len(leaves) != size:
        sys.exit(f"{origin}: {len(leaves)} events up to sequence {last}, and {size} were signed")
    if root(leaves) != signed_root:
        sys.exit(f"{origin}: these are not the {size} events that were signed")
    print(f"{origin}: the log of {size} events up to sequence {last} is as it was signed")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (ValueError, KeyError, TypeError, OSError) as error:
        sys.exit(f"{error}")
