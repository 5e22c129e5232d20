"""A desktop session for tests: an X server without a screen, a message bus of its own, what Debian has to show notices and icons. Its agent is a real one, or
played (person_stand_in.py)."""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from mill import BIN, NOBODY, Failure, user, wait_for

NEEDED = ("Xvfb", "dbus-daemon", "dunst", "dunstctl", "xdotool")
BUSCONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
PICK = """#!/bin/sh
# Dunst asks this which action is meant; a person would choose from the menu.
cat > {folder}/offered
grep -F "$(cat {folder}/wanted)" {folder}/offered | head -n 1
"""


def listens(path):
    """Whether somebody takes connections there: a socket has its name before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        return line.connect_ex(str(path)) == 0


class Desktop:
    """Use as a context."""

    def __init__(self, display=True, bus=True, cookie=False):
        missing = [name for name in NEEDED if not shutil.which(name)]
        if missing:
            raise unittest.SkipTest(f"SKIP: not installed: {' '.join(missing)} (packaging/install-packages test)")
        self.wants = (display, bus, cookie)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-desk-"))
        self.running, self.environment = {}, {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config"),
                                              "LANG": "C.UTF-8", "NO_AT_BRIDGE": "1", "GIO_USE_VFS": "local", "GSETTINGS_BACKEND": "memory"}

    def __enter__(self):
        display, bus, cookie = self.wants
        (self.folder / "config").mkdir()
        (self.folder / "pick").write_text(PICK.format(folder=self.folder))
        (self.folder / "pick").chmod(0o755)
        (self.folder / "bus.conf").write_text(BUSCONF.format(folder=self.folder))
        self.own()
        if bus:
            self.start("bus", "dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork", "--nopidfile")
            wait_for("the bus", lambda: listens(self.folder / "bus"))
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self.folder}/bus"
        if display:
            read, write = os.pipe()
            closed = []
            if cookie:   # nobody without it: one entry, of any machine and any display
                (self.folder / "authority").write_bytes(b"".join(struct.pack(">H", 65535) if part is None else struct.pack(">H", len(part)) + part for part in (None, b"", b"", b"MIT-MAGIC-COOKIE-1", os.urandom(16))))
                self.own()
                closed = ["-auth", self.folder / "authority"]
                self.environment["XAUTHORITY"] = str(self.folder / "authority")
            self.start("x", "Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset", *closed, pass_fds=(write,))
            os.close(write)
            with os.fdopen(read) as number:
                self.environment["DISPLAY"] = ":" + number.readline().strip()
        return self

    def __exit__(self, *_):
        for name in reversed(list(self.running)):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def own(self):
        if os.getuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.lchown(path, NOBODY, NOBODY)

    def start(self, name, *command, environment=None, **more):
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                              env={**self.environment, **(environment or {})}, **user(), **more)
        return self.running[name]

    def end(self, name, number=signal.SIGTERM):
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
                raise Failure(f"{name} did not end:\n{self.log(name)}") from None
        return process.returncode

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def run(self, *command, check=True, timeout=30, environment=None):
        done = subprocess.run([str(word) for word in command], env={**self.environment, **(environment or {})}, capture_output=True, text=True, timeout=timeout, check=False, **user())
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def data(self, name="agent", settings="", mode="attended"):
        folder = self.folder / name
        (folder / "factories/f").mkdir(parents=True)
        (folder / "factories/f/agent.json").write_text(json.dumps({"mode": mode}))
        if settings:
            (folder / "config.yaml").write_text(settings)
        self.own()
        folder.chmod(0o700)
        return folder

    def companion(self, data, *more, name="companion", environment=None):
        self.start(name, BIN / "millwright-companion", "--data", data, *more, environment=environment)
        return wait_for("the companion", lambda: self.running[name].poll() is None and "ready" in self.log(name) and self.running[name] or self._ended(name))

    def _ended(self, name):
        if self.running[name].poll() is not None:
            raise Failure(f"{name} ended with {self.running[name].returncode}:\n{self.log(name)}")
        return None

    # Notices, by the server that Debian has.
    def dunst(self):
        (self.folder / "dunstrc").write_text(f"[global]\n    dmenu = {self.folder}/pick\n    browser = /bin/true\n    markup = full\n    idle_threshold = 0\n    history_length = 50\n"
                                             "    notification_limit = 0\n    mouse_right_click = context\n")
        self.own()
        self.start("dunst", "dunst", "-conf", self.folder / "dunstrc")
        wait_for("dunst", lambda: self.run("dunstctl", "is-paused", check=False).returncode == 0)

    def notices(self):
        """What dunst shows now: it says only how many; its own log of them is its history, so each is looked at by closing none."""
        return int(self.run("dunstctl", "count", "displayed").stdout)

    def browser(self):
        """The person's browser: writes down what it is to open, in FOLDER/opened."""
        (self.folder / "browser").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {self.folder}/opened\n')
        (self.folder / "browser").chmod(0o755)
        applications = self.folder / ".local/share/applications"
        applications.mkdir(parents=True)
        (applications / "test-browser.desktop").write_text(f"[Desktop Entry]\nType=Application\nName=Browser\nExec={self.folder}/browser %u\nMimeType=text/html;x-scheme-handler/http;\n")
        (self.folder / "config/mimeapps.list").write_text("[Default Applications]\ntext/html=test-browser.desktop\n")
        self.own()

    def press(self, label):
        """A person chooses an action of a notice by its label."""
        (self.folder / "wanted").write_text(label)
        self.own()
        self.run("dunstctl", "context")

    def click(self, label):
        """The same with the mouse: on the one notice that is shown, which opens its menu."""
        (self.folder / "wanted").write_text(label)
        self.own()
        window = self.run("xdotool", "search", "--onlyvisible", "--class", "Dunst").stdout.split()[-1]
        self.run("xdotool", "mousemove", "--window", window, "20", "20", "click", "3")

    def keys(self, *symbols):
        """Presses them together, by this process: no program's start stands between the key and its effect. Says when."""
        x11, test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        display = ctypes.c_void_p(x11.XOpenDisplay(self.environment["DISPLAY"].encode()))
        x11.XStringToKeysym.restype = ctypes.c_ulong
        codes = [x11.XKeysymToKeycode(display, ctypes.c_ulong(x11.XStringToKeysym(symbol.encode()))) for symbol in symbols]
        for code in codes[:-1]:
            test.XTestFakeKeyEvent(display, code, 1, 0)
        x11.XSync(display, 0)
        pressed = time.monotonic()
        test.XTestFakeKeyEvent(display, codes[-1], 1, 0)
        x11.XFlush(display)
        for code in reversed(codes):
            test.XTestFakeKeyEvent(display, code, 0, 0)
        x11.XSync(display, 0)
        x11.XCloseDisplay(display)
        return pressed

    @contextlib.contextmanager
    def full_screen(self):
        """A window that a window manager would say to be in front and over the whole screen."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = x11.XCreateSimpleWindow.restype = x11.XInternAtom.restype = ctypes.c_ulong
        before = os.environ.get("XAUTHORITY")
        os.environ["XAUTHORITY"] = self.environment.get("XAUTHORITY", "")
        display = ctypes.c_void_p(x11.XOpenDisplay(self.environment["DISPLAY"].encode()))
        os.environ.pop("XAUTHORITY") if before is None else os.environ.update(XAUTHORITY=before)
        root = ctypes.c_ulong(x11.XDefaultRootWindow(display))
        window = ctypes.c_ulong(x11.XCreateSimpleWindow(display, root, 0, 0, 640, 480, 0, ctypes.c_ulong(0), ctypes.c_ulong(0)))
        atom = lambda name: ctypes.c_ulong(x11.XInternAtom(display, name, 0))

        def say(of, name, kind, value):
            x11.XChangeProperty(display, of, atom(name), atom(kind), 32, 0, ctypes.byref(value), 1)
            x11.XSync(display, 0)

        try:
            say(window, b"_NET_WM_STATE", b"ATOM", atom(b"_NET_WM_STATE_FULLSCREEN"))
            say(root, b"_NET_ACTIVE_WINDOW", b"WINDOW", window)
            yield
            say(root, b"_NET_ACTIVE_WINDOW", b"WINDOW", ctypes.c_ulong(0))
        finally:
            x11.XCloseDisplay(display)

    def call(self, service, path, interface, method, *arguments, signature=None):
        """One D-Bus call, by a process of the session's user."""
        command = ["busctl", "--user", "--json=short", "--", "call", service, path, interface, method]
        if signature:
            command += [signature, *arguments]
        return json.loads(self.run(*command).stdout or "null")

    def property(self, service, path, interface, name):
        done = self.run("busctl", "--user", "--json=short", "get-property", service, path, interface, name, check=False)
        return json.loads(done.stdout)["data"] if done.returncode == 0 else None


def history(desktop):
    """What dunst has shown and closed: [(title, body)], the newest first."""
    said = json.loads(desktop.run("dunstctl", "history").stdout)["data"][0]
    return [(one["summary"]["data"], one["body"]["data"]) for one in said]


def connect_as(number, path):
    """Whether a process of that user gets through to the socket."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(number)
            os.setuid(number)
            with socket.socket(socket.AF_UNIX) as there:
                there.settimeout(5)
                there.connect(str(path))
                there.sendall(b"POST /v1/open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                os._exit(0 if there.recv(100) else 3)
        except PermissionError:
            os._exit(1)
        except OSError:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
