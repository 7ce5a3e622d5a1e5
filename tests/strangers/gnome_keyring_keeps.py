"""C10, C12, C16: `store = "keyring"` with GNOME's keyring behind it: the refresh token is there and in no file, also after
a rotation; a locked keyring, and a machine without one, are said; logging out leaves nothing in it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
NEEDED = ["gnome-keyring-daemon", "secret-tool", "dbus-run-session", "dbus-send"]
LOGIN = "/org/freedesktop/secrets/collection/login"
CONFIG = f"""
[profiles.cloud]
grant = "device"
issuer = "{ISSUER}"
client_id = "mycli"
scopes = ["openid", "offline_access"]
store = "keyring"

[profiles.stack]
grant = "refresh"
from = "cloud"
resource = "stack://acme/prod"

[profiles.machine]
grant = "client-credentials"
issuer = "{ISSUER}"
client_id = "machine"
client_secret = "keyring:mycli/ada"
"""


def issuer(method, path, form=None):
    body = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(ISSUER + path, data=body, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read()) if method == "GET" else None


def sent(route):
    return issuer("GET", f"/_requests?route={route}")["requests"]


class Home:
    def __init__(self, folder):
        self.folder = folder
        (folder / "jeton").mkdir()
        (folder / "jeton/config.toml").write_text(CONFIG)
        self.env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PATH": os.environ["PATH"],
                    "XDG_DATA_HOME": str(folder / "data"), "XDG_RUNTIME_DIR": str(folder / "run")}
        (folder / "run").mkdir(mode=0o700)
        self.bus = {"DBUS_SESSION_BUS_ADDRESS": os.environ["DBUS_SESSION_BUS_ADDRESS"]}

    def run(self, *words, code=0, bus=True, stdin="", program=JETON):
        env = self.env | (self.bus if bus else {})
        done = subprocess.run([program, *words], env=env, input=stdin, capture_output=True, text=True, timeout=30)
        assert done.returncode == code, (words, done)
        return done

    def unlock(self):
        self.run("--replace", "--daemonize", "--components=secrets", "--unlock", stdin="correct horse",
                 program="gnome-keyring-daemon")

    def login(self):
        words = [JETON, "login", "cloud", "--device"]
        login = subprocess.Popen(words, env=self.env | self.bus, stderr=subprocess.PIPE, text=True)
        end = threading.Timer(30, login.kill)
        end.start()
        said = ""
        for line in login.stderr:
            said += line
            if code := re.fullmatch(r"\s*([A-Z0-9]{4}-[A-Z0-9]{4})\s*", line):
                issuer("POST", "/device/approve", {"user_code": code[1], "subject": "ada"})
        assert login.wait() == 0, said
        end.cancel()

    def holds(self, text):
        return [f for f in self.folder.rglob("*") if f.is_file() and text.encode() in f.read_bytes()]

    def kept(self):
        words = ["search", "--all", "application", "jeton"]
        env = self.env | self.bus
        done = subprocess.run(["secret-tool", *words], env=env, capture_output=True, text=True, timeout=10)
        return re.findall(r"^secret = (.*)$", done.stdout, re.M)

    def cloud(self, **how):
        status = json.loads(self.run("status", "--json", **how).stdout)
        return next(profile for profile in status if profile["profile"] == "cloud")


def inside(folder):
    home = Home(folder)
    home.unlock()
    home.login()
    first, = home.kept()
    for _ in range(2):
        home.run("token", "stack", "--refresh")
    refreshes = [urllib.parse.parse_qs(r["body"]) for r in sent("token") if "grant_type=refresh" in r["body"]]
    assert refreshes[-2]["refresh_token"] == [first], refreshes
    last, = home.kept()
    used = [r["refresh_token"][0] for r in refreshes]
    assert last not in used, "what was rotated is in the keyring"
    for token in [*used, last]:
        assert not home.holds(token), home.holds(token)
    cloud = home.cloud()
    assert (cloud["store"], cloud["logged_in"], cloud["subject"]) == ("keyring", True, "ada"), cloud
    # Nothing asks the keyring while a token is good.
    assert home.cloud(bus=False) == cloud
    home.run("token", "stack", bus=False)
    asked = len(sent("token"))
    gone = home.run("token", "stack", "--refresh", code=2, bus=False)
    assert "session bus" in gone.stderr and "dbus-run-session" in gone.stderr, gone.stderr
    home.run("--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
             "org.freedesktop.Secret.Service.Lock", f"array:objpath:{LOGIN}", program="dbus-send")
    shut = home.run("token", "stack", "--refresh", code=4)
    assert "keyring is locked" in shut.stderr, shut.stderr
    shut = home.run("logout", "cloud", code=4)
    assert home.cloud()["logged_in"], "what is still there is still said"
    assert len(sent("token")) == asked and not sent("revoke"), "nothing was sent"
    home.run("login", "cloud", "--device", code=2, bus=False)
    assert len(sent("device-authorization")) == 1, "nobody is asked to confirm what cannot be kept"
    home.unlock()
    home.run("token", "stack", "--refresh")
    # Secrets by name.
    absent = home.run("token", "machine", code=2)
    assert "secret-tool store" in absent.stderr, absent.stderr
    home.run("store", "--label=mycli", "service", "mycli", "username", "ada", stdin="s3cr3t", program="secret-tool")
    home.run("token", "machine")
    last, = home.kept()
    home.run("logout", "cloud")
    assert home.kept() == []
    assert f"token={last}" in sent("revoke")[0]["body"]
    home.run("token", "stack", code=4)
    assert home.cloud()["store"] is None


def main():
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        print("skipped:", *missing)
        return
    issuer("DELETE", "/_requests")
    subprocess.run(["dbus-run-session", "--", sys.executable, __file__, "inside"], check=True, timeout=50)


if sys.argv[1:] == ["inside"]:
    with tempfile.TemporaryDirectory() as place:
        inside(pathlib.Path(place))
else:
    main()
