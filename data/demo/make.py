"""Writes the demo: a day of an invented company's traffic, and its cluster. The same bytes on every run.

    python data/demo/make.py [FOLDER]

The day holds what makes learning hard as well as what makes it easy; each is a function below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
import zstandard

import hubble
import manifests
import samples
import shop
from hubble import End, Outside, Packet
from shop import END, NODES, POD_NETWORK, ROLLOUT, START, Pod, number

API_SERVER = Outside(NODES["control-a"], ("reserved:kube-apiserver", "reserved:remote-node"))
METADATA = Outside("169.254.169.254")
UPSTREAM_DNS = Outside("9.9.9.9")
SUPPLIER = Outside("141.193.213.20")
STRANGER = Outside("62.210.99.40")
PAYMENTS = [
    f"{net}.{10 + 7 * i}" for net in ("3.33.146", "13.248.151", "52.223.46", "99.83.131") for i in range(10)
]
POLICED = {("data", "redis"), ("shop", "payment")}  # where a policy selects the pods today


class Recording:
    """What both nodes wrote, in the order of time."""

    def __init__(self) -> None:
        self.lines: list[tuple[datetime, int, str]] = []

    def write(self, when: datetime, event: dict[str, Any] | str) -> None:
        text = event if isinstance(event, str) else hubble.line(event)
        self.lines.append((when, len(self.lines), text))

    def connect(
        self, when: datetime, source: End, destination: End, port: int, protocol: str = "TCP", *,
        answered: bool = True, long: bool = False,
    ) -> None:  # fmt: skip
        """One connection, as each node with an end of it tells it; both nodes when they are two."""
        sport = 32768 + number(28000, when, source.ip, destination.ip, port)
        tcp = protocol == "TCP"
        ask = Packet(source, destination, sport, port, protocol, ("SYN",) if tcp else ())
        answer = Packet(destination, source, port, sport, protocol, ("SYN", "ACK") if tcp else (), reply=True)
        here = source.node if isinstance(source, Pod) else ""
        there = destination.node if isinstance(destination, Pod) else ""
        point = "TO_OVERLAY" if there else "TO_STACK"
        both = number(3, when, sport) == 0  # the exporter of the other node rate-limits most of the time
        if here and here != there and (both or not there):
            self.write(when, hubble.trace(when, here, ask, point, "NEW"))
        when += timedelta(microseconds=140 + number(200, when))
        if there:
            if (destination.app.namespace, destination.app.name) in POLICED:  # type: ignore[union-attr]
                self.write(when, hubble.verdict(when, there, ask, "FORWARDED", "INGRESS"))
                when += timedelta(microseconds=9)
            self.write(when, hubble.trace(when, there, ask, "TO_ENDPOINT", "NEW"))
        if not answered:
            return
        when += timedelta(microseconds=90 + number(300, when))
        if here:
            self.write(when, hubble.trace(when, here, answer, "TO_ENDPOINT", "REPLY"))
        else:
            self.write(when, hubble.trace(when, there, answer, "TO_STACK", "REPLY"))
        if long and tcp and there:
            for n, flags in enumerate((("ACK", "PSH"), ("ACK", "FIN"))):
                later = when + timedelta(seconds=2 + 3 * n)
                packet = Packet(source, destination, sport, port, "TCP", flags)
                self.write(later, hubble.trace(later, there, packet, "TO_ENDPOINT", "ESTABLISHED"))

    def refuse(self, when: datetime, source: Pod, destination: Pod, port: int) -> None:
        """A connection that a policy refuses: told twice, three times over because it is tried again."""
        sport = 32768 + number(28000, when, source.ip, port)
        packet = Packet(source, destination, sport, port)
        for wait in (0, 1, 3):
            at = when + timedelta(seconds=wait)
            if source.node != destination.node:
                self.write(at, hubble.trace(at, source.node, packet, "TO_OVERLAY", "NEW"))
            at += timedelta(microseconds=210)
            self.write(at, hubble.verdict(at, destination.node, packet, "DROPPED", "INGRESS"))
            at += timedelta(microseconds=11)
            self.write(at, hubble.drop(at, destination.node, packet, "INGRESS"))


def hours(step: int = 1, offset: int = 0) -> list[datetime]:
    whole = int((END - START).total_seconds()) // 3600
    return [START + timedelta(hours=h) for h in range(offset, whole, step)]


def within(hour: datetime, *seed: object) -> datetime:
    """A moment in an hour; no moment is taken twice by different seeds."""
    return hour + timedelta(microseconds=number(3_599_000_000, hour, *seed))


def one(namespace: str, name: str, when: datetime, *seed: object) -> Pod:
    found = shop.pods(namespace, name, when)
    return found[number(len(found), when, *seed)]


def busy(hour: datetime) -> float:
    """How busy the shop is at an hour: little at night, most in the evening."""
    return 0.4 if hour.hour < 6 else 1.0 if hour.hour < 17 else 1.6 if hour.hour < 22 else 0.7


def customers(day: Recording) -> None:
    for hour in hours():
        for n in range(max(1, round(2 * busy(hour)))):
            when = within(hour, "customer", n)
            controller = one("ingress-nginx", "ingress-nginx-controller", when)
            # A load balancer that does not keep the client's address shows a node's; the label is right.
            if n == 1:
                client = Outside(NODES["node-b" if controller.node == "node-a" else "node-a"])
            else:
                client = Outside(".".join(str(11 + number(200, when, octet)) for octet in range(4)))
            day.connect(when, client, controller, 80 if n == 2 else 443, long=n == 0)


CALLS = (  # from, to, port, calls an hour at noon
    ("ingress-nginx/ingress-nginx-controller", "shop/frontend", 8080, 3),
    ("shop/frontend", "shop/catalog", 8080, 2),
    ("shop/frontend", "shop/cart", 8080, 2),
    ("shop/frontend", "shop/checkout", 8080, 1),
    ("shop/checkout", "shop/cart", 8080, 1),
    ("shop/checkout", "shop/payment", 8443, 1),
    ("shop/cart", "data/redis", 6379, 2),
    ("shop/catalog", "data/postgres", 5432, 2),
    ("shop/checkout", "data/postgres", 5432, 1),
    ("shop/payment", "data/postgres", 5432, 1),
    ("staging/frontend", "staging/redis", 6379, 1),
    *((f"shop/worker-{tenant}", "data/redis", 6379, 1) for tenant in shop.TENANTS if tenant != "elm"),
    *((f"shop/worker-{tenant}", "shop/catalog", 8080, 1) for tenant in shop.TENANTS if tenant != "elm"),
)


def calls(day: Recording) -> None:
    for hour in hours():
        for source, destination, port, rate in CALLS:
            for n in range(round(rate * busy(hour))):
                when = within(hour, source, destination, n)
                ends = [one(*end.split("/"), when, i) for i, end in enumerate((source, destination))]
                day.connect(when, ends[0], ends[1], port, long=n == 1)


def replication(day: Recording) -> None:
    for hour in hours(4):
        primary, *replicas = shop.pods("data", "postgres", hour)
        for replica in replicas:
            day.connect(within(hour, "wal", replica.name), replica, primary, 5432, long=True)


def payments_api(day: Recording) -> None:
    """One name behind forty addresses. The DNS proxy is switched on two hours into the recording."""
    known = START + timedelta(hours=2)
    for n in range(2 * len(PAYMENTS)):
        when = START + (n + 0.5) * (END - START) / (2 * len(PAYMENTS))
        ip = PAYMENTS[n * 7 % len(PAYMENTS)]
        there = Outside(ip)
        if when > known:
            labels = ("fqdn:api.payments.example", "reserved:world")
            there = Outside(ip, labels, 16_777_217 + number(900, ip), ("api.payments.example",))
        payment = one("shop", "payment", when)
        day.connect(when, payment, there, 443)
        if when > known and n % 12 == 0:
            lookup(day, when - timedelta(milliseconds=40), payment, ip)


def lookup(day: Recording, when: datetime, pod: Pod, ip: str) -> None:
    resolver = one("kube-system", "coredns", when)
    sport = 32768 + number(28000, when, "dns")
    dns = {"query": "api.payments.example.", "observation_source": "proxy"}
    ask = Packet(pod, resolver, sport, 53, "UDP")
    text = "DNS Query api.payments.example. A"
    day.write(
        when, hubble.l7(when, pod.node, ask, {"type": "REQUEST", "dns": {**dns, "qtypes": ["A"]}}, text)
    )
    when += timedelta(milliseconds=3)
    types = {"qtypes": ["A"], "rrtypes": ["A"]}
    record = {
        "type": "RESPONSE",
        "latency_ns": "2914000",
        "dns": {"query": dns["query"], "ips": [ip], "ttl": 30, "observation_source": "proxy", **types},
    }
    answer = Packet(resolver, pod, 53, sport, "UDP", reply=True)
    day.write(when, hubble.l7(when, pod.node, answer, record, f'DNS Answer "{ip}" TTL: 30 (Proxy A)'))


def everyone(when: datetime) -> list[Pod]:
    return [
        pod for app in shop.APPS if app.kind != "CronJob" and not app.host_network
        for pod in shop.pods(app.namespace, app.name, when)
    ]  # fmt: skip


def names(day: Recording) -> None:
    for hour in hours(3, 1):
        for pod in everyone(hour):
            if pod.app.name == "coredns":
                continue
            when = within(hour, "dns", pod.name)
            if pod in everyone(when):
                over = "TCP" if number(20, when) == 0 else "UDP"
                day.connect(when, pod, one("kube-system", "coredns", when), 53, over)
    for hour in hours(2):
        resolver = one("kube-system", "coredns", hour)
        day.connect(within(hour, "upstream"), resolver, UPSTREAM_DNS, 53, "UDP")


def monitoring(day: Recording) -> None:
    """Prometheus scrapes pods and nodes; the shop's programs send traces to a collector on their node."""
    for hour in hours(4):
        for pod in everyone(hour):
            when = within(hour, "scrape", pod.name)
            if pod.app.metrics and pod in everyone(when):
                day.connect(when, one("monitoring", "prometheus", when), pod, pod.app.metrics)
            if pod.app.namespace == "shop":
                when = within(hour, "otlp", pod.name)
                near = [p for p in shop.pods("monitoring", "otel-collector", when) if p.node == pod.node]
                if pod in everyone(when):
                    day.connect(when, pod, near[0], 4317, long=number(4, when) == 0)
        for node in POD_NETWORK:
            prometheus = one("monitoring", "prometheus", hour)
            what = "reserved:host" if prometheus.node == node else "reserved:remote-node"
            for port in (9100, 10250):
                day.connect(within(hour, node, port), prometheus, Outside(NODES[node], (what,)), port)


def control_plane(day: Recording) -> None:
    """Who uses the API server, whom it calls, and who asks the cloud's metadata address."""
    for hour in hours(2):
        for namespace, name in (
            ("ingress-nginx", "ingress-nginx-controller"),
            ("monitoring", "prometheus"),
            ("kube-system", "coredns"),
        ):
            when = within(hour, "api", name)
            day.connect(when, one(namespace, name, when), API_SERVER, 6443)
    for hour in hours(6, 3):
        when = within(hour, "webhook")
        day.connect(when, API_SERVER, one("ingress-nginx", "ingress-nginx-controller", when), 8443)
        for collector in shop.pods("monitoring", "otel-collector", hour):
            day.connect(within(hour, "metadata", collector.node), collector, METADATA, 80)


def probes(day: Recording) -> None:
    """A node's kubelet asks its own pods whether they are well."""
    for hour in hours(6):
        for pod in everyone(hour):
            when = within(hour, "probe", pod.name)
            if pod.app.ports and pod.app.name != "coredns" and pod in everyone(when):
                host = Outside(f"{POD_NETWORK[pod.node]}.1", ("reserved:host",))
                day.connect(when, host, pod, next(iter(pod.app.ports.values())))


def jobs(day: Recording) -> None:
    for app, start in shop.runs():
        pod = shop.pods(app.namespace, app.name, start)[0]
        resolver = one("kube-system", "coredns", start)
        day.connect(start + timedelta(seconds=2.125), pod, resolver, 53, "UDP")
        if app.name == "nightly-report":
            for n in range(4):
                when = start + timedelta(seconds=4.5 + 31.25 * n)
                day.connect(when, pod, shop.pods("data", "postgres", when)[1 + n % 2], 5432, long=True)
        else:
            when = start + timedelta(seconds=3.75)
            day.connect(when, pod, one("shop", "catalog", when), 8080)
            day.connect(when + timedelta(seconds=9), pod, SUPPLIER, 443)


def refused_today(day: Recording) -> None:
    """The copy in staging was left pointing at the real payment service; a policy stops it."""
    for hour in hours(3):
        when = within(hour, "refused")
        day.refuse(when, one("staging", "frontend", when), one("shop", "payment", when), 8443)


def nobody_answers(day: Recording) -> None:
    """A forgotten setting makes carts try a port that catalogs no longer listen on."""
    for hour in hours(5, 2):
        when = within(hour, "old port")
        cart, catalog = one("shop", "cart", when), one("shop", "catalog", when)
        sport = 32768 + number(28000, when)
        for wait in (0, 1, 3, 7):
            at = when + timedelta(seconds=wait)
            day.write(
                at, hubble.trace(at, catalog.node, Packet(cart, catalog, sport, 9443), "TO_ENDPOINT", "NEW")
            )


def scan(day: Recording) -> None:
    """At night somebody is in one worker's pod, and looks around."""
    when = datetime(2026, 11, 23, 3, 12, 4, 618211, tzinfo=START.tzinfo)
    pod = shop.pods("shop", "worker-delta", when)[0]
    targets = [t for t in everyone(when) if t.app.namespace in ("shop", "data") and t is not pod]
    for port in (22, 3306, 9200, 27017):
        for target in targets:
            when += timedelta(milliseconds=311 + number(400, when))
            packet = Packet(pod, target, 32768 + number(28000, when), port)
            if (target.app.namespace, target.app.name) == ("shop", "payment"):
                day.write(when, hubble.verdict(when, target.node, packet, "DROPPED", "INGRESS"))
                later = when + timedelta(microseconds=12)
                day.write(later, hubble.drop(later, target.node, packet, "INGRESS"))
            else:
                day.write(when, hubble.trace(when, target.node, packet, "TO_ENDPOINT", "NEW"))


def one_night_call(day: Recording) -> None:
    when = datetime(2026, 11, 23, 2, 41, 9, 204117, tzinfo=START.tzinfo)
    day.connect(when, shop.pods("shop", "worker-birch", when)[0], STRANGER, 443)


def not_for_policies(day: Recording) -> None:
    """ICMP, a drop that is no policy's, neighbour discovery, calls seen before the Service was resolved."""
    for n, hour in enumerate(hours(8)):
        when = within(hour, "ping")
        catalog, postgres = one("shop", "catalog", when), shop.pods("data", "postgres", when)[0]
        ping = Packet(catalog, postgres, 0, 0, "ICMPv4", l4={"ICMPv4": {"type": 8}})
        pong = Packet(postgres, catalog, 0, 0, "ICMPv4", reply=True, l4={"ICMPv4": {}})
        day.write(when, hubble.trace(when, postgres.node, ping, "TO_ENDPOINT", "NEW"))
        when += timedelta(microseconds=320)
        day.write(when, hubble.trace(when, catalog.node, pong, "TO_ENDPOINT", "REPLY"))
        when = within(hour, "unreachable")
        payment = one("shop", "payment", when)
        error = Packet(Outside(PAYMENTS[n]), payment, 0, 0, "ICMPv4", l4={"ICMPv4": {"type": 3, "code": 1}})
        day.write(when, hubble.trace(when, payment.node, error, "TO_ENDPOINT", "RELATED"))
        when = within(hour, "sock")
        frontend = one("shop", "frontend", when)
        service = Outside(shop.service_ip("shop", "catalog"))
        day.write(
            when, hubble.sock(when, frontend.node, frontend, service, 80, ("shop", "catalog"), 41000 + n)
        )
        when = within(hour, "discovery")
        nobody = Packet(
            Outside("fe80::64d8:8aff:fe72:fc14", ()),
            Outside("ff02::2", ()),
            0,
            0,
            l4={"ICMPv6": {"type": 133}},
        )
        day.write(when, hubble.drop(when, "node-a", nobody, "EGRESS", "INVALID_SOURCE_IP"))
    when = ROLLOUT + timedelta(seconds=4)
    frontend, gone = one("shop", "frontend", when), one("shop", "catalog", ROLLOUT - timedelta(seconds=1))
    stale = Packet(frontend, gone, 51234, 8080)
    day.write(when, hubble.drop(when, frontend.node, stale, "EGRESS", "STALE_OR_UNROUTABLE_IP"))


def between_flows(day: Recording) -> None:
    day.write(START, hubble.node_status(START))
    for when, node, count in (
        (ROLLOUT - timedelta(minutes=16), "node-a", 127),
        (ROLLOUT + timedelta(minutes=1), "node-b", 1033),
    ):
        day.write(when, hubble.lost(when, node, count))
    when = datetime(2026, 11, 23, 6, 30, tzinfo=START.tzinfo)
    day.write(when, f'time="{shop.stamp(when)}" level=info msg="Rotating Hubble export file" subsys=hubble')


DAY: tuple[Callable[[Recording], None], ...] = (
    between_flows, customers, calls, replication, payments_api, names, monitoring, control_plane, probes,
    jobs, refused_today, nobody_answers, scan, one_night_call, not_for_policies,
)  # fmt: skip


def recording() -> str:
    """The exporter's file of the day. It was copied while it was being written: its last line is cut off."""
    day = Recording()
    for part in DAY:
        part(day)
    lines = [text for _, _, text in sorted(day.lines)]
    return "\n".join(lines) + "\n" + lines[-1][:311]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    packed = zstandard.ZstdCompressor(level=19).compress(recording().encode())
    (folder / "flows.jsonl.zst").write_bytes(packed)
    text = yaml.safe_dump(manifests.cluster(), sort_keys=True, width=100)
    (folder / "cluster.yaml").write_text(text, encoding="utf-8")
    samples.write(folder.parent / "samples")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
