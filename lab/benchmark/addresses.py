"""Which address a name stands for, checked once and then pinned: no request reaches an address that nobody has allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.benchmark.endpoints import parse, plain_url
from lab.benchmark.rules import Rules
from lab.errors import AccessError, InputError

Lookup = Callable[[str, int], Awaitable[list[str]]]
PROTOCOL = ipaddress.ip_network("192.0.0.0/24")
"""For protocols; some versions of Python call parts of it global."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Pinned:
    """``url`` has the address in place of the name; ``host`` is the Host header; ``sni`` the name a certificate must carry, empty for http."""

    url: str
    host: str
    sni: str
    address: str


async def system_lookup(host: str, port: int) -> list[str]:
    """Every address of ``host``."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(one[4][0] for one in found))


async def pin(url: str, rules: Rules, lookup: Lookup = system_lookup) -> Pinned:
    """AccessError if any address of the name is not public and the rules do not allow it; InputError if it has none.

    The name is looked up here and nowhere else, so that a second answer of the name server cannot lead elsewhere.
    """
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = [str(ipaddress.ip_address(host))]
    except ValueError:
        try:
            addresses = await lookup(host, port)
        except (OSError, UnicodeError):
            addresses = []
    if not addresses:
        raise InputError(f"No address is known for {host}.", "Check the endpoint's name and the network.")
    refused = [one for one in addresses if not is_public(one)]
    if refused and not allowed(host, port, rules):
        raise AccessError(
            f"{host} is a private address ({refused[0]}).",
            f"Whoever runs the server can allow it: ROUTER_LAB_PRIVATE_ENDPOINTS={host}:{port}, or the endpoint in ROUTER_LAB_ENDPOINTS.",
        )
    first = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return Pinned(f"{parts.scheme}://{first}:{port}{parts.path}", parts.netloc, host if parts.scheme == "https" else "", addresses[0])


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet; an IPv4 address inside an IPv6 one is judged itself."""
    one = ipaddress.ip_address(address.split("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inside = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if one in NAT64:
            inside = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
    return one.is_global and one not in PROTOCOL and not (one.is_multicast or one.is_reserved or one.is_unspecified or one.is_link_local)


def allowed(host: str, port: int, rules: Rules) -> bool:
    """Whether this host may be private."""
    names = {host.lower(), f"{host.lower()}:{port}"}
    if "*" in rules.private or names & rules.private:
        return True
    for entry in parse(rules.configured, "ROUTER_LAB_ENDPOINTS") if rules.configured else []:
        parts = urlsplit(plain_url(entry))
        if parts.hostname == host.lower() and (parts.port or (443 if parts.scheme == "https" else 80)) == port:
            return True
    return False
