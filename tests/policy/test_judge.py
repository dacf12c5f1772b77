"""The judge: a row for each rule of NetworkPolicy, and a second evaluator to hold it against."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.policy.judge import EVERY_PORT, ITSELF, OWN_NODE, Judge, Reach
from recommender.policy.manifest import load, policy_from
from recommender.policy.model import (
    DIRECTIONS,
    PROTOCOLS,
    Connection,
    Endpoint,
    IPBlock,
    Policy,
    address,
    network,
)
from recommender.policy.selector import EVERYTHING, labels_of

SAMPLES = Path(__file__).parents[2].parent / "shared/samples"

NAMESPACES = {
    "shop": labels_of({"team": "red"}),
    "bank": labels_of({"team": "blue", "env": "prod"}),
    "misc": (),
}


def pod(namespace: str, app: str, ip: str = "", **more: Any) -> Endpoint:
    """A pod with the label ``app``; further labels, ports and so on by keyword."""
    labels = labels_of({"app": app, **more.pop("labels", {})})
    return Endpoint(namespace, labels, (ip,) if ip else (), **more)


WEB = pod(
    "shop", "web", "10.0.0.1", name="web-1", node="n1",
    named_ports=(("dns", "TCP", 5353), ("dns", "UDP", 5300), ("http", "TCP", 8080), ("http", "TCP", 8081)),
)  # fmt: skip
API = pod("shop", "api", "10.0.0.2", name="api-1", node="n2")
TELLER = pod("bank", "teller", "10.0.1.1", name="teller-1", node="n1", labels={"role": "client"})
WEB_IN_BANK = pod("bank", "web", "10.0.1.2", name="web-1", node="n2")
CLIENT_IN_MISC = pod("misc", "curl", "10.0.2.1", name="curl-1", node="n2", labels={"role": "client"})
STRANGER = pod("new", "web", "10.0.3.1", name="new-1", node="n3")
ON_HOST = Endpoint(
    "shop", labels_of({"app": "api"}), ("192.168.0.2",), host_network=True, node="n2", name="agent"
)
ITS_NODE = Endpoint(None, (), ("192.168.0.1",), node="n1", name="n1")
OTHER_NODE = Endpoint(None, (), ("192.168.0.3",), node="n3", name="n3")
WORLD = Endpoint(None, (), ("93.184.216.34",))
WORLD_6 = Endpoint(None, (), ("2001:db8::1",))
MAPPED = Endpoint(None, (), ("::ffff:93.184.216.34",))
UNKNOWN = Endpoint(None)


def policy(spec: str, name: str = "p", namespace: str = "shop") -> Policy:
    """A policy by its spec in flow style, of pods app=web unless it says otherwise."""
    body = {"podSelector": {"matchLabels": {"app": "web"}}, **yaml.safe_load(spec)}
    return policy_from(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": body,
        }
    )


def ingress(rules: str, **more: str) -> Policy:
    return policy(f"{{policyTypes: [Ingress], ingress: {rules}}}", **more)


def egress(rules: str, **more: str) -> Policy:
    return policy(f"{{policyTypes: [Egress], egress: {rules}}}", **more)


DENY_ALL = policy("{podSelector: {}, policyTypes: [Ingress, Egress]}", "deny")

EITHER = "[{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: {role: client}}}]}]"
BOTH = (
    "[{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {role: client}}}]}]"
)

ISOLATION = [
    ("no policy admits everything", [], API, WEB, True),
    ("deny all: ingress", [DENY_ALL], TELLER, WEB, False),
    ("deny all: egress", [DENY_ALL], API, TELLER, False),
    ("deny all is of its own namespace only", [DENY_ALL], TELLER, CLIENT_IN_MISC, True),
    ("an ingress policy does not isolate egress", [ingress("[]")], WEB, TELLER, True),
    ("an egress policy does not isolate ingress", [egress("[]")], TELLER, WEB, True),
    ("a policy isolates only the pods it selects", [ingress("[]")], TELLER, API, True),
    ("the same labels in another namespace", [ingress("[]")], WEB, WEB_IN_BANK, True),
    ("allow all beside deny all", [DENY_ALL, ingress("[{}]")], TELLER, WEB, True),
    ("ingress allowed, egress of the source not", [DENY_ALL, ingress("[{}]")], API, WEB, False),
    ("a section its types do not name", [policy("{policyTypes: [Egress], ingress: []}")], API, WEB, True),
    ("policies add up", [ingress("[]", name="a"), ingress("[{ports: [{port: 80}]}]", name="b")], API, WEB, True),
    ("a hostNetwork pod is never isolated: ingress", [DENY_ALL], TELLER, ON_HOST, True),
    ("a hostNetwork pod is never isolated: egress", [DENY_ALL], ON_HOST, TELLER, True),
    ("a pod's own node reaches it", [DENY_ALL], ITS_NODE, WEB, True),
    ("a hostNetwork pod on the pod's node reaches it", [DENY_ALL], ON_HOST, API, True),
    ("another node does not", [DENY_ALL], OTHER_NODE, WEB, False),
    ("a pod on the same node does not", [DENY_ALL], TELLER, WEB, False),
    ("a pod does not reach its node", [DENY_ALL], WEB, ITS_NODE, False),
    ("nodes that are not known are not the same", [DENY_ALL], WORLD, pod("shop", "web"), False),
    ("a pod reaches itself", [DENY_ALL], WEB, WEB, True),
    ("pods of one name in two namespaces are two", [DENY_ALL], WEB_IN_BANK, WEB, False),
    ("pods without a name are not one", [DENY_ALL], pod("shop", "web"), pod("shop", "web"), False),
]  # fmt: skip
INGRESS = [
    # the rules of a policy on web, who calls it, on which port
    ("one empty rule allows all", "[{}]", WORLD, "UDP", 9, True),
    ("rules add up", "[{ports: [{port: 81}]}, {ports: [{port: 80}]}]", API, "TCP", 80, True),
    ("podSelector alone: own namespace", "[{from: [{podSelector: {}}]}]", API, "TCP", 80, True),
    ("podSelector alone: another namespace", "[{from: [{podSelector: {}}]}]", TELLER, "TCP", 80, False),
    ("podSelector alone: the same labels elsewhere",
     "[{from: [{podSelector: {matchLabels: {app: web}}}]}]", WEB_IN_BANK, "TCP", 80, False),
    ("namespaceSelector alone: all pods there",
     "[{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]", WEB_IN_BANK, "TCP", 80, True),
    ("namespaceSelector alone: not the own namespace",
     "[{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]", API, "TCP", 80, False),
    ("namespaceSelector {}: pods anywhere", "[{from: [{namespaceSelector: {}}]}]", STRANGER, "TCP", 80, True),
    ("namespaceSelector {}: no addresses", "[{from: [{namespaceSelector: {}}]}]", WORLD, "TCP", 80, False),
    ("namespace by name, of one not known",
     "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: new}}}]}]",
     STRANGER, "TCP", 80, True),
    ("namespace by name, of one known without that label",
     "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: misc}}}]}]",
     CLIENT_IN_MISC, "TCP", 80, True),
    ("a namespace not known has no other label",
     "[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}}]}]",
     STRANGER, "TCP", 80, False),
    ("NotIn selects namespaces without the key",
     "[{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}}]}]",
     CLIENT_IN_MISC, "TCP", 80, True),
    ("AND form: both hold", BOTH, TELLER, "TCP", 80, True),
    ("AND form: only the namespace", BOTH, WEB_IN_BANK, "TCP", 80, False),
    ("AND form: only the pod", BOTH, CLIENT_IN_MISC, "TCP", 80, False),
    ("OR form: the namespace is enough", EITHER, WEB_IN_BANK, "TCP", 80, True),
    ("OR form: its podSelector is of the own namespace", EITHER, CLIENT_IN_MISC, "TCP", 80, False),
    ("matchLabels and matchExpressions must both hold",
     "[{from: [{podSelector: {matchLabels: {app: api}, "
     "matchExpressions: [{key: app, operator: NotIn, values: [api]}]}}]}]", API, "TCP", 80, False),
    ("an empty list of peers is anyone", "[{from: [], ports: [{port: 80}]}]", WORLD, "TCP", 80, True),
    ("the port", "[{ports: [{port: 80}]}]", API, "TCP", 80, True),
    ("another port", "[{ports: [{port: 80}]}]", API, "TCP", 81, False),
    ("a port is TCP unless it says otherwise", "[{ports: [{port: 80}]}]", API, "UDP", 80, False),
    ("SCTP", "[{ports: [{port: 80, protocol: SCTP}]}]", API, "SCTP", 80, True),
    ("a protocol alone is all its ports", "[{ports: [{protocol: UDP}]}]", API, "UDP", 65535, True),
    ("a protocol alone is no other protocol", "[{ports: [{protocol: UDP}]}]", API, "TCP", 53, False),
    ("endPort: first", "[{ports: [{port: 80, endPort: 90}]}]", API, "TCP", 80, True),
    ("endPort: last", "[{ports: [{port: 80, endPort: 90}]}]", API, "TCP", 90, True),
    ("endPort: one beyond", "[{ports: [{port: 80, endPort: 90}]}]", API, "TCP", 91, False),
    ("an empty list of ports is any", "[{ports: []}]", API, "SCTP", 1, True),
    ("peers and ports of one rule belong together",
     "[{from: [{podSelector: {matchLabels: {app: else}}}], ports: [{port: 80}]}, "
     "{from: [{podSelector: {}}], ports: [{port: 81}]}]", API, "TCP", 80, False),
    ("named port", "[{ports: [{port: http}]}]", API, "TCP", 8080, True),
    ("named port: a second number of that name", "[{ports: [{port: http}]}]", API, "TCP", 8081, True),
    ("named port: another number", "[{ports: [{port: http}]}]", API, "TCP", 80, False),
    ("named port: by protocol", "[{ports: [{port: dns, protocol: UDP}]}]", API, "UDP", 5300, True),
    ("named port: the other protocol's number", "[{ports: [{port: dns, protocol: UDP}]}]",
     API, "UDP", 5353, False),
    ("named port: nobody has it", "[{ports: [{port: grpc}]}]", API, "TCP", 8080, False),
    ("ipBlock matches a pod by its address", "[{from: [{ipBlock: {cidr: 10.0.1.0/24}}]}]",
     TELLER, "TCP", 80, True),
    ("ipBlock: any address of a pod", "[{from: [{ipBlock: {cidr: 'fd00::/8'}}]}]",
     Endpoint("bank", (), ("10.1.1.1", "fd00::1")), "TCP", 80, True),
    ("ipBlock: an end without an address is in none", "[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]",
     UNKNOWN, "TCP", 80, False),
    ("an end without an address is anyone", "[{ports: [{port: 80}]}]", UNKNOWN, "TCP", 80, True),
    ("no selector reaches a hostNetwork pod", "[{from: [{podSelector: {}}]}]", ON_HOST, "TCP", 80, False),
    ("its address reaches a hostNetwork pod", "[{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]",
     ON_HOST, "TCP", 80, True),
]  # fmt: skip
EGRESS = [
    # the peers of a policy on web, whom it calls
    ("ipBlock", "[{ipBlock: {cidr: 93.184.0.0/16}}]", WORLD, True),
    ("ipBlock: outside", "[{ipBlock: {cidr: 93.185.0.0/16}}]", WORLD, False),
    ("ipBlock: excepted", "[{ipBlock: {cidr: 0.0.0.0/0, except: [93.184.216.0/24]}}]", WORLD, False),
    ("ipBlock: excepted in one, given by another",
     "[{ipBlock: {cidr: 0.0.0.0/0, except: [93.184.0.0/16]}}, {ipBlock: {cidr: 93.184.216.34/32}}]", WORLD, True),
    ("ipBlock with host bits", "[{ipBlock: {cidr: 93.184.1.2/16}}]", WORLD, True),
    ("ipBlock: IPv6", "[{ipBlock: {cidr: '2001:db8::/32'}}]", WORLD_6, True),
    ("ipBlock: all of IPv4 is no IPv6", "[{ipBlock: {cidr: 0.0.0.0/0}}]", WORLD_6, False),
    ("ipBlock: all of IPv6 is no IPv4", "[{ipBlock: {cidr: '::/0'}}]", WORLD, False),
    ("ipBlock: an IPv4-mapped address is IPv4", "[{ipBlock: {cidr: 93.184.0.0/16}}]", MAPPED, True),
    ("ipBlock: an IPv4-mapped block is IPv4", "[{ipBlock: {cidr: '::ffff:93.184.0.0/112'}}]", WORLD, True),
    ("podSelector", "[{podSelector: {matchLabels: {app: api}}}]", API, True),
    ("no selector reaches a node", "[{namespaceSelector: {}}]", OTHER_NODE, False),
]  # fmt: skip
ROWS = [
    *((name, policies, a, b, "TCP", 80, allowed) for name, policies, a, b, allowed in ISOLATION),
    *((name, [ingress(rules)], a, WEB, *rest) for name, rules, a, *rest in INGRESS),
    *((name, [egress(f"[{{to: {to}}}]")], WEB, b, "TCP", 80, allowed) for name, to, b, allowed in EGRESS),
    ("named port in egress is the destination's", [egress("[{ports: [{port: http}]}]", namespace="bank")],
     WEB_IN_BANK, WEB, "TCP", 8080, True),
    ("named port in egress is not the source's", [egress("[{ports: [{port: http}]}]")],
     WEB, API, "TCP", 8080, False),
    ("an address has no named ports", [egress("[{ports: [{port: http}]}]")], WEB, WORLD, "TCP", 8080, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policies", "source", "destination", "protocol", "port", "allowed"),
    [pytest.param(*row[1:], id=row[0]) for row in ROWS],
)
def test_a_connection(
    policies: list[Policy], source: Endpoint, destination: Endpoint, protocol: Any, port: int, allowed: bool
) -> None:
    judge = Judge(policies, NAMESPACES)
    verdict = judge.judge(Connection(source, destination, protocol, port))
    assert verdict.allowed is allowed, verdict
    assert ((protocol, port) in judge.reach(source, destination)) is allowed


@pytest.mark.parametrize(
    ("policies", "source", "destination", "reason"),
    [
        pytest.param([], API, WEB, "allowed (egress: not isolated; ingress: not isolated)", id="no policy"),
        pytest.param(
            [DENY_ALL, ingress("[{ports: [{port: 81}]}, {from: [{podSelector: {}}]}]", name="web")],
            TELLER,
            WEB,
            "refused (egress: not isolated; ingress: isolated by shop/deny, shop/web; admitted by no rule)",
            id="refused",
        ),
        pytest.param(
            [ingress("[{ports: [{port: 81}]}, {from: [{podSelector: {}}]}]", name="web"), DENY_ALL],
            API,
            WEB,
            "refused (egress: isolated by shop/deny; admitted by no rule; "
            "ingress: isolated by shop/deny, shop/web; admitted by shop/web rule 2)",
            id="one side admits",
        ),
        pytest.param([DENY_ALL], WEB, WEB, f"allowed (egress: {ITSELF}; ingress: {ITSELF})", id="itself"),
        pytest.param(
            [DENY_ALL], ITS_NODE, WEB, f"allowed (egress: not isolated; ingress: {OWN_NODE})", id="own node"
        ),
    ],
)
def test_a_verdict_says_why(
    policies: list[Policy], source: Endpoint, destination: Endpoint, reason: str
) -> None:
    assert str(Judge(policies, NAMESPACES).verdict(source, destination, "TCP", 80)) == reason


def test_an_exempt_side_still_says_what_isolates() -> None:
    side = Judge([DENY_ALL], {}).verdict(ITS_NODE, WEB, "TCP", 80).ingress
    assert side.allowed
    assert side.isolating == (DENY_ALL,)
    assert side.admitting == ()


def test_isolating_is_by_direction_and_in_order_of_names() -> None:
    a, b = ingress("[]", name="a"), egress("[]", name="b")
    judge = Judge([b, DENY_ALL, a], NAMESPACES)
    assert judge.isolating(WEB, "ingress") == (a, DENY_ALL)
    assert judge.isolating(WEB, "egress") == (b, DENY_ALL)
    assert judge.isolating(TELLER, "ingress") == ()
    assert judge.isolating(ON_HOST, "ingress") == ()


@pytest.mark.parametrize(
    ("policies", "source", "destination", "text"),
    [
        pytest.param([], API, WEB, "every port", id="not isolated"),
        pytest.param([DENY_ALL], TELLER, WEB, "no port", id="nothing admits"),
        pytest.param([DENY_ALL], ITS_NODE, WEB, "every port", id="exempt"),
        pytest.param([ingress("[{}]")], API, WEB, "every port", id="any port"),
        pytest.param(
            [ingress("[{ports: [{port: 80, endPort: 90}, {port: 91}, {port: 85}, {port: http}]}]")],
            API,
            WEB,
            "80-91/TCP, 8080-8081/TCP",
            id="spans that meet are one",
        ),
        pytest.param(
            [
                ingress("[{ports: [{port: 80, endPort: 90}, {protocol: UDP}]}]"),
                policy(
                    "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 85, endPort: 99}]}]}",
                    "q",
                ),
            ],
            API,
            WEB,
            "85-90/TCP",
            id="what both sides admit",
        ),
        pytest.param(
            [ingress("[{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}]")],
            API,
            WEB,
            "every port",
            id="every protocol in full is every port",
        ),
    ],
)
def test_reach(policies: list[Policy], source: Endpoint, destination: Endpoint, text: str) -> None:
    reach = Judge(policies, NAMESPACES).reach(source, destination)
    assert str(reach) == text
    assert reach.everything is (text == "every port")
    assert reach.nothing is (text == "no port")


@pytest.mark.parametrize(
    ("policies", "source", "destination", "egress_text", "ingress_text"),
    [
        pytest.param([], API, WEB, "every port", "every port", id="not isolated"),
        pytest.param(
            [ingress("[{ports: [{port: 80}]}]")], API, WEB, "every port", "80/TCP", id="ingress alone"
        ),
        pytest.param([egress("[{ports: [{port: 80}]}]")], WEB, API, "80/TCP", "every port", id="egress alone"),
        pytest.param(
            [ingress("[{ports: [{port: 80}]}]"), egress("[{ports: [{port: 85}]}]", name="q")],
            WEB,
            API,
            "85/TCP",
            "every port",
            id="a policy speaks of the pods it selects",
        ),
        pytest.param([DENY_ALL], WORLD, WEB, "every port", "no port", id="an address has no policy"),
        pytest.param([DENY_ALL], WEB, WORLD, "no port", "every port", id="nor has one as the destination"),
        pytest.param([DENY_ALL], ITS_NODE, WEB, "every port", "every port", id="its own node: ingress is exempt"),
        pytest.param([DENY_ALL], WEB, ITS_NODE, "no port", "every port", id="its own node: egress is not"),
        pytest.param([DENY_ALL], ON_HOST, WEB, "every port", "no port", id="another pod's node"),
        pytest.param(
            [egress("[{ports: [{port: http}]}]")],
            WEB,
            pod("misc", "x", named_ports=(("http", "TCP", 9090), ("https", "TCP", 9091))),
            "9090/TCP",
            "every port",
            id="a name is the destination's",
        ),
    ],
)  # fmt: skip
def test_each_side_admits_on_its_own(
    policies: list[Policy], source: Endpoint, destination: Endpoint, egress_text: str, ingress_text: str
) -> None:
    judge = Judge(policies, NAMESPACES)
    assert str(judge.admits(source, destination, "egress")) == egress_text
    assert str(judge.admits(source, destination, "ingress")) == ingress_text


def test_grants_say_who_each_rule_lets_in() -> None:
    rules = ingress(
        "[{from: [{podSelector: {matchLabels: {app: api}}}, "
        "{ipBlock: {cidr: 10.0.1.0/24, except: [10.0.1.2/32]}}]}, {ports: [{port: 80}]}]"
    )
    everyone = [WORLD, TELLER, ON_HOST, API, WEB_IN_BANK, WEB]
    of_peers, of_anyone = Judge([DENY_ALL, rules], NAMESPACES).grants(everyone, "ingress")
    assert (of_peers.policy, of_peers.index, of_peers.rule) == (rules, 0, (rules.ingress or ())[0])
    assert of_peers.subjects == (WEB,)
    assert of_peers.peers == (TELLER, API)
    assert of_peers.blocks == (IPBlock("10.0.1.0/24", ("10.0.1.2/32",)),)
    assert (of_anyone.index, of_anyone.peers, of_anyone.blocks) == (1, None, ())
    assert list(Judge([DENY_ALL, rules], NAMESPACES).grants(everyone, "egress")) == []


def test_a_rule_that_reaches_none_of_the_endpoints_is_still_told() -> None:
    (grant,) = Judge([ingress("[{from: [{podSelector: {}}]}]")], {}).grants([TELLER], "ingress")
    assert (grant.subjects, grant.peers) == ((), ())


def test_reach_is_a_set_of_ports() -> None:
    a = Reach.of([("TCP", 5, 9), ("TCP", 1, 4), ("UDP", 1, 65535)])
    assert a.spans == (("TCP", 1, 9), ("UDP", 1, 65535))
    assert (a & Reach.of([("TCP", 8, 20), ("SCTP", 1, 2)])).spans == (("TCP", 8, 9),)
    assert (a & Reach(EVERY_PORT)) == a


# ---- a second evaluator, as naive as the text of Kubernetes, on the raw manifests ----


def labels_match(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if key not in labels or labels[key] != value:
            return False
    for e in selector.get("matchExpressions", []):
        there = e["key"] in labels
        held = {
            "In": there and labels.get(e["key"]) in e.get("values", []),
            "NotIn": not there or labels.get(e["key"]) not in e.get("values", []),
            "Exists": there,
            "DoesNotExist": not there,
        }[e["operator"]]
        if not held:
            return False
    return True


def in_block(block: dict[str, Any], ips: tuple[str, ...]) -> bool:
    def inside(ip: str, cidr: str) -> bool:
        parsed: Any = ipaddress.ip_address(ip)
        if parsed.version == 6 and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return parsed in ipaddress.ip_network(cidr)

    return any(
        inside(ip, block["cidr"]) and not any(inside(ip, hole) for hole in block.get("except", []))
        for ip in ips
    )


def naive(raws: list[dict[str, Any]], source: Endpoint, target: Endpoint, protocol: str, port: int) -> bool:
    def is_pod(end: Endpoint) -> bool:
        return end.namespace is not None and not end.host_network

    def peer_matches(raw: dict[str, Any], peer: dict[str, Any], far: Endpoint) -> bool:
        if "ipBlock" in peer:
            return in_block(peer["ipBlock"], far.addresses)
        if not is_pod(far):
            return False
        if "namespaceSelector" in peer:
            name = far.namespace or ""
            labels = {**dict(NAMESPACES.get(name, ())), "kubernetes.io/metadata.name": name}
            if not labels_match(peer["namespaceSelector"], labels):
                return False
        elif far.namespace != raw["metadata"]["namespace"]:
            return False
        return labels_match(peer.get("podSelector", {}), dict(far.labels))

    def port_matches(entry: dict[str, Any]) -> bool:
        if entry.get("protocol", "TCP") != protocol:
            return False
        wanted = entry.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            return is_pod(target) and (wanted, protocol, port) in target.named_ports
        return bool(wanted <= port <= entry.get("endPort", wanted))

    def side(kind: str, section: str, peers: str, subject: Endpoint, far: Endpoint) -> bool:
        isolated = False
        for raw in raws:
            spec = raw["spec"]
            types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
            if kind not in types or not is_pod(subject) or raw["metadata"]["namespace"] != subject.namespace:
                continue
            if not labels_match(spec.get("podSelector", {}), dict(subject.labels)):
                continue
            isolated = True
            for rule in spec.get(section, []):
                who = rule.get(peers, [])
                what = rule.get("ports", [])
                if (not who or any(peer_matches(raw, peer, far) for peer in who)) and (
                    not what or any(port_matches(entry) for entry in what)
                ):
                    return True
        return not isolated

    if (
        source.name
        and (source.namespace, source.name) == (target.namespace, target.name)
        and source.namespace
    ):
        return True
    from_own_node = not is_pod(source) and source.node and source.node == target.node
    outgoing = side("Egress", "egress", "to", source, target)
    incoming = bool(from_own_node) or side("Ingress", "ingress", "from", target, source)
    return outgoing and incoming


def some(
    *parts: st.SearchStrategy[Any], **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


KEYS = st.sampled_from(["app", "role"])
VALUES = st.sampled_from(["web", "api", "client"])
NAMED = st.sampled_from(["http", "dns"])


def selectors(
    keys: st.SearchStrategy[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, Any]]:
    expression = st.one_of(
        st.fixed_dictionaries(
            {
                "key": keys,
                "operator": st.sampled_from(["In", "NotIn"]),
                "values": st.lists(values, min_size=1, max_size=2),
            }
        ),
        st.fixed_dictionaries({"key": keys, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
    )
    return some(
        matchLabels=st.dictionaries(keys, values, max_size=2),
        matchExpressions=st.lists(expression, max_size=2),
    )


PODS = selectors(KEYS, VALUES)
NAMESPACE_SELECTORS = selectors(
    st.sampled_from(["team", "env", "kubernetes.io/metadata.name"]),
    st.sampled_from(["red", "blue", "prod", "shop", "bank", "new"]),
)
BLOCKS = st.sampled_from(
    [
        {"cidr": "10.0.0.0/8"},
        {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24", "10.0.1.1/32"]},
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "192.168.0.0/16"]},
        {"cidr": "192.168.0.0/30"},
        {"cidr": "::/0", "except": ["2001:db8::/64"]},
        {"cidr": "93.184.216.34/32"},
    ]
)
PEERS = st.one_of(
    st.fixed_dictionaries({"podSelector": PODS}),
    st.fixed_dictionaries({"namespaceSelector": NAMESPACE_SELECTORS}),
    st.fixed_dictionaries({"namespaceSelector": NAMESPACE_SELECTORS, "podSelector": PODS}),
    st.fixed_dictionaries({"ipBlock": BLOCKS}),
)
PROTOCOL = st.sampled_from(PROTOCOLS)
PORTS = st.one_of(
    some(protocol=PROTOCOL, port=st.one_of(st.sampled_from([80, 8080]), NAMED)),
    st.just({"port": 79, "endPort": 81}),
)


def rules(peers: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    rule = some(**{peers: st.lists(PEERS, max_size=2), "ports": st.lists(PORTS, max_size=2)})
    return st.lists(rule, max_size=2)


RAW_POLICIES = st.lists(
    st.fixed_dictionaries(
        {
            "apiVersion": st.just("networking.k8s.io/v1"),
            "kind": st.just("NetworkPolicy"),
            "metadata": st.fixed_dictionaries(
                {"name": st.sampled_from(["a", "b", "c"]), "namespace": st.sampled_from(["shop", "bank"])}
            ),
            "spec": some(
                podSelector=PODS,
                policyTypes=st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
                ingress=rules("from"),
                egress=rules("to"),
            ),
        }
    ),
    max_size=4,
    unique_by=lambda raw: (raw["metadata"]["namespace"], raw["metadata"]["name"]),
)
EVERYONE = [
    WEB, API, TELLER, WEB_IN_BANK, CLIENT_IN_MISC, STRANGER, ON_HOST, ITS_NODE, OTHER_NODE, WORLD, WORLD_6,
    MAPPED, UNKNOWN,
]  # fmt: skip


@settings(deadline=None)
@given(RAW_POLICIES, PROTOCOL, st.sampled_from([79, 80, 5300, 8080]))
def test_it_agrees_with_the_naive_evaluator(raws: list[dict[str, Any]], protocol: Any, port: int) -> None:
    judge = Judge(map(policy_from, raws), NAMESPACES)
    for source, target in product(EVERYONE, EVERYONE):
        verdict = judge.verdict(source, target, protocol, port)
        assert verdict.allowed is naive(raws, source, target, protocol, port), (source, target, verdict)
        assert verdict.allowed is ((protocol, port) in judge.reach(source, target))
        for direction in DIRECTIONS:
            admitted = judge.admits(source, target, direction)
            assert getattr(verdict, direction).allowed is ((protocol, port) in admitted)


@settings(deadline=None)
@given(RAW_POLICIES, st.sampled_from(DIRECTIONS), st.randoms())
def test_grants_and_verdicts_are_one_reading(raws: list[dict[str, Any]], direction: Any, random: Any) -> None:
    judge = Judge(map(policy_from, raws), NAMESPACES)
    shuffled = list(raws)
    random.shuffle(shuffled)
    granted = list(Judge(map(policy_from, shuffled), NAMESPACES).grants(EVERYONE, direction))
    assert granted == list(judge.grants(EVERYONE, direction))
    for subject, peer in product(EVERYONE, EVERYONE):
        ends = (peer, subject) if direction == "ingress" else (subject, peer)
        side = getattr(judge.verdict(*ends, "TCP", 80), direction)
        by_grants = [
            (g.policy, g.index)
            for g in granted
            if subject in g.subjects and (g.peers is None or peer in g.peers)
        ]
        assert set(side.admitting) <= set(by_grants)
        anyport = [rule for rule in by_grants if rule[0].rules(direction)[rule[1]].ports is None]  # type: ignore[index]
        assert set(anyport) <= set(side.admitting)


@given(
    st.sampled_from(["10.0.0.0/8", "10.0.0.0/31", "::/0", "0.0.0.0/0", "::ffff:10.0.0.0/104", "fd00::/127"]),
    st.lists(
        st.sampled_from(["10.0.0.0/9", "10.0.0.0/24", "10.0.0.1/32", "fd00::1/128", "10.255.255.255/32"])
    ),
    st.sampled_from(
        [
            "10.0.0.0",
            "10.0.0.1",
            "10.0.1.0",
            "10.255.255.255",
            "11.0.0.0",
            "fd00::",
            "fd00::1",
            "::ffff:10.0.0.1",
            "x",
        ]
    ),
)
def test_a_block_holds_what_is_in_it_less_its_holes(cidr: str, holes: list[str], ip: str) -> None:
    found = address(ip)
    expected = found is not None and found in network(cidr) and not any(found in network(h) for h in holes)
    assert (ip in IPBlock(cidr, tuple(holes))) is expected


# ---- the samples ----


def sample(name: str) -> tuple[Policy, ...]:
    folder = SAMPLES / name / "network-policies"
    if not folder.is_dir():
        pytest.skip(f"no samples of {name} beside the project")
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    return tuple(
        policy for name, text in texts.items() if "kind: NetworkPolicy" in text for policy in load(text, name)
    )


def app(name: str) -> Endpoint:
    return Endpoint("default", labels_of({"app": name}), name=f"{name}-1")


BOUTIQUE = {
    ("loadgenerator", "frontend", 8080), ("frontend", "adservice", 9555), ("frontend", "cartservice", 7070),
    ("checkoutservice", "cartservice", 7070), ("cartservice", "redis-cart", 6379),
    ("frontend", "checkoutservice", 5050), ("recommendationservice", "productcatalogservice", 3550),
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "destination", "port", "allowed"),
    [
        *((*edge, True) for edge in sorted(BOUTIQUE)),
        ("loadgenerator", "cartservice", 7070, False),
        ("adservice", "redis-cart", 6379, False),
        ("cartservice", "redis-cart", 6380, False),
        ("frontend", "loadgenerator", 80, False),
    ],
)
def test_online_boutique(source: str, destination: str, port: int, allowed: bool) -> None:
    judge = Judge(sample("online-boutique"), {})
    assert judge.verdict(app(source), app(destination), "TCP", port).allowed is allowed


def test_sock_shop_opens_cart_where_the_pods_are_called_carts() -> None:
    """``cart-access`` was written for pods that do not exist: the front end is refused at carts."""
    judge = Judge(sample("sock-shop"), {})
    front, carts, catalogue = (
        Endpoint("sock-shop", labels_of({"name": name}), name=f"{name}-1")
        for name in ("front-end", "carts", "catalogue")
    )
    assert judge.verdict(front, catalogue, "TCP", 80).allowed
    refused = judge.verdict(front, carts, "TCP", 80)
    assert not refused.allowed
    assert [str(policy) for policy in refused.ingress.isolating] == ["sock-shop/cortex-access"]
    (cart,) = (g for g in judge.grants([front, carts], "ingress") if g.policy.name == "cart-access")
    assert (cart.subjects, cart.peers) == ((), (front,))


def flat(policies: int) -> Iterator[Policy]:
    for n in range(policies):
        yield policy(f"{{podSelector: {{matchLabels: {{app: a{n}}}}}, ingress: [{{from: [{{podSelector: "
                     f"{{matchLabels: {{app: a{n + 1}}}}}}}]}}]}}", f"p{n}")  # fmt: skip


def test_a_crowded_namespace_asks_few_selectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 policies in one namespace, 2,000 pods: each pod is held against the few it could match."""
    asked = 0
    matches = type(EVERYTHING).matches

    def counting(self: Any, labels: Any) -> bool:
        nonlocal asked
        asked += 1
        return matches(self, labels)

    judge = Judge(flat(2000), {})
    pods = [pod("shop", f"a{n}", labels={"part-of": "shop"}) for n in range(2000)]
    monkeypatch.setattr(type(EVERYTHING), "matches", counting)
    assert sum(len(grant.peers or ()) for grant in judge.grants(pods, "ingress")) == 1999
    assert asked < 10_000
