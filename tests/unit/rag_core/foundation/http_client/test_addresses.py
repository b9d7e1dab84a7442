"""Which addresses are reachable, in all their spellings."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.http_client import AddressRules, Fetcher, FetchPolicy
from tests.unit.rag_core.foundation.http_client.conftest import ANY_PORT, Open

FORBIDDEN = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0",  # noqa: S104
    "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.1.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1",
    "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:808:808:0:0:80ff:fffe",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2a00:1450::5efe:7f00:1",
    "::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "::ffff:0:8.8.8.8", "1::7f00:1", "4000::1", "::1:7f00:1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.catalogue("S20")
@pytest.mark.parametrize("text", FORBIDDEN)
def test_an_address_that_is_not_public_is_forbidden_in_every_notation(text: str) -> None:
    assert AddressRules().problem(ip_address(text)) is not None


@pytest.mark.catalogue("S20")
@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert AddressRules().problem(ip_address(text)) is None


@pytest.mark.parametrize(
    ("networks", "text", "allowed"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", True),
        (["10.0.0.0/8"], "192.168.0.1", False),
        (["127.0.0.0/8", "::1/128"], "::1", True),
        (["127.0.0.0/8"], "::1", False),
        (["fd00::/8"], "fd00:1::1", True),
        (["fd00::/8"], "fd00:ec2::254", False),
        (["0.0.0.0/0"], "169.254.169.254", False),
        (["169.254.0.0/16"], "169.254.169.254", False),
        (["169.254.169.254/32"], "169.254.169.254", True),
        (["0.0.0.0/0"], "224.0.0.1", False),
        (["0.0.0.0/0"], "0.0.0.0", False),  # noqa: S104
        (["::/0"], "::ffff:127.0.0.1", False),
    ],
)
def test_an_allowed_network_opens_itself_and_nothing_else(networks: list[str], text: str, allowed: bool) -> None:
    assert (AddressRules.parse(networks).problem(ip_address(text)) is None) is allowed


SPELLINGS = [
    "http://127.0.0.1/", "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://017700000001/",
    "http://[::1]/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:7f00:1]/", "http://0.0.0.0/", "http://0/",
    "http://localhost/", "http://localhost./", "http://LOCALHOST:8080/", "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1%25eth0]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[::ffff:0:127.0.0.1]/", "http://[2002:7f00:1::]/",
]  # fmt: skip


@pytest.mark.catalogue("B59")
@pytest.mark.parametrize("url", SPELLINGS)
def test_every_spelling_of_a_private_address_is_blocked_at_connect(open_fetcher: Open, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_fetcher(policy=FetchPolicy()).get(url)
    assert caught.value.reason in {Reason.SSRF_BLOCKED, Reason.URL_INVALID}


@pytest.mark.catalogue("B59", "B63")
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", Reason.URL_SCHEME),
        ("gopher://example.org/", Reason.URL_SCHEME),
        ("data:text/plain,x", Reason.URL_SCHEME),
        ("//example.org/", Reason.URL_SCHEME),
        ("http://user:hunter2@example.org/", Reason.URL_INVALID),
        ("http:///path", Reason.URL_INVALID),
        ("http://exa mple.org/", Reason.URL_INVALID),
        ("http://example.org:99999/", Reason.URL_PORT),
        ("http://example.org/" + "x" * 10_000, Reason.URL_INVALID),
        ("http://example.org:22/", Reason.URL_PORT),
        ("https://example.org:6379/", Reason.URL_PORT),
    ],
)
def test_other_schemes_ports_and_user_names_are_refused_before_any_connection(
    open_fetcher: Open, url: str, reason: Reason
) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError("resolved")

    with pytest.raises(InvalidInput) as caught:
        open_fetcher(policy=FetchPolicy(), resolver=never).get(url)
    assert caught.value.reason is reason
    assert "hunter2" not in caught.value.message


@pytest.mark.catalogue("B63")
@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://EXAMPLE.org./a#b", "http://example.org/a"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("http://example.org:80/", "http://example.org/"),
        ("http://[2606:4700::1111]/x", "http://[2606:4700::1111]/x"),
    ],
)
def test_hosts_are_normalised_before_they_are_judged(url: str, normal: str) -> None:
    assert str(FetchPolicy().check_url(url)) == normal


@pytest.mark.catalogue("S20")
def test_a_name_with_one_private_address_among_public_ones_is_blocked(open_fetcher: Open) -> None:
    fetcher = open_fetcher(
        policy=FetchPolicy(ports=ANY_PORT), resolver=lambda host, port: ["93.184.216.34", "10.0.0.7"]
    )
    with pytest.raises(Unavailable) as caught:
        fetcher.get("http://rebind.example/")
    assert caught.value.reason is Reason.HOST_UNREACHABLE
    assert "10.0.0.7" not in caught.value.message


def test_the_settings_state_networks_and_ports() -> None:
    from rag_core.errors import ConfigError
    from rag_core.settings import Settings

    settings = Settings.load(fetch_allow_networks="10.0.0.0/8, fd00::/8", fetch_ports="443,9000-9010")
    policy = FetchPolicy.from_settings(settings)
    assert policy.addresses.problem(ip_address("10.0.0.1")) is None
    assert str(policy.check_url("https://a.example:9005/")) == "https://a.example:9005/"
    for wrong in ({"fetch_allow_networks": "10.0.0.1/8"}, {"fetch_ports": "all"}, {"fetch_allow_networks": "intranet"}):
        with pytest.raises(ConfigError):
            Settings.load(**wrong)


def test_a_fetcher_closes_twice_without_harm() -> None:
    with Fetcher(FetchPolicy()) as fetcher:
        fetcher.close()
