"""Secrets and personal data become marks; code, parts, versions and formulas do not. The values here are made up or built at run time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.curation.masks import PATTERNS, documented, mask

RUN = "aB3dE5gH7jK9mN1pQ3sT5vX7zA2cD4fG6iJ8"  # a run of mixed characters, so that no real-looking token stands in this file
BODY = "\n".join(["MIIB" + RUN * 2] * 3)

SECRETS = {
    "private-key": [
        f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\nAb==\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{RUN * 2}\\nQ==\\n-----END PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\n{BODY}\n-----END RSA PRIVATE KEY-----",
    ],
    "jwt": [f"eyJ{RUN}.eyJ{RUN}.{RUN}", f"eyJ{RUN}.eyJ{RUN}"],
    "openai-key": ["sk-" + RUN, "sk-proj-" + RUN + "_x-Y", "sk-ant-api03-" + RUN, "sk-" + "0123456789abcdef" * 2],
    "stripe-key": ["sk_live_" + RUN, "rk_test_" + RUN],
    "github-token": ["ghp_" + RUN, "ghs_" + RUN, "github_pat_" + RUN],
    "gitlab-token": ["glpat-" + RUN[:20]],
    "aws-key": ["AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE"],
    "google-key": ["AIza" + RUN[:35], "GOCSPX-" + RUN[:28]],
    "slack-token": ["xoxb-" + "123456789012-" + RUN, "xapp-1-" + RUN],
    "huggingface-token": ["hf_" + RUN],
    "package-token": ["npm_" + RUN, "SG." + RUN[:22] + "." + RUN],
    "email": ["jane.doe+lab@example.co.uk", "jérôme@société.fr", "a_b@x-y.io"],
    "iban": ["FR14 2004 1010 0505 0001 3M02 606", "DE89370400440532013000", "gb82west12345698765432", "MT84MALT011000012345MTLCAST001S"],
    "nir": ["1 84 12 76 451 089 46", "255081416802538", "1 84 12 2A 451 089 33"],
    "card": ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005", "6011111111111117"],
    "phone": [
        "06 12 34 56 78",
        "0612345678",
        "01.42.68.53.07",
        "+33 6 12 34 56 78",
        "0033612345678",
        "+44 20 7946 0958",
        "+1 (415) 555-2671",
    ],
    "ipv4": ["192.168.1.57", "10.0.0.4", "93.184.216.34", "172.17.0.1"],
    "ipv6": ["2001:db8::8a2e:370:7334", "fe80::1ff:fe23:4567:890a", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in SECRETS.items() for value in values])
def test_a_value_is_replaced_by_its_mark_and_nothing_else_is(name, value):
    mark = next(pattern.mark for pattern in PATTERNS if pattern.name == name)
    for before, after in (("", ""), ("see ", " please"), ("« ", " »"), ("(", ")"), ("x, ", "."), ("LM2596 and ", "\nnext line")):
        got = mask(f"{before}{value}{after}")
        assert got.text == f"{before}⟨{mark}⟩{after}"
        assert got.found == {name: 1}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://app:t0psecret@db:5432/x", "postgres://app:⟨password⟩@db:5432/x"),
        ("redis://:hunter2@cache:6379", "redis://:⟨password⟩@cache:6379"),
        ("curl -H 'Authorization: Bearer abc.DEF-123456789012'", "curl -H 'Authorization: Bearer ⟨token⟩'"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZDE=", "Authorization: Basic ⟨token⟩"),
        ("password=Tr0ub4dor&3 and more", "password=⟨password⟩ and more"),
        ("mon mot de passe : Soleil2024!", "mon mot de passe : ⟨password⟩!"),
        ("le mdp est 'soleil'.", "le mdp est '⟨password⟩'."),
        ('{"password": "correct-horse"}', '{"password": "⟨password⟩"}'),
        ('"{\\"password\\": \\"correct-horse\\"}"', '"{\\"password\\": \\"⟨password⟩\\"}"'),
        ("POSTGRES_PASSWORD: toto", "POSTGRES_PASSWORD: ⟨password⟩"),
        ("dbPassword := 'abcd'", "dbPassword := '⟨password⟩'"),
        ("API_KEY=9f8a7b6c5d4e3f2a", "API_KEY=⟨secret⟩"),
        ('client_secret: "9f8a7b6c5d4e3f2a"', 'client_secret: "⟨secret⟩"'),
        ("[2001:db8::1]:8080 and 10.1.2.3/24 and http://10.1.2.3:80/", "[⟨ip⟩]:8080 and ⟨ip⟩/24 and http://⟨ip⟩:80/"),
        ("4111 1111 1111 1111 123", "⟨card⟩ 123"),
        ("from 12 4111111111111111", "from 12 ⟨card⟩"),
        ("a@b.fr, c@d.fr; +33612345678", "⟨email⟩, ⟨email⟩; ⟨phone⟩"),
    ],
)
def test_values_inside_addresses_and_assignments(text, masked):
    assert mask(text).text == masked


@pytest.mark.parametrize(
    "text",
    [
        "connect(user=user, password=password)", "password = input('Password: ')", "pwd=os.getenv('PW')", "password: str = ''",
        "password: ${DB_PASSWORD}", "PASSWORD=<your password>", "docker run -v $PWD:/src", "PWD=/home/me", "password is incorrect: why?",
        "token = tokenizer.encode(x1, y2)", "The CSRF token is invalid", "access_key = config['access_key_id_1']", "mot de passe : comment ?",
        "postgres://user:${PASS}@db", "https://example.org:8080/a@b", "sk-learn-a-very-long-class-name", "sk-", "eyJ", "hf_hub_download",
        "-----BEGIN RSA PRIVATE KEY----- in the log, is it bad?", "AKIA", "bearer authentication_mechanism",
        "git@github.com:org/repo.git", "icon@2x.png", "@app.route", "lodash@4.17.21", "python -m pip install a@b",
        "NE555, LM2596 and STM32F103C8T6, RJ45, WS2812", "FR14 2004 1010 0505 0001 3M02 607", "XX89370400440532013000",
        "1 84 12 76 451 089 47", "4111 1111 1111 1112", "1712050331000", "9223372036854775807", "3.14159265358979", "10 9 8 7 6 5 4 3 2 1 0 1 2 3",
        "0123456789", "0101010101", "5.0612345678", "x = 3+1234567890", "rails +3.3 5.0 12.0 24", "0x0612345678", "R1 0603 0805 1206",
        "version 120.0.60.109", "v1.2.3.4", "1.2.3", "IEC 60335 clause 8.1.4.2", "Clause 6.4.3.1", "§ 22.11.3.4", "127.0.0.1", "0.0.0.0:80",
        "255.255.255.0", "300.1.2.3", "1.2.3.4.5", "8.8.8.8", "std::vector<a::b>", "::1", "12:34:56", "aa:bb:cc:dd:ee:ff", "4:1:1", "[00:00:00.412]",
        "08:00 2024-03-01 08:42", "2024-03-01T08:00:00",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_stays(text):
    assert mask(text) == type(mask(text))(text, {})


@given(
    st.lists(
        st.sampled_from([value for values in SECRETS.values() for value in values] + ["⟨", "⟩", "password=", "a:b@", " ", "\n", "x1"]),
        max_size=5,
    )
)
def test_masking_twice_changes_nothing_more(pieces):
    once = mask(" ".join(pieces)).text
    assert mask(once).text == once


@pytest.mark.real
def test_the_shipped_corpus_is_hardly_touched_and_only_where_an_address_or_password_stands(bench):
    """14 of 15 040 synthetic prompts: 10 with IP addresses, 3 with e-mail addresses (one of them a phone number too), 1 with passwords."""
    found = [(row.domain, sorted(got.found)) for row in bench.corpus.rows if (got := mask(row.text)).found]
    assert len(found) == 14
    assert {name for _, names in found for name in names} == {"ipv4", "email", "url-password", "password", "phone"}


def test_every_pattern_is_documented_once_and_every_hint_is_in_small_letters():
    listed = documented()
    assert len({one["name"] for one in listed}) == len(listed) == len(PATTERNS)
    assert all(one["mark"].startswith("⟨") and len(one["meaning"]) > 10 for one in listed)
    assert set(SECRETS) | {"url-password", "bearer", "password", "secret"} == {one["name"] for one in listed}
    assert all(hint == hint.lower() for pattern in PATTERNS for hint in pattern.hints)


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "@", "a@a.", "1.", "a:", "+1 ", "06 ", "sk-aA1", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA", "bearer ",
     "://a:b", "password=", "4111 ", "FR14 ", "\\n", "SG.aaaaaaaaaaaaaaaa"],
)  # fmt: skip
def test_a_megabyte_made_to_be_slow_is_masked_in_seconds(unit):
    """Measured: at most 5 s of one CPU core for any of these; a quadratic pattern would take hours."""
    size = 1_000_000 if unit in ("a", "a@a.", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAA") else 100_000
    text = ("password sk- eyJ private key http:// bearer token akia @ : 1 " + unit * (size // len(unit)))[:size]
    start = time.process_time()
    mask(text)
    assert time.process_time() - start < 5
