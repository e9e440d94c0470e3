"""Which addresses of the web may be asked: a table from a stranger must not reach the networks of its reader.

An address such as `http://169.254.169.254/` or `http://router/` is answered by machines that trust all
their neighbours. So only public addresses are asked, by their checked number, and a name is not looked up a
second time.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from regraft.errors import ImageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_PLAIN = "%/:=&?~+!$,;'@()*[]-._"
_LONGEST = 4096
_EMBEDDING = {
    ipaddress.IPv6Network("64:ff9b::/96"): 0,  # NAT64 (RFC 6052)
    ipaddress.IPv6Network("2002::/16"): 80,  # 6to4 (RFC 3056)
    ipaddress.IPv6Network("::/96"): 0,  # IPv4-compatible (RFC 4291)
    ipaddress.IPv6Network("::ffff:0:0:0/96"): 0,  # translated (RFC 2765)
}
"""Networks whose addresses hold one of IPv4, and the number of bits after it."""
_NEVER = (
    ipaddress.IPv6Network("2001::/23"),  # assignments of the IETF, among them Teredo
    ipaddress.IPv6Network("3fff::/20"),  # for documents (RFC 9637)
    ipaddress.IPv4Network("192.0.0.0/24"),  # assignments of the IETF
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a network's own (RFC 8215)
    ipaddress.IPv6Network("fec0::/10"),  # once site-local
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.IPv4Network("100.64.0.0/10"),  # shared by providers (RFC 6598)
)


@dataclass(frozen=True)
class Target:
    """What an address asks, and of whom."""

    scheme: str
    host: str
    port: int
    path: str
    """The path and the query, as they are sent."""
    number: str
    """The number of the machine that is asked, which was checked."""

    @property
    def name(self) -> str:
        """The machine as a request names it: with its port, unless that is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(address: str, resolve: Resolver | None = None) -> Target:
    """The machine that an address names, looked up once and checked.

    Args:
        address: an address that begins with http or https.
        resolve: looks up the numbers of a name and port; the system's by default.

    Raises:
        ImageError: the address is not public, or not one; the message is the reason.

    >>> target_of("http://127.1/cat.jpg")
    Traceback (most recent call last):
    regraft.errors.ImageError: the address names the machine 127.1 in an unusual way; write a.b.c.d or a name
    """
    if len(address) > _LONGEST or _FORBIDDEN.search(address):
        raise ImageError("the address holds blanks or backslashes, or is too long")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise ImageError(f"no web address: {error}") from error
    if parts.scheme not in _PORTS:
        raise ImageError(f"the address begins with {parts.scheme or 'nothing'}; http and https are fetched")
    if "@" in parts.netloc:
        raise ImageError("the address holds a user's name or password")
    host = (parts.hostname or "").rstrip(".")
    port = port if port is not None else _PORTS[parts.scheme]
    numbers = [host] if _is_number(host) else _resolved(host, port, resolve or _system)
    for number in numbers:
        if not is_public(number):
            raise ImageError(f"the address leads into a private or reserved network ({host})")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, quote(path, safe=_PLAIN), numbers[0])


def _is_number(host: str) -> bool:
    """Whether a host is written as a number.

    Raises:
        ImageError: it is a number in a way that libraries read differently, or no host.
    """
    if ":" in host:
        try:
            ipaddress.IPv6Address(host.partition("%")[0] if "%25" in host else host)
        except ValueError as error:
            raise ImageError(f"no web address: {error}") from error
        if "%" in host:
            raise ImageError("the address leads into a private or reserved network (it names an interface)")
        return True
    if not _HOST.fullmatch(host):
        raise ImageError(f"the address names no machine ({host or 'nothing'})")
    last = host.rsplit(".", 1)[-1]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise ImageError(
                f"the address names the machine {host} in an unusual way; write a.b.c.d or a name"
            ) from error
        return True
    return False


def _resolved(host: str, port: int, resolve: Resolver) -> Sequence[str]:
    try:
        numbers = resolve(host, port)
    except OSError as error:
        raise ImageError(f"the machine {host} is not known ({error.strerror or error})") from error
    if not numbers:
        raise ImageError(f"the machine {host} is not known")
    return numbers


def _system(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_public(number: str) -> bool:
    """Whether a machine's number belongs to the public Internet, also where it holds another number.

    >>> [is_public(one) for one in ("93.184.216.34", "10.0.0.1", "::1", "64:ff9b::7f00:1", "2606:4700::1")]
    [True, False, False, False, True]
    """
    try:
        address: Address = ipaddress.ip_address(number)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        for network, bits in _EMBEDDING.items():
            if address in network:
                inner = ipaddress.IPv4Address((int(address) >> bits) & 0xFFFFFFFF)
                return is_public(str(inner)) and network.network_address != ipaddress.IPv6Address("::")
    if any(address.version == network.version and address in network for network in _NEVER):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
