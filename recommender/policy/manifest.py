"""NetworkPolicy YAML to Policy and back.

Read as strictly as the API server and ``kubectl apply`` read: what they refuse is an error
here, unknown fields and repeated keys too. Sources: ``ValidateNetworkPolicy`` and
``SetDefaults_NetworkPolicy`` in Kubernetes (pkg/apis/networking), and the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from textwrap import indent
from typing import Any, Final

import yaml

from recommender.errors import ManifestError
from recommender.policy.documents import FieldPath, documents, line_of
from recommender.policy.model import (
    DIRECTIONS,
    PROTOCOLS,
    Direction,
    IPBlock,
    Peer,
    Policy,
    PortRange,
    Protocol,
    Rule,
    network,
)
from recommender.policy.node import Node, Source
from recommender.policy.selector import (
    EVERYTHING,
    OPERATORS,
    Requirement,
    Selector,
    is_dns_label,
    is_subdomain,
    labels_of,
)
from recommender.text import printable

try:
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # PyYAML without libyaml: slower, same meaning
    from yaml import SafeDumper  # type: ignore[assignment]

API_VERSION: Final = "networking.k8s.io/v1"
_METADATA = (
    "name", "namespace", "labels", "annotations", "creationTimestamp", "deletionGracePeriodSeconds",
    "deletionTimestamp", "finalizers", "generateName", "generation", "managedFields", "ownerReferences",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_PEERS: Final[dict[Direction, str]] = {"ingress": "from", "egress": "to"}
_TYPES: Final[dict[str, Direction]] = {"Ingress": "ingress", "Egress": "egress"}
_PORT_NAME = re.compile(r"(?=[0-9-]*[a-z])(?=.{1,15}\Z)[a-z0-9]+(-[a-z0-9]+)*")


def policy_from(
    obj: Mapping[str, Any],
    *,
    file: str = "",
    line: Callable[[FieldPath], int | None] = lambda _: None,
    root: FieldPath = (),
) -> Policy:
    """The policy that a decoded manifest stands for.

    Args:
        obj: the manifest, as YAML or JSON decodes it.
        file: where it came from; kept as ``Policy.origin``, named in errors.
        line: tells the line of a field in the document; asked only when there is an error.
        root: where in its document the object stands, such as ("items", 0); fields are named from there.

    Raises:
        ManifestError: what the API server would refuse, with the field, and the line where known.
    """
    node = Node(obj, root, Source(file, line))
    top = node.mapping()
    node.required(top, "kind").one_of(("NetworkPolicy",))
    node.required(top, "apiVersion").one_of((API_VERSION,))
    node.fields("apiVersion", "kind", "metadata", "spec", "status")
    metadata = node.required(top, "metadata")
    about = metadata.fields(*_METADATA)
    name = metadata.required(about, "name").passing(
        is_subdomain, "a DNS-1123 subdomain of at most 253 characters"
    )
    namespace = "default"
    if "namespace" in about:
        namespace = about["namespace"].passing(is_dns_label, "a DNS-1123 label of at most 63 characters")
    if "annotations" in about:
        about["annotations"].strings()
    labels = labels_of(about["labels"].labels()) if "labels" in about else ()
    spec = top["spec"].fields("podSelector", "policyTypes", *DIRECTIONS) if "spec" in top else {}
    subjects = _selector(spec["podSelector"]) if "podSelector" in spec else EVERYTHING
    rules = {d: tuple(_rule(n, d) for n in spec[d].items()) if d in spec else () for d in DIRECTIONS}
    directions = _directions(spec["policyTypes"]) if "policyTypes" in spec else ()
    if not directions:
        directions = DIRECTIONS if rules["egress"] else ("ingress",)
    ingress, egress = (rules[d] if d in directions else None for d in DIRECTIONS)
    return Policy(namespace, name, subjects, ingress, egress, labels, file)


def policy_to(policy: Policy) -> dict[str, Any]:
    """The manifest of a policy as plain values, keys in the order people write them.

    Raises:
        ValueError: a policy of neither direction, which YAML would turn into one that isolates ingress.
    """
    if policy.ingress is None and policy.egress is None:
        raise ValueError(f"{policy} isolates in neither direction, which no manifest can say")
    metadata: dict[str, Any] = {"name": policy.name, "namespace": policy.namespace}
    if policy.labels:
        metadata["labels"] = dict(policy.labels)
    spec: dict[str, Any] = {
        "podSelector": _selector_to(policy.subjects),
        "policyTypes": [name for name, d in _TYPES.items() if policy.rules(d) is not None],
    }
    for direction in DIRECTIONS:
        rules = policy.rules(direction)
        if rules is not None:
            spec[direction] = [_rule_to(rule, direction) for rule in rules]
    return {"apiVersion": API_VERSION, "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def render(policies: Iterable[Policy], comments: bool = True) -> str:
    """Policies as one YAML text, a document each, by namespace and name: same policies, same bytes.

    ``comments`` puts the ``why`` of a rule on a line before it.
    """
    documents = sorted((policy.key, _document(policy, comments)) for policy in policies)
    return "---\n".join(text for _, text in documents)


def load(text: str, file: str = "") -> tuple[Policy, ...]:
    """The policies of a YAML (or JSON) text: any number of documents, each a NetworkPolicy or a List of them.

    Raises:
        ManifestError: no YAML, another kind of object, or what the API server would refuse.
    """
    found: list[Policy] = []
    for place, document in enumerate(documents(text, file)):
        line = partial(line_of, text, place)
        if isinstance(document, dict) and document.get("kind") in ("List", "NetworkPolicyList"):
            items = document.get("items")
            if not isinstance(items, list):
                raise ManifestError("must be a list", file=file, line=line(("items",)), field="items")
            found += (
                policy_from(item, file=file, line=line, root=("items", n)) for n, item in enumerate(items)
            )
        elif document is not None:
            found.append(policy_from(document, file=file, line=line))
    return tuple(found)


class _Dumper(SafeDumper):
    """Quotes what any reader of YAML 1.1 or 1.2 could take for something else than a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _on_one_line(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else None)


_Dumper.add_representer(str, _on_one_line)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+.]?[0-9][\w.+:-]*\Z"), list("-+.0123456789")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))


def _dump(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=1_000_000)
    return text


def _document(policy: Policy, comments: bool) -> str:
    manifest = policy_to(policy)
    sections = {d: manifest["spec"].pop(d) for d in DIRECTIONS if d in manifest["spec"]}
    text = _dump(manifest)
    for direction, items in sections.items():
        text += f"  {direction}:{'' if items else ' []'}\n"
        for rule, item in zip(policy.rules(direction) or (), items, strict=True):
            if comments and rule.why:
                text += f"  # {printable(rule.why)}\n"
            text += indent(_dump([item]), "  ")
    return text


def _selector_to(selector: Selector) -> dict[str, Any]:
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for r in selector.requirements:
        if r.operator == "In" and len(r.values) == 1 and r.key not in labels:
            labels[r.key] = r.values[0]
        else:
            values = {"values": list(r.values)} if r.values else {}
            expressions.append({"key": r.key, "operator": r.operator, **values})
    written = {"matchLabels": labels, "matchExpressions": expressions}
    return {name: value for name, value in written.items() if value}


def _rule_to(rule: Rule, direction: Direction) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if rule.peers is not None:
        written[_PEERS[direction]] = [_peer_to(peer) for peer in rule.peers]
    if rule.ports is not None:
        written["ports"] = [_port_to(port) for port in rule.ports]
    return written


def _peer_to(peer: Peer) -> dict[str, Any]:
    if peer.block is not None:
        holes = {"except": list(peer.block.excepted)} if peer.block.excepted else {}
        return {"ipBlock": {"cidr": peer.block.cidr, **holes}}
    selectors = {"namespaceSelector": peer.namespaces, "podSelector": peer.pods}
    return {name: _selector_to(selector) for name, selector in selectors.items() if selector is not None}


def _port_to(port: PortRange) -> dict[str, Any]:
    written = {"protocol": port.protocol, "port": port.port, "endPort": port.end}
    return {name: value for name, value in written.items() if value is not None}


def _directions(node: Node) -> tuple[Direction, ...]:
    items = node.items()
    if len(items) > len(_TYPES):
        raise node.fault("may not name more than two policy types")
    return tuple(_TYPES[item.one_of(tuple(_TYPES))] for item in items)


def _rule(node: Node, direction: Direction) -> Rule:
    fields = node.fields(_PEERS[direction], "ports")
    peers = fields[_PEERS[direction]].items() if _PEERS[direction] in fields else []
    ports = fields["ports"].items() if "ports" in fields else []
    return Rule(tuple(map(_peer, peers)) or None, tuple(map(_port, ports)) or None)


def _peer(node: Node) -> Peer:
    fields = node.fields("podSelector", "namespaceSelector", "ipBlock")
    if not fields:
        raise node.fault("must have a podSelector, a namespaceSelector or an ipBlock")
    if "ipBlock" in fields:
        if len(fields) > 1:
            raise node.fault("may not have selectors beside an ipBlock", "ipBlock")
        return Peer(block=_block(fields["ipBlock"]))
    namespaces, pods = (
        _selector(fields[name]) if name in fields else None for name in ("namespaceSelector", "podSelector")
    )
    return Peer(namespaces, pods)


def _block(node: Node) -> IPBlock:
    fields = node.fields("cidr", "except")
    cidr = node.required(fields, "cidr")
    whole = network(cidr.cidr())
    holes = fields["except"].items() if "except" in fields else []
    for hole in holes:
        part = network(hole.cidr())
        inside = part.version == whole.version and part.network_address in whole
        if not inside or part.prefixlen <= whole.prefixlen:
            raise hole.fault(f"must be a strict part of {cidr.value}")
    return IPBlock(cidr.text(), tuple(hole.text() for hole in holes))


def _port(node: Node) -> PortRange:
    fields = node.fields("protocol", "port", "endPort")
    protocol: Protocol = fields["protocol"].one_of(PROTOCOLS) if "protocol" in fields else "TCP"
    port: int | str | None = None
    if "port" in fields:
        given = fields["port"]
        if isinstance(given.value, str):
            port = given.passing(
                _is_port_name, "a port name of at most 15 characters (or a number, without quotes)"
            )
        else:
            port = given.port_number()
    end = None
    if "endPort" in fields:
        end = fields["endPort"].port_number()
        if not isinstance(port, int):
            raise fields["endPort"].fault("needs a port that is a number")
        if end < port:
            raise fields["endPort"].fault(f"must not be below the port, {port}")
    return PortRange(protocol, port, end)


def _selector(node: Node) -> Selector:
    fields = node.fields("matchLabels", "matchExpressions")
    found: list[Requirement] = []
    if "matchLabels" in fields:
        found += Selector.of(fields["matchLabels"].labels()).requirements
    for item in fields["matchExpressions"].items() if "matchExpressions" in fields else []:
        parts = item.fields("key", "operator", "values")
        key = item.required(parts, "key").label_key()
        operator = item.required(parts, "operator").one_of(OPERATORS)
        values = tuple(value.label_value() for value in parts["values"].items()) if "values" in parts else ()
        try:
            found.append(Requirement(key, operator, values))
        except ValueError as error:
            raise item.fault(str(error), "values") from None
    return Selector(tuple(found))


def _is_port_name(text: str) -> bool:
    return _PORT_NAME.fullmatch(text) is not None
