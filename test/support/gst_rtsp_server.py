"""A foreign RTSP server for tests: GStreamer's, on loopback, playing elementary streams in a loop without re-encoding.

The first line of stdin is the configuration (JSON), so that passwords never stand in argv:
  {"mounts": [{"path": "/main", "file": "a.h264", "codec": "h264", "fps": 15, "audio": "pcmu" | null,
               "transport": "any" | "tcp" | "udp"}],
   "user": "...", "password": "...", "auth": "digest" | "basic" | "none"}
Prints one JSON line per event: {"event": "ready", "port": n}, {"event": "connected"}, {"event": "described"}, {"event": "playing"}.
Later lines of stdin are commands: {"command": "switch", "path": "/main", "file": "b.h264"}. Ends when stdin closes.
"""

import json
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def say(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def units(path, codec):
    """Access units of an Annex B file: a new one starts at the first non-slice unit, or first slice, after a slice."""
    data = open(path, "rb").read()
    starts = []
    at = data.find(b"\0\0\1")
    while at != -1:
        starts.append(at)
        at = data.find(b"\0\0\1", at + 3)
    out, current, has_slice = [], b"", False
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(data)
        nal = data[start + 3 : end].rstrip(b"\0") if index + 1 < len(starts) else data[start + 3 :]
        if codec == "h264":
            kind = nal[0] & 0x1F
            vcl, suffix, first = 1 <= kind <= 5, False, nal[1] & 0x80
        else:
            kind = nal[0] >> 1 & 0x3F
            vcl, suffix, first = kind < 32, kind == 40, nal[2] & 0x80
        if has_slice and not suffix and (not vcl or first):
            out.append(current)
            current, has_slice = b"", False
        current += b"\0\0\0\1" + nal
        has_slice = has_slice or vcl
    return out + [current]


class Feed:
    """Pushes the access units of one mount into an appsrc at the pace of the camera."""

    def __init__(self, mount):
        self.fps = mount["fps"]
        self.codec = mount["codec"]
        self.units = units(mount["file"], self.codec)
        self.index = 0

    def switch(self, path):
        self.units, self.index = units(path, self.codec), 0

    def attach(self, media):
        source = media.get_element().get_by_name("video")
        state = {"n": 0, "live": True}
        self.index = 0

        def stop(_media):
            state["live"] = False

        media.connect("unprepared", stop)

        def run():
            begin = time.monotonic()
            while state["live"]:
                wait = begin + state["n"] / self.fps - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                data = self.units[self.index % len(self.units)]
                self.index += 1
                buffer = Gst.Buffer.new_wrapped(data)
                buffer.pts = buffer.dts = state["n"] * Gst.SECOND // self.fps
                buffer.duration = Gst.SECOND // self.fps
                state["n"] += 1
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return

        threading.Thread(target=run, daemon=True).start()


PROTOCOLS = {
    "any": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
}


def factory_for(mount, feed, auth):
    codec = mount["codec"]
    launch = (
        f"appsrc name=video is-live=true format=time block=true max-bytes=4000000 "
        f"caps=video/x-{codec},stream-format=byte-stream,alignment=au,framerate={mount['fps']}/1 "
        f"! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval={mount.get('configInterval', 0)}"
    )
    if mount.get("audio") == "pcmu":
        launch += " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0"
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_shared(True)
    factory.set_protocols(PROTOCOLS[mount.get("transport", "any")])
    factory.connect("media-configure", lambda _factory, media: feed.attach(media))
    if auth:
        role = {"media.factory.access": True, "media.factory.construct": True}
        permissions = GstRtspServer.RTSPPermissions()
        for name, value in role.items():
            permissions.add_permission_for_role("viewer", name, value)
        factory.set_permissions(permissions)
    return factory


def set_auth(server, config):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if config["auth"] == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(config["user"], config["password"]), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(config["user"], config["password"], token)
    server.set_auth(auth)


def watch(_server, client):
    say(event="connected")
    client.connect("describe-request", lambda _client, _context: say(event="described"))
    client.connect("play-request", lambda _client, _context: say(event="playing"))


def main():
    config = json.loads(sys.stdin.readline())
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(config.get("port", 0)))
    auth = config.get("auth", "none") != "none"
    if auth:
        set_auth(server, config)
    feeds = {}
    for mount in config["mounts"]:
        feeds[mount["path"]] = Feed(mount)
        server.get_mount_points().add_factory(mount["path"], factory_for(mount, feeds[mount["path"]], auth))
    server.connect("client-connected", watch)
    loop = GLib.MainLoop()
    if server.attach(None) == 0:
        sys.exit("cannot listen")

    def commands():
        for line in sys.stdin:
            order = json.loads(line)
            if order["command"] == "switch":
                feeds[order["path"]].switch(order["file"])
        loop.quit()

    threading.Thread(target=commands, daemon=True).start()
    say(event="ready", port=server.get_bound_port())
    loop.run()


main()
