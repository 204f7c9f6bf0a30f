"""Which addresses anybody on the internet may be reached at: nothing of ours is ever sent anywhere else.

A table of what is not, from IANA's registries of special-purpose addresses, and not only what Python's `ipaddress`
says, which differs between its versions; an address has to pass both.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_NOT_PUBLIC = [
    ip_network(each)
    for each in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    )
]
# Of IPv6 one block is given out at all. What carries an IPv4 address within it (mapped, NAT64, 6to4, Teredo) would be
# a way around the table above, and has no place here: a host that is public has an address of its own.
_GIVEN_OUT = ip_network("2000::/3")
_NOT_PUBLIC_6 = [
    ip_network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48")
]

_THIS_MACHINE, _THIS_MACHINE_6 = ip_network("127.0.0.0/8"), ip_network("::1/128")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet at large: not private, local, shared, reserved or for many."""
    if isinstance(address, IPv4Address):
        refused = any(address in network for network in _NOT_PUBLIC)
    else:
        refused = address not in _GIVEN_OUT or any(address in network for network in _NOT_PUBLIC_6)
    return not refused and address.is_global and not address.is_multicast and not address.is_reserved


def is_this_machine(address: Address) -> bool:
    """Whether an address is this machine's own, written as such and not within another."""
    return address in (_THIS_MACHINE if address.version == 4 else _THIS_MACHINE_6)


def address_of(written: str) -> Address:
    """Read an address as the resolver writes it; the zone of a link is left out, which no public address has."""
    return ip_address(written.partition("%")[0])
