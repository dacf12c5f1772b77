"""Addresses outside the cluster -> the narrowest honest blocks.

A fixed address seen alone stays one /32. A DNS name behind several addresses has others
tomorrow, so listing today's would break: it gets one block, wide enough to hold, with the
private ranges excepted, and marked as wide, because plain NetworkPolicy has nothing better.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from recommender.policy.model import IPBlock, address, network

_PRIVATE_V4: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
_PRIVATE_V6: Final = ("::1/128", "fc00::/7", "fe80::/10")
_LADDER_V4: Final = (24, 16)
_LADDER_V6: Final = (64, 48, 32)
_MOST_PRIVATE: Final = 16
"""Private addresses are listed one by one up to this many: a wide private block would hold pods and nodes."""

ALTERNATIVES: Final = (
    "a policy by name where the CNI has one (CiliumNetworkPolicy toFQDNs, Calico Enterprise domains, "
    "Antrea fqdn), the provider's published ranges, or an egress gateway"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of addresses in a rule, and what it stands for.

    ``addresses`` are those seen, ``names`` the DNS names they were looked up by, ``role``
    what they are where that is known. ``wide`` marks a block that holds more than was seen.
    """

    block: IPBlock
    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()
    role: str = ""
    wide: bool = False

    @property
    def title(self) -> str:
        """What the YAML says beside the rule: from content, never counts or times."""
        named = ", ".join(self.names[:3]) + (" and others" if len(self.names) > 3 else "")
        if self.role:
            return self.role
        if self.wide:
            behind = f"{named} behind many addresses" if named else "many addresses outside"
            return f"{behind} (a wide block)"
        return named or self.block.cidr


def blocks(seen: Mapping[str, frozenset[str]], many: int, keep_out: Iterable[str] = ()) -> tuple[Block, ...]:
    """Blocks for addresses seen on one port, each with the DNS names it was looked up by.

    Args:
        seen: address -> names.
        many: from how many nameless addresses on they are taken for one moving thing.
        keep_out: the cluster's own networks, excepted from wide blocks as the private ranges are.
    """
    parts: list[Block] = []
    for addresses in _together(seen):
        names = tuple(sorted({name for ip in addresses for name in seen[ip]}))
        found = [ipaddress.ip_address(ip) for ip in addresses]
        for version in (4, 6):
            family = sorted(ip for ip in found if ip.version == version)
            public = [ip for ip in family if not _is_private(ip)]
            private = [ip for ip in family if _is_private(ip)]
            if len(public) >= (2 if names else many):
                parts.append(_wide(public, names, keep_out))
            else:
                private += public
            if len(private) > _MOST_PRIVATE:
                parts += [
                    Block(cover, tuple(str(ip) for ip in inside), names, wide=not cover.single)
                    for cover, inside in _by_subnet(private)
                ]
            else:
                parts += [Block(IPBlock.of(str(ip)), (str(ip),), names) for ip in private]
    return merged(_absorbed(parts))


def _absorbed(parts: list[Block]) -> Iterator[Block]:
    """The blocks, a single address that is in a wide one as a part of it."""
    wide = [block for block in parts if block.wide]
    for block in parts:
        holder = next((w for w in wide if not block.wide and block.addresses[0] in w.block), None)
        yield replace(block, block=holder.block, wide=True) if holder else block


def merged(parts: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks in order, those of the same addresses as one that stands for all they stood for."""
    by_block: dict[str, list[Block]] = {}
    for block in parts:
        by_block.setdefault(str(block.block), []).append(block)
    return tuple(
        Block(
            same[0].block,
            tuple(sorted({ip for block in same for ip in block.addresses})),
            tuple(sorted({name for block in same for name in block.names})),
            same[0].role,
            wide=any(block.wide for block in same),
        )
        for _, same in sorted(by_block.items())
    )


_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def _together(seen: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Addresses that share a name belong together; nameless ones belong together too."""
    leader: dict[str, str] = {}

    def find(item: str) -> str:
        while leader.setdefault(item, item) != item:
            item = leader[item]
        return item

    for ip in sorted(seen):
        for name in sorted(seen[ip]) or [""]:
            a, b = sorted((find(f"ip {ip}"), find(f"name {name}")))
            leader[b] = a
    together: dict[str, list[str]] = {}
    for ip in sorted(seen):
        together.setdefault(find(f"ip {ip}"), []).append(ip)
    return list(together.values())


def is_link_local(ip: str) -> bool:
    """Is it an address that means another thing on every node?"""
    found = address(ip)
    return found is not None and found.is_link_local


def public_subnets(ips: Iterable[str]) -> tuple[str, ...]:
    """The subnets of those of a cluster's own addresses that are no private ones."""
    found = (ipaddress.ip_address(ip) for ip in ips)
    return tuple(block.cidr for block, _ in _by_subnet(ip for ip in found if not _is_private(ip)))


def _is_private(ip: _IP) -> bool:
    ranges = _PRIVATE_V4 if ip.version == 4 else _PRIVATE_V6
    return any(ip in ipaddress.ip_network(block) for block in ranges)


def _wide(public: list[_IP], names: tuple[str, ...], keep_out: Iterable[str]) -> Block:
    """The first rung of the ladder that holds all of them; everything public where none does."""
    version = public[0].version
    for length in _LADDER_V4 if version == 4 else _LADDER_V6:
        block = network(f"{public[0]}/{length}")
        if all(ip in block for ip in public):
            break
    else:
        block = network("0.0.0.0/0" if version == 4 else "::/0")
    holes = {network(hole) for hole in (*(_PRIVATE_V4 if version == 4 else _PRIVATE_V6), *keep_out)}
    inside = [
        hole
        for hole in holes
        if hole.version == block.version
        and hole != block
        and hole.subnet_of(block)  # type: ignore[arg-type]
        and not any(ip in hole for ip in public)
    ]
    excepted = tuple(str(hole) for hole in sorted(ipaddress.collapse_addresses(inside)))  # type: ignore[type-var]
    return Block(IPBlock(str(block), excepted), tuple(str(ip) for ip in public), names, wide=True)


def _by_subnet(ips: Iterable[_IP]) -> Iterator[tuple[IPBlock, list[_IP]]]:
    """The smallest block for the addresses of each /24 (IPv6: /64), and which they are.

    No wider: what lies between two subnets is somebody else's.
    """
    subnets: dict[str, list[_IP]] = {}
    for ip in sorted(set(ips), key=lambda ip: (ip.version, int(ip))):
        subnets.setdefault(str(network(f"{ip}/{24 if ip.version == 4 else 64}")), []).append(ip)
    for inside in subnets.values():
        cover = ipaddress.ip_network(inside[0])
        while not all(ip in cover for ip in inside):
            cover = cover.supernet()
        yield IPBlock(str(cover)), inside


def node_blocks(addresses: Iterable[str], pods: Iterable[str]) -> tuple[IPBlock, ...]:
    """Blocks for the nodes of a cluster: the smallest for each subnet, so that a new node may be in it too.

    Where pods have addresses between those of the nodes, each node is named alone: a block
    would let the pods in.
    """
    inhabited = [ipaddress.ip_address(ip) for ip in pods]
    result: list[IPBlock] = []
    for cover, inside in _by_subnet(ipaddress.ip_address(ip) for ip in addresses):
        if any(ip in network(cover.cidr) for ip in inhabited):
            result += [IPBlock.of(str(ip)) for ip in inside]
        else:
            result.append(cover)
    return tuple(result)
