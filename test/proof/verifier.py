"""A second verifier, written from docs/evidence.md alone: Python's standard library, and openssl for the signature.

usage: verifier.py KEY NAME.mp4...        prints one verdict per clip
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata

MANIFEST = "application/vnd.bluelight.manifest+json"
CHECKPOINT = "application/vnd.bluelight.checkpoint+json"
SPKI = bytes([0o60, 0o52, 0o60, 0o5, 0o6, 0o3, 0o53, 0o145, 0o160, 0o3, 0o41, 0])
RECORD = {"boot": str, "bytes": int, "clock": str, "decodeTicks": int, "durationTicks": int, "initSha256": str,
          "monoMs": int, "prev": str, "recovered": bool, "run": str, "seq": int, "sha256": str, "startMs": int,
          "stream": str, "v": int}
SEGMENT = {"seq": int, "from": str, "to": str, "offset": int, "bytes": int, "sha256": str, "link": str, "clock": str,
           "recovered": bool, "record": dict}
STATED = {"type": str, "clip": str, "site": str, "box": str, "disk": str, "key": str, "camera": str, "cameraName": str,
          "stream": str, "rendition": str, "asked": dict, "covers": dict, "gaps": list, "file": dict, "init": dict,
          "segments": list, "requester": str, "reason": str, "policyVersion": int, "grant": str, "madeAt": str}
POINT = {"v": int, "site": str, "box": str, "disk": str, "n": int, "prev": str, "at": str, "clock": str, "heads": dict}


class Tampered(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Tampered(what)


def form(value, fields, what):
    need(isinstance(value, dict), what)
    for name, kind in fields.items():
        need(type(value.get(name)) is kind, f"{what}.{name}")


def no_twice(pairs):
    keys = [key for key, _ in pairs]
    need(len(keys) == len(set(keys)), "a key stands twice")
    return dict(pairs)


def read_json(data):
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=no_twice)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Tampered(f"not JSON: {error}") from error


def canonical(value):
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(unicodedata.normalize("NFC", value), ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    need(isinstance(value, dict), "not canonical")
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def link(record):
    return sha256(b"bluelight/seg/v1\n" + canonical(record).encode())


def unbase64(text):
    need(isinstance(text, str), "base64")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Tampered("base64") from error
    need(base64.b64encode(data).decode() == text, "base64")
    return data


def verifies(key, message, signature):
    need(re.fullmatch(r"[A-Za-z0-9_-]{43}", key), "key")
    raw = base64.urlsafe_b64decode(key + "=")
    if len(signature) != 64 or base64.urlsafe_b64encode(raw).decode() != key + "=":
        return False
    with tempfile.TemporaryDirectory() as where:
        paths = [os.path.join(where, name) for name in ("key", "message", "signature")]
        for path, data in zip(paths, (SPKI + raw, message, signature)):
            with open(path, "wb") as file:
                file.write(data)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0], "-rawin",
                   "-in", paths[1], "-sigfile", paths[2]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def open_envelope(envelope, kind, trusted):
    """The value of the payload, the key, and whether that is trusted."""
    form(envelope, {"payloadType": str, "payload": str, "signatures": list}, "envelope")
    need(envelope["payloadType"] == kind, "type of the envelope")
    payload = unbase64(envelope["payload"])
    message = b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(payload)) + payload
    for signature in envelope["signatures"]:
        form(signature, {"keyid": str, "sig": str}, "signature")
    known = [one for one in envelope["signatures"] if one["keyid"] in trusted]
    for one in known or envelope["signatures"]:
        if verifies(one["keyid"], message, unbase64(one["sig"])):
            value = read_json(payload)
            need(canonical(value).encode() == payload, "not canonical")
            return value, one["keyid"], bool(known)
    raise Tampered("signature")


def follow(records):
    for record in records:
        form(record, RECORD, "record")
        need(set(record) == set(RECORD) and record["v"] == 1, "fields of a record")
    for one, following in zip(records, records[1:]):
        need(following["stream"] == one["stream"], "stream")
        need(following["seq"] == one["seq"] + 1, "seq")
        need(following["prev"] == link(one), "prev")


def check_file(manifest, path):
    at = manifest["init"]["bytes"]
    for segment in manifest["segments"]:
        need(segment["offset"] == at, "layout")
        at += segment["bytes"]
    need(at == manifest["file"]["bytes"], "layout")
    with open(path, "rb") as file:
        data = file.read()
    need(len(data) == at and sha256(data) == manifest["file"]["sha256"], "file")
    need(sha256(data[: manifest["init"]["bytes"]]) == manifest["init"]["sha256"], "init")
    for segment in manifest["segments"]:
        body = data[segment["offset"] : segment["offset"] + segment["bytes"]]
        need(sha256(body) == segment["sha256"], f"segment {segment['seq']}")


def check_records(manifest, stream):
    for segment in manifest["segments"]:
        record = segment["record"]
        need(link(record) == segment["link"] and record["stream"] == stream, "record")
        need(record["initSha256"] == manifest["init"]["sha256"], "record")
        for name in ("seq", "bytes", "sha256", "clock", "recovered"):
            need(record[name] == segment[name], f"record: {name}")
    follow([segment["record"] for segment in manifest["segments"]])


def check_anchors(manifest, anchors, stream, trusted):
    """Whether a checkpoint vouches for the chain, and whether all keys are trusted."""
    known, anchored = True, False
    if not manifest["segments"]:
        return anchored, known
    last = manifest["segments"][-1]["record"]
    links = {last["seq"]: link(last)}
    for anchor in anchors:
        form(anchor, {"records": list, "checkpoint": dict}, "anchor")
        need(len(anchor) == 2 and len(anchor["records"]) <= 90, "anchor")
        follow([last, *anchor["records"]])
        links.update({record["seq"]: link(record) for record in anchor["records"]})
    for anchor in anchors:
        point, _, is_known = open_envelope(anchor["checkpoint"], CHECKPOINT, trusted)
        form(point, POINT, "checkpoint")
        need(set(point) == {*POINT, "audit"} and point["v"] == 1, "fields of a checkpoint")
        known = known and is_known
        head = point["heads"].get(stream)
        if point["disk"] == manifest["disk"] and head is not None and head["seq"] in links:
            need(head["link"] == links[head["seq"]], "the published head is another one")
            anchored = True
    return anchored, known


def verify(path, trusted):
    beside = path.removesuffix(".mp4")
    with open(beside + ".manifest.json", "rb") as file:
        manifest, key, known = open_envelope(read_json(file.read()), MANIFEST, trusted)
    form(manifest, STATED, "manifest")
    need(manifest["type"] == "bluelight/manifest/v1" and manifest["key"] == key, "manifest")
    form(manifest["file"], {"name": str, "bytes": int, "sha256": str}, "file")
    form(manifest["init"], {"bytes": int, "sha256": str}, "init")
    for segment in manifest["segments"]:
        form(segment, SEGMENT, "segment")
        form(segment["record"], RECORD, "record")
    check_file(manifest, path)
    stream = f"{manifest['camera']}.{manifest['stream']}"
    check_records(manifest, stream)
    anchors = [manifest["anchor"]] if "anchor" in manifest else []
    if os.path.exists(beside + ".anchor.json"):
        with open(beside + ".anchor.json", "rb") as file:
            anchors.append(read_json(file.read()))
    anchored, all_known = check_anchors(manifest, anchors, stream, trusted)
    if not (known and all_known):
        return "cannot_tell"
    return "authentic" if anchored else "authentic_completeness_not_proven"


def main(key, paths):
    for path in paths:
        try:
            print(verify(path, [key]))
        except Tampered as why:
            print(f"tampered: {why}")


main(sys.argv[1], sys.argv[2:])
