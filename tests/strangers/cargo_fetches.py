"""D15: cargo, unchanged, reads a private sparse registry with our credential provider."""

import hashlib
import http.server
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
import threading

JETON, ISSUER = os.environ["JETON"], os.environ["JETON_ISSUER"]
SEEN = []
FILES = {}


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = self.headers["Authorization"]
        SEEN.append((self.path, given))
        body = FILES.get(self.path)
        status = 401 if given is None else 404 if body is None else 200
        body = body if status == 200 else b""
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Cargo login_url="http://127.0.0.1/"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def crate():
    manifest = b'[package]\nname = "thing"\nversion = "1.0.0"\nedition = "2021"\n'
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in {"Cargo.toml": manifest, "src/lib.rs": b""}.items():
            entry = tarfile.TarInfo(f"thing-1.0.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    body = crate()
    FILES["/index/config.json"] = json.dumps({"dl": f"http://{host}/dl", "auth-required": True}).encode()
    line = {"name": "thing", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(body).hexdigest(), "features": {}, "yanked": False}
    FILES["/index/th/in/thing"] = json.dumps(line).encode()
    FILES["/dl/thing/1.0.0/download"] = body
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        config = folder / ".config/jeton/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f'[ambient]\norder = ["issuer:{ISSUER}"]\n[hosts."{host}"]\nprofile = "ambient"\naudience = "http://{host}"\n'
        )
        env = {"HOME": home, "CARGO_HOME": f"{home}/cargo", "PATH": f"{pathlib.Path(JETON).parent}:{os.environ['PATH']}"}
        env |= {name: os.environ[name] for name in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] if name in os.environ}
        env.setdefault("RUSTUP_HOME", str(pathlib.Path(os.environ.get("HOME", "/"), ".rustup")))
        subprocess.run([JETON, "credential-helper", "install", "cargo", "private"], env=env, check=True, timeout=30)
        settings = folder / "cargo/config.toml"
        settings.write_text(settings.read_text() + f'index = "sparse+http://{host}/index/"\n')
        package = folder / "package/src/lib.rs"
        package.parent.mkdir(parents=True)
        package.write_text("")
        (folder / "package/Cargo.toml").write_text(
            '[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n'
            '[dependencies]\nthing = { version = "1", registry = "private" }\n'
        )
        fetch = ["cargo", "fetch", "--quiet"]
        done = subprocess.run(fetch, env=env, cwd=folder / "package", capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
    answered = [given for path, given in SEEN if given is not None]
    assert {path for path, given in SEEN if given} == set(FILES), SEEN
    assert all(given.startswith("Bearer ") and given.count(".") == 2 for given in answered), answered


main()
