"""models.yaml, queries, variables, addresses: what is read, and what is refused before the first call."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess

import pytest

from lab.benchmark.addresses import is_public, pin
from lab.benchmark.client import Asker, CallFailed
from lab.benchmark.endpoints import Endpoint, read_models, simple_models
from lab.benchmark.health import check
from lab.benchmark.plan import Plan, preview
from lab.benchmark.prompts import content
from lab.benchmark.queries import Query, parse_queries
from lab.benchmark.redact import Redactor
from lab.benchmark.rules import Rules
from lab.benchmark.templates import MODELS, QUERIES
from lab.errors import AccessError, InputError

KEY = "sk-abcdefgh12345678"


def one(text, environment=None, rules=None):
    return read_models(text, environment or {}, rules or Rules.own()).endpoints[0]


def test_the_source_systems_models_yaml_is_read_with_its_defaults():
    text = """
models:
  - name: llama-3.2-1b
    endpoint: http://localhost:11434/v1
  - name: custom-llm
    endpoint: https://api.custom.com/v1/
    api_key: ${CUSTOM_API_KEY}
    headers:
      Authorization: "Bearer ${CUSTOM_API_KEY}"
      X-Custom-Header: "value"
    max_tokens: 2048
    temperature: 0.1
"""
    first, second = read_models(text, {"CUSTOM_API_KEY": KEY}, Rules.own()).endpoints
    assert (first.url, first.max_tokens, first.temperature, first.request_headers()) == ("http://localhost:11434/v1", 1024, 0.0, {})
    assert (second.url, second.max_tokens, second.temperature) == ("https://api.custom.com/v1", 2048, 0.1)
    assert second.request_headers() == {"Authorization": f"Bearer {KEY}", "X-Custom-Header": "value"}
    assert KEY not in repr(second)


def test_variables_are_replaced_inside_any_string():
    text = "models: [{name: '${N}', endpoint: 'https://${H:-api.example.com}/v1', headers: {A: 'Bearer ${T} x'}, extra: {user: '${N}'}}]"
    made = one(text, {"N": "m", "T": "t"})
    assert (made.name, made.url, made.headers["A"], made.extra["user"]) == ("m", "https://api.example.com/v1", "Bearer t x", "m")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "m", "api_key": "${MISSING}"}, "the variable MISSING is not set"), ({"name": "m", "api_key": "${not closed"}, "'${' starts no variable"),
        ({}, "'name' is missing"), ({"name": "m", "endpoint": "ftp://x"}, "no http or https address"), ({"name": "m", "endpoint": "https://u:p@x/v1"}, "has a password"),
        ({"name": "m", "endpoint": "https://x/v1?key=1"}, "a query"), ({"name": "m", "max_tokens": 0}, "max_tokens is 0"), ({"name": "m", "temperature": "hot"}, "temperature is 'hot'"),
        ({"name": "m", "headers": "x"}, "'headers' is no mapping"), ({"name": "m", "headers": {"A": "a\nB: b"}}, "characters that HTTP does not allow"),
        ({"name": "m", "stream": "maybe"}, "stream is 'maybe'"), ({"name": "m", "retries": 1.5}, "Use a whole number"), ({"name": "m", "endpoint": "http://x:99999/"}, "no http or https address"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_place(entry, said):
    with pytest.raises(InputError, match=said.replace("$", r"\$").replace("{", r"\{")) as error:
        one(json.dumps({"models": [entry]}))
    assert "models.yaml" in str(error.value)


@pytest.mark.parametrize("text", ["models: [", "models: {}", "[]", "", "models: [1]", "models:\n\t- x", "!!python/object:os.system {}"])
def test_what_is_no_models_yaml_is_a_sentence(text):
    with pytest.raises(InputError):
        read_models(text, {}, Rules.own())


def test_two_models_of_one_name_are_refused_and_unknown_keys_are_told():
    with pytest.raises(InputError, match="names m twice"):
        read_models("models: [{name: m}, {name: m}]", {}, Rules.own())
    assert read_models("models: [{name: m, colour: red}]", {}, Rules.own()).notes == ["models.yaml, model m: not used: colour."]


SHARED = Rules(frozenset({"OPEN"}), frozenset(), "models: [{name: a, endpoint: 'http://10.0.0.5:8000/v1', api_key: '${CLOSED}'}]")


def test_on_a_server_keys_are_variables_and_only_the_allowed_ones():
    with pytest.raises(InputError, match="api_key is written out"):
        one(f"models: [{{name: m, api_key: {KEY}}}]", rules=SHARED)
    with pytest.raises(InputError, match="Authorization is written out"):
        one("models: [{name: m, headers: {Authorization: Bearer abc}}]", rules=SHARED)
    assert one("models: [{name: m, api_key: '${OPEN}'}]", {"OPEN": KEY}, SHARED).api_key == KEY
    with pytest.raises(InputError, match="CLOSED may not be used"):
        one("models: [{name: m, endpoint: 'https://evil.example/v1', api_key: '${CLOSED}'}]", {"CLOSED": KEY}, SHARED)
    with pytest.raises(InputError, match="CLOSED may not be used"):
        one("models: [{name: m, endpoint: 'https://${CLOSED}.evil.example/v1'}]", {"CLOSED": KEY}, SHARED)
    with pytest.raises(InputError, match="CLOSED may not be used"):
        one("models: [{name: m, extra: {user: '${CLOSED}'}}]", {"CLOSED": KEY}, SHARED)
    assert one("models: [{name: b, endpoint: 'http://10.0.0.5:8000/v1', api_key: '${CLOSED}'}]", {"CLOSED": KEY}, SHARED).api_key == KEY


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": "${OPEN}"}, {"temperature": "${OPEN}"}, {"timeout_s": "${OPEN}"}, {"stream": "${OPEN}"}, {"name": "${OPEN}"}, {"endpoint": "${OPEN}"},
        {"colour": "${OPEN}"}, {"model": "${OPEN}"}, {"extra": {"user": "${OPEN}"}}, {"extra": "${OPEN}"}, {"headers": {"X": "${OPEN}"}}, {"endpoint": "https://x/${OPEN}"},
    ],
    ids=str,
)  # fmt: skip
def test_wherever_a_key_is_put_its_value_is_not_shown(fields):
    """By a person who may use a variable of the server but not read it."""
    entry = {"name": "m", "endpoint": "https://x.example/v1", "api_key": "${OPEN}"} | fields
    try:
        models = read_models(json.dumps({"models": [entry]}), {"OPEN": KEY}, SHARED)
        told = json.dumps(preview(Plan(), models, [Query("hi")])) + models.endpoints[0].name + str(models.notes)
    except InputError as error:
        told = str(error)
    assert KEY[:9] not in told


def test_a_key_in_the_name_of_a_host_is_not_shown_when_nobody_has_that_address():
    models = read_models("models: [{name: m, endpoint: 'https://${OPEN}.example/v1'}]", {"OPEN": KEY}, SHARED)

    async def lookup(host, port):
        return []

    async def go():
        async with Asker(SHARED, models.redact, lookup) as asker:
            return await check(asker, models.endpoints)

    found = asyncio.run(go())[0]
    assert (found.cause, KEY in found.message) == ("address", False)


@pytest.mark.parametrize("header", ["Host", "content-length", "Transfer-Encoding", "connection"])
def test_headers_that_frame_a_request_are_the_labs_own(header):
    with pytest.raises(InputError, match="is set by the lab itself"):
        one(json.dumps({"models": [{"name": "m", "headers": {header: "x"}}]}))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
     "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "192.0.0.8", "198.18.0.1", "fe80::1%eth0"],
)  # fmt: skip
def test_private_addresses_in_every_dress(address):
    assert not is_public(address)


def test_public_addresses():
    assert all(is_public(one) for one in ("1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"))


def pinned(url, addresses, rules=SHARED):
    async def lookup(host, port):
        return addresses

    return asyncio.run(pin(url, rules, lookup))


def test_a_name_is_looked_up_once_checked_and_pinned():
    found = pinned("https://api.example.com/v1", ["1.1.1.1"])
    assert (found.url, found.host, found.sni) == ("https://1.1.1.1:443/v1", "api.example.com", "api.example.com")
    assert pinned("http://api.example.com:81/v1", ["2606:4700::1111"]).url == "http://[2606:4700::1111]:81/v1"


@pytest.mark.parametrize(
    ("url", "addresses"),
    [("https://sly.example/v1", ["1.1.1.1", "169.254.169.254"]), ("http://127.0.0.1/v1", []), ("http://[::1]:9/v1", []), ("http://localhost/v1", ["127.0.0.1"]),
     ("http://10.0.0.5:9000/v1", [])],
)  # fmt: skip
def test_a_server_refuses_private_addresses(url, addresses):
    with pytest.raises(AccessError, match="is a private address"):
        pinned(url, addresses)


def test_numbers_that_some_systems_read_as_addresses_go_to_the_name_server_and_are_judged_by_its_answer():
    with pytest.raises(AccessError):
        pinned("http://2130706433/v1", ["127.0.0.1"])
    with pytest.raises(AccessError):
        pinned("http://0x7f.1/v1", ["127.0.0.1"])


def test_private_addresses_are_allowed_by_setting_or_by_the_servers_own_file():
    assert pinned("http://10.0.0.5:8000/v1", []).address == "10.0.0.5"
    assert pinned("http://localhost:11434/v1", ["127.0.0.1"], Rules(frozenset(), frozenset({"localhost:11434"}))).address == "127.0.0.1"
    with pytest.raises(AccessError):
        pinned("http://localhost:22/v1", ["127.0.0.1"], Rules(frozenset(), frozenset({"localhost:11434"})))
    assert pinned("http://127.0.0.1:1/v1", [], Rules.own()).address == "127.0.0.1"


def test_a_name_without_an_address_is_a_sentence():
    with pytest.raises(InputError, match=r"No address is known for nowhere\.example"):
        pinned("https://nowhere.example/v1", [])


def test_the_second_answer_of_a_name_server_cannot_lead_a_run_elsewhere():
    """DNS rebinding: the first answer is public, the second is not."""
    answers = [["1.1.1.1"], ["127.0.0.1"]]

    async def lookup(host, port):
        return answers.pop(0)

    async def go():
        async with Asker(SHARED, Redactor(), lookup) as asker:
            endpoint = Endpoint("m", "http://sly.example:9/v1", "m", timeout_s=0.2)
            for _ in range(2):
                with pytest.raises((CallFailed, AccessError)) as error:
                    await asker.ask(endpoint, "hi", "plain")
                if len(answers) == 1:  # still pinned to the first answer
                    assert isinstance(error.value, CallFailed)
            return error.value

    last = asyncio.run(go())
    assert isinstance(last, AccessError) or len(answers) == 1


def test_settings_of_a_server_are_read_from_the_environment(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("models: [{name: a}]")
    rules = Rules.shared({"ROUTER_LAB_ENDPOINTS": str(path), "ROUTER_LAB_ENDPOINT_VARIABLES": "A, B", "ROUTER_LAB_PRIVATE_ENDPOINTS": "Localhost:1", "ROUTER_LAB_CODE_EVAL": "1"})
    assert (rules.variables, rules.private, rules.code) == (frozenset({"A", "B"}), frozenset({"localhost:1"}), True)
    bare = Rules.shared({})
    assert (bare.variables, bare.private, bare.code, bare.configured) == (frozenset(), frozenset(), False, "")


def test_secrets_are_hidden_in_every_form():
    redact = Redactor(["Bearer sk/secret+value=", "short"])
    assert redact("a sk/secret+value= b sk%2Fsecret%2Bvalue%3D c Bearer sk/secret+value= short") == "a [secret] b [secret] c [secret] short"


def test_queries_are_read_once_a_text_with_what_is_wrong_of_the_others():
    text = "\n".join([
        '{"query": "a", "category": "math", "ground_truth": 4, "lang": "en"}', '{"query": "a", "category": "law"}', '{"query": "a", "category": "math", "ground_truth": 4, "lang": "en"}',
        '{"query": ""}', "broken", '{"query": "b", "metric": 3}', '{"query": "c", "model_name": "m", "response": "r", "performance": 1, "response_time": 2}',
    ])  # fmt: skip
    found = parse_queries(text.encode())
    assert found.rows == [Query("a", "math", 4, extra={"lang": "en"}), Query("c")]
    assert (found.repeated, found.differing, found.without_truth) == (2, 1, 1)
    assert [where for where, _ in found.refused] == ["queries.jsonl:4", "queries.jsonl:5", "queries.jsonl:6"]
    assert [row.query for row in parse_queries(text.encode(), limit=1).rows] == ["a"]
    with pytest.raises(InputError, match="no query that can be asked"):
        parse_queries(b'{"prompt": "x"}')


def test_choices_are_shown_unless_the_query_shows_them():
    shown = content(Query("Capital of France?", choices=["London", "Paris"]))
    assert shown == "Capital of France?\n\nA) London\nB) Paris\n\nGive the letter of your choice."
    already = "Capital?\nA) London\nB) Paris"
    assert content(Query(already, choices="London,Paris")).count("London") == 1
    assert content(Query("Write f", metric="code_eval", choices="['assert f(1)==2']"), concise=True) == "Write f"
    assert content(Query("2+2?", metric="GSM8K"), concise=True).endswith("only the final number or expression.")


def test_a_dry_run_counts_and_bounds_the_cost_and_shows_a_request():
    models = read_models("models: [{name: m, max_tokens: 100, price_input_per_1k_usd: 1, price_output_per_1k_usd: 10}]", {}, Rules.own())
    seen = preview(Plan(), models, [Query("abcd"), Query("xy")])
    assert seen["calls"] == 2
    assert seen["cost_usd_at_most"] == pytest.approx((104 + 102) / 1000 * 1 + 2 * 100 / 1000 * 10)
    assert seen["examples"][0]["request"]["messages"] == [{"role": "user", "content": "abcd"}]
    free = simple_models(["m"], "http://x/v1")
    assert preview(Plan(), free, [Query("a")])["cost_usd_at_most"] is None


def test_extra_fields_are_sent_and_null_removes_one():
    made = one("models: [{name: m, extra: {max_tokens: null, max_completion_tokens: 9, seed: 1}}]")
    assert made.body("hi") == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.0, "max_completion_tokens": 9, "seed": 1}


def test_the_templates_can_be_used():
    models = read_models(MODELS, {"EXAMPLE_API_KEY": KEY, "EXAMPLE_TOKEN": KEY}, Rules(frozenset({"EXAMPLE_API_KEY", "EXAMPLE_TOKEN"}), frozenset()))
    assert [one.name for one in models.endpoints] == ["small", "large"]
    assert models.notes == []
    queries = parse_queries(QUERIES.encode())
    assert (len(queries.rows), queries.refused, queries.without_truth) == (5, [], 0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize(("host", "trusted"), [("api.example.com", True), ("other.example.com", False)])
def test_a_pinned_address_still_shows_its_name_and_must_have_its_certificate(tmp_path, host, trusted):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=DNS:api.example.com"], capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    seen = []

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.decode())
        body = b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async def go():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
        context.sni_callback = lambda sock, name, ctx: seen.append(name)
        served = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = served.sockets[0].getsockname()[1]

        async def lookup(name, at):
            return ["127.0.0.1"]

        async with Asker(Rules.own(), Redactor(), lookup) as asker:
            asker._tls = ssl.create_default_context(cafile=str(tmp_path / "cert"))
            return await asker.ask(Endpoint("m", f"https://{host}:{port}/v1", "m", timeout_s=5), "hi", "plain")

    if trusted:
        assert asyncio.run(go()).text == "hi"
        assert "host: api.example.com:" in seen[1].lower()
    else:
        with pytest.raises(CallFailed, match="connection"):
            asyncio.run(go())
    assert seen[0] == host
