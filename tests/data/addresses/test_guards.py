"""Addresses that lead anywhere but to the public Internet are refused before anything is asked."""

from __future__ import annotations

import pytest

from regraft.data.addresses.guards import is_public, target_of
from regraft.errors import ImageError

_PRIVATE_LISTED = """
    127.0.0.1 127.1.2.3 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
    169.254.169.254 169.254.0.1 100.64.0.1 100.127.255.254 192.0.0.8 192.0.2.1 198.18.0.1 198.51.100.7
    203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255 192.88.99.1
    ::1 :: fe80::1 fec0::1 fc00::1 fd00::1 ff02::1 2001:db8::1 100::1 2001::7f00:1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1 ::7f00:1 ::10.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:c0a8:1::1
    ::ffff:0:127.0.0.1
"""
PRIVATE = _PRIVATE_LISTED.split()
STRANGE = (
    "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/",
    "http://0177.0.0.1/", "http://127.0.0.01/", "http://1.2.3/", "http://0/", "http://0x/", "http://1.2.3.4.5/",
    "http://user@93.184.216.34/", "http://user:word@93.184.216.34/", "http://93.184.216.34@127.0.0.1/",
    "http://93.184.216.34\\@127.0.0.1/", "http://93.184.216.34\\.127.0.0.1/", "http://93.184.216.34 /",
    "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/", "http://exämple.org/", "http://[::1%25eth0]/",
    "http://[fe80::1%eth0]/", "http://[::1/", "http:///etc/passwd", "http://", "http://:80/", "http://a..b/",
    "http://-a.org/", "http://a_.org:99999/", "http://a.org:x/", "http://a%00.org/",
    "http://a.org/\r\nHost: b",
    "http://a.org/\x00", "http://" + "a" * 5000 + ".org/", "file:///etc/passwd", "ftp://93.184.216.34/",
    "gopher://93.184.216.34/", "data:image/png;base64,iVBORw0KGgo=", "dict://93.184.216.34/",
    "jar:http://a.org!/",
    "//93.184.216.34/", "javascript:alert(1)", "HTTP+UNIX://socket/", "s3://bucket/1.jpg",
)  # fmt: skip


def _never(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


@pytest.mark.parametrize("number", PRIVATE)
def test_numbers_of_private_networks_are_not_asked(number: str) -> None:
    host = f"[{number}]" if ":" in number else number
    assert not is_public(number)
    with pytest.raises(ImageError, match=r"private or reserved network|unusual way"):
        target_of(f"http://{host}/cat.jpg", _never)


@pytest.mark.parametrize("number", PRIVATE)
def test_names_that_stand_for_private_networks_are_not_asked(number: str) -> None:
    with pytest.raises(ImageError, match="private or reserved network"):
        target_of("https://cats.example.org/1.jpg", lambda _host, _port: [number])


@pytest.mark.parametrize("address", STRANGE)
def test_strange_addresses_are_refused(address: str) -> None:
    with pytest.raises(ImageError):
        target_of(address, _never)


def test_there_are_at_least_seventy_vectors() -> None:
    assert len({*PRIVATE, *STRANGE}) >= 70


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST", "cats.example.org."])
def test_a_name_is_looked_up_and_all_its_numbers_are_checked(host: str) -> None:
    with pytest.raises(ImageError, match="private or reserved network"):
        target_of(f"http://{host}/", lambda _host, _port: ["93.184.216.34", "127.0.0.1"])


def test_a_name_that_nobody_knows_is_said() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(ImageError, match=r"nowhere\.example is not known \(Name or service not known\)"):
        target_of("http://nowhere.example/", unknown)


@pytest.mark.parametrize(
    ("address", "port", "path"),
    [
        ("http://93.184.216.34", 80, "/"),
        ("https://93.184.216.34:8443/a b.jpg".replace(" ", "%20"), 8443, "/a%20b.jpg"),
        ("https://93.184.216.34/Käse.jpg?w=2#top", 443, "/K%C3%A4se.jpg?w=2"),
    ],
)
def test_public_addresses_are_asked_by_their_number(address: str, port: int, path: str) -> None:
    target = target_of(address, _never)
    assert (target.number, target.port, target.path) == ("93.184.216.34", port, path)
