"""An OpenID provider for the tests: it asks nobody anything and says that the visitor is ``claims``."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "router-lab"


class Provider:
    """Serves on a free port of this machine until :meth:`stop`."""

    def __init__(self, **claims) -> None:
        self.claims, self._nonces = claims, {}
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def secrets(self, redirect: str) -> str:
        """What ``.streamlit/secrets.toml`` says of it."""
        return (
            f'[auth]\nredirect_uri = "{redirect}"\ncookie_secret = "only-for-this-test-0123456789abcdef"\nclient_id = "{CLIENT}"\n'
            f'client_secret = "none"\nserver_metadata_url = "{self.address}/.well-known/openid-configuration"\n'
        )

    def _metadata(self) -> dict:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks", "userinfo_endpoint": "userinfo"}
        lists = {"response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
        return {"issuer": self.address} | {name: f"{self.address}/{end}" for name, end in ends.items()} | lists

    def _token(self, code: str) -> dict:
        at = int(time.time())
        said = {"iss": self.address, "aud": CLIENT, "sub": "1", "iat": at, "exp": at + 600, "nonce": self._nonces.pop(code)} | self.claims
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, said, self._key)}

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                path, _, query = self.path.partition("?")
                if path == "/authorize":
                    asked = dict(urllib.parse.parse_qsl(query))
                    code = f"code-{len(provider._nonces)}-{time.monotonic_ns()}"
                    provider._nonces[code] = asked.get("nonce")
                    self.send_response(302)
                    self.send_header("Location", f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}")
                    self.end_headers()
                else:
                    answers = {"/.well-known/openid-configuration": provider._metadata, "/userinfo": lambda: {"sub": "1"} | provider.claims}
                    answers["/jwks"] = lambda: {"keys": [provider._key.as_dict(private=False)]}
                    self._say(answers[path]())

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self._say(provider._token(form["code"]))

            def _say(self, what: dict) -> None:
                body = json.dumps(what).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
