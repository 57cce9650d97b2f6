"""Push and pull against a local stand-in for the hub."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.errors import ArtefactError, InputError
from lab.release.hub import pull, push
from lab.release.versions import publish, verify
from tests.unit.release_case import trained


class Hub(BaseHTTPRequestHandler):
    """The calls that huggingface_hub makes for a model repository of small files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.tokens.add(self.headers.get("authorization"))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.created.append(asked)
            return self.answer({"url": f"{self.server.url}/{asked['organization']}/{asked['name']}"})
        if self.path == "/api/validate-yaml":
            return self.answer({"warnings": [], "errors": []})
        if "/preupload/" in self.path:
            return self.answer(
                {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in json.loads(body)["files"]]}
            )
        if "/commit/" in self.path:
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    self.server.files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            return self.answer({"commitUrl": f"{self.server.url}/me/router/commit/{'a' * 40}", "commitOid": "a" * 40})
        return self.answer({}, 404)

    def do_GET(self):
        if "/revision/" in self.path:
            return self.answer({"id": "me/router", "sha": "a" * 40, "siblings": []})
        if "/tree/" in self.path:
            return self.answer(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in self.server.files.items()
                ]
            )
        if "/resolve/" in self.path:
            data = self.server.files[self.path.split("/resolve/")[1].split("/", 1)[1].split("?")[0]]
            return self.answer(data, 200, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": "a" * 40})
        return self.answer({}, 404)

    do_HEAD = do_GET

    def answer(self, value, status=200, headers=None):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, one in {"Content-Length": str(len(data)), "Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, one)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url, server.files, server.created, server.tokens = f"http://127.0.0.1:{server.server_port}", {}, [], set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def version(tmp_path):
    return publish(tmp_path / "mine", trained(tmp_path), about={"origin": "trained"})


def test_a_pushed_version_comes_back_with_its_id(hub, version, tmp_path):
    done = push(version, "me/router", {"README.md": "# Card\n"}, endpoint=hub.url, token="hf_secret")
    assert done.commit == "a" * 40 and hub.created[0]["visibility"] == "private" and hub.tokens == {"Bearer hf_secret"}
    assert set(hub.files) == {*version.files, "manifest.json", "README.md"}
    back = pull(tmp_path / "theirs", "me/router", endpoint=hub.url, token="hf_secret")
    assert back.id == version.id and verify(back.path) == [] and back.about == version.about


def test_a_foreign_repository_is_imported_with_what_is_unknown(hub, version, tmp_path):
    for name in ("router.safetensors", "meta.json", "label_map.json"):
        hub.files[name] = (version.path / name).read_bytes()
    hub.files |= {"train.py": b"print()", "README.md": b"# theirs"}
    back = pull(tmp_path / "theirs", "me/router", endpoint=hub.url, token=False)
    assert back.id != version.id and back.about["origin"] == "imported" and back.about["pulled_from"] == "me/router"
    assert back.about["files_left_out"] == ["README.md"] and any("corpus snapshot" in one for one in back.about["unknown"])


def test_a_tampered_repository_does_not_pass_for_the_version(hub, version, tmp_path):
    push(version, "me/router", endpoint=hub.url, token="hf_secret")
    hub.files["metrics.json"] = hub.files["metrics.json"].replace(b'"n"', b'"m"')
    back = pull(tmp_path / "theirs", "me/router", endpoint=hub.url, token=False)
    assert back.id != version.id and back.about["origin"] == "imported"


def test_errors_of_the_hub_are_one_sentence_without_the_token(version, tmp_path, hub):
    hub.server_close()
    with pytest.raises(ArtefactError, match="me/router on http://127") as caught:
        push(version, "me/router", endpoint="http://127.0.0.1:9", token="hf_secret")
    assert "hf_secret" not in str(caught.value)
    with pytest.raises(InputError, match="no repository"):
        push(version, "not a name!", endpoint=hub.url)
    with pytest.raises(InputError, match="no record"):
        push(version, "me/router", {"meta.json": "{}"}, endpoint=hub.url)


def test_a_damaged_version_is_not_pushed(hub, version):
    (version.path / "meta.json").chmod(0o644)
    (version.path / "meta.json").write_text("{}")
    with pytest.raises(ArtefactError, match="not pushed"):
        push(version, "me/router", endpoint=hub.url, token="t")
    assert hub.files == {}
