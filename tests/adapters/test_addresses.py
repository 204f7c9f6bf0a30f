"""Which addresses may be reached: a table, odd ways of writing included."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.addresses import address_of, is_public

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.215.14", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"),
    *("126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
    *("191.255.255.255", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e", "2600::", "3ffe:ffff::1"),
]
REFUSED = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104 - nothing is bound to it
    "loopback": ["127.0.0.1", "127.1.2.3", "127.255.255.255", "::1"],
    "private": ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "192.168.255.255"],
    "shared": ["100.64.0.0", "100.127.255.255"],
    "link-local": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1"],
    "unique local": ["fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::"],
    "site-local": ["fec0::1"],
    "protocols": ["192.0.0.1", "192.0.0.170", "2001::1", "2001:1ff::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.9", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "::2", "100::1"],
    "mapped": ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"],
    "compatible": ["::10.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::a00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1"],
    "6to4": ["2002:a00:1::", "2002:7f00:1::1", "2002:808:808::1", "192.88.99.1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
}


@pytest.mark.parametrize("written", PUBLIC)
def test_an_address_of_the_internet_may_be_reached(written: str) -> None:
    assert is_public(address_of(written))


@pytest.mark.parametrize("written", [each for several in REFUSED.values() for each in several])
def test_any_other_may_not(written: str) -> None:
    assert not is_public(address_of(written))


@given(st.ip_addresses())
def test_what_python_knows_to_be_special_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    if special or address.is_reserved or address.is_unspecified:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv6_address_that_carries_an_ipv4_address_is_a_way_around(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    carriers = {
        "mapped": ipaddress.IPv6Address((0xFFFF << 32) | number),
        "compatible": ipaddress.IPv6Address(number),
        "NAT64": ipaddress.IPv6Address((0x64FF9B << 96) | number),
        "6to4": ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        "Teredo": ipaddress.IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    }
    assert [name for name, each in carriers.items() if is_public(each)] == []
