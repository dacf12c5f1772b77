"""NetworkPolicy YAML to Policy and back.

Read as strictly as the API server and ``kubectl apply`` read: what they refuse is an error
here, unknown fields and repeated keys too. Sources: ``ValidateNetworkPolicy`` and
``SetDefaults_NetworkPolicy`` in Kubernetes (pkg/apis/networking), and the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Any, Final, TypeVar

import yaml

from recommender.errors import ManifestError
from recommender.policy.documents import MOST_ELEMENTS, FieldPath, documents, line_of
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
from recommender.policy.selector import EVERYTHING, OPERATORS, Requirement, Selector, labels_of
from recommender.text import printable

try:
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # PyYAML without libyaml: slower, same meaning
    from yaml import SafeDumper  # type: ignore[assignment]

__all__ = ["documents", "line_of", "load", "policy_from", "policy_to", "render"]

Word = TypeVar("Word", bound=str)
API_VERSION: Final = "networking.k8s.io/v1"
_METADATA = (
    "name", "namespace", "labels", "annotations", "creationTimestamp", "deletionGracePeriodSeconds",
    "deletionTimestamp", "finalizers", "generateName", "generation", "managedFields", "ownerReferences",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
_PEERS: Final[dict[Direction, str]] = {"ingress": "from", "egress": "to"}
_TYPES: Final[dict[str, Direction]] = {"Ingress": "ingress", "Egress": "egress"}
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMESPACE = re.compile(_DNS_LABEL)
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"(?=[0-9-]*[a-z])[a-z0-9]+(-[a-z0-9]+)*")


def policy_from(
    obj: Mapping[str, Any], *, file: str = "", line: Callable[[FieldPath], int | None] | None = None
) -> Policy:
    """The policy that a decoded manifest stands for.

    Args:
        obj: the manifest, as YAML or JSON decodes it.
        file: where it came from; kept as ``Policy.origin``, named in errors.
        line: tells the line of a path in the object; asked only when there is an error.

    Raises:
        ManifestError: what the API server would refuse, with the field, and the line where known.
    """
    root = _Node(obj, (), _Source(file, line or (lambda _: None)))
    top = root.mapping()
    root.required(top, "kind").one_of(("NetworkPolicy",))
    root.required(top, "apiVersion").one_of((API_VERSION,))
    root.fields("apiVersion", "kind", "metadata", "spec", "status")
    metadata = root.required(top, "metadata")
    about = metadata.fields(*_METADATA)
    name = metadata.required(about, "name").matching(_SUBDOMAIN, 253, "a DNS-1123 subdomain")
    namespace = "default"
    if "namespace" in about:
        namespace = about["namespace"].matching(_NAMESPACE, 63, "a DNS-1123 label")
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
        parts: list[tuple[FieldPath, Any]] = [((), document)]
        if isinstance(document, dict) and document.get("kind") in ("List", "NetworkPolicyList"):
            items = document.get("items")
            if not isinstance(items, list):
                raise ManifestError("must be a list", file=file, line=line_of(text, place, ()), field="items")
            parts = [(("items", index), item) for index, item in enumerate(items)]
        elif document is None:
            continue
        for root, part in parts:

            def line(path: FieldPath, place: int = place, root: FieldPath = root) -> int | None:
                return line_of(text, place, root + path)

            found.append(policy_from(part, file=file, line=line))
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


def _directions(node: _Node) -> tuple[Direction, ...]:
    items = node.items()
    if len(items) > len(_TYPES):
        raise node.fault("may not name more than two policy types")
    return tuple(_TYPES[item.one_of(tuple(_TYPES))] for item in items)


def _rule(node: _Node, direction: Direction) -> Rule:
    fields = node.fields(_PEERS[direction], "ports")
    peers = fields[_PEERS[direction]].items() if _PEERS[direction] in fields else []
    ports = fields["ports"].items() if "ports" in fields else []
    return Rule(tuple(map(_peer, peers)) or None, tuple(map(_port, ports)) or None)


def _peer(node: _Node) -> Peer:
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


def _block(node: _Node) -> IPBlock:
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


def _port(node: _Node) -> PortRange:
    fields = node.fields("protocol", "port", "endPort")
    protocol: Protocol = fields["protocol"].one_of(PROTOCOLS) if "protocol" in fields else "TCP"
    port: int | str | None = None
    if "port" in fields:
        given = fields["port"]
        if isinstance(given.value, str):
            port = given.matching(_PORT_NAME, 15, "a port name (or a number, without quotes)")
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


def _selector(node: _Node) -> Selector:
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


@dataclass(slots=True)
class _Source:
    """Where an object came from, and how many of its elements have been looked at."""

    file: str
    line: Callable[[FieldPath], int | None]
    elements: int = 0


@dataclass(frozen=True, slots=True)
class _Node:
    """A value in a manifest that knows its place, so that every complaint names it."""

    value: object
    path: FieldPath
    source: _Source

    def fault(self, reason: str, *below: str) -> ManifestError:
        path = self.path + below
        field = ""
        for step in path:
            plain = isinstance(step, str) and step.isidentifier()
            field += f".{step}" if plain else f"[{printable(str(step), 80)}]"
        return ManifestError(
            reason, file=self.source.file, line=self.source.line(path), field=field.removeprefix(".")
        )

    def wrong(self, expected: str) -> ManifestError:
        match self.value:
            case None:
                given = "is empty"
            case bool():
                given = f"is the boolean {str(self.value).lower()} (in quotes it is a string)"
            case int() | float() if abs(self.value) < 1e18:
                given = f"is the number {self.value} (in quotes it is a string)"
            case str():
                given = f"is {printable(self.value, 60)!r}"
            case _:
                given = f"is a {type(self.value).__name__}"
        return self.fault(f"must be {expected}, {given}")

    def mapping(self) -> dict[str, _Node]:
        """What is set in a mapping: an explicit null is an absent field, as in the API."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("a mapping")
        return {str(key): self._below(str(key), v) for key, v in self.value.items() if v is not None}

    def fields(self, *known: str) -> dict[str, _Node]:
        """What is set in a mapping that has no other fields than these."""
        for key in self.value if isinstance(self.value, Mapping) else ():
            if key not in known:
                raise self.fault(f"unknown field; known here: {', '.join(known)}", str(key))
        return self.mapping()

    def required(self, fields: Mapping[str, _Node], name: str) -> _Node:
        if name not in fields:
            raise self.fault("is required", name)
        return fields[name]

    def items(self) -> list[_Node]:
        if not isinstance(self.value, list | tuple):
            raise self.wrong("a list")
        return [self._below(index, value) for index, value in enumerate(self.value)]

    def _below(self, step: str | int, value: object) -> _Node:
        # Aliases let a small text stand for an endless object.
        self.source.elements += 1
        if self.source.elements > MOST_ELEMENTS:
            raise self.fault(f"the object has more than {MOST_ELEMENTS} elements")
        return _Node(value, (*self.path, step), self.source)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def one_of(self, known: tuple[Word, ...]) -> Word:
        text = self.text()
        for word in known:
            if word == text:
                return word
        raise self.wrong(" or ".join(known))

    def matching(self, form: re.Pattern[str], longest: int, meant: str) -> str:
        text = self.text()
        if len(text) > longest or not form.fullmatch(text):
            raise self.wrong(f"{meant} of at most {longest} characters")
        return text

    def port_number(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 1 <= self.value <= 65535:
            raise self.wrong("a number within 1..65535")
        return self.value

    def cidr(self) -> str:
        text = self.text()
        try:
            if not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]+", text):
                raise ValueError
            network(text)
        except ValueError:
            raise self.wrong("a CIDR such as 10.0.0.0/8 or 2001:db8::/32") from None
        return text

    def strings(self) -> dict[str, str]:
        """A mapping of strings to strings."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("a mapping")
        below = {key: self._below(str(key), value) for key, value in self.value.items()}
        return {_Node(key, node.path, self.source).text(): node.text() for key, node in below.items()}

    def labels(self) -> dict[str, str]:
        """A mapping of label keys to label values."""
        found = self.strings()
        for key, value in found.items():
            below = self._below(key, value)
            below.label_value()
            _Node(key, below.path, self.source).label_key()
        return found

    def label_key(self) -> str:
        prefix, slash, name = self.text().rpartition("/")
        sound = len(name) <= 63 and _QUALIFIED.fullmatch(name)
        if not sound or (slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))):
            raise self.wrong("a label key")
        return self.text()

    def label_value(self) -> str:
        if self.text() == "":
            return ""
        return self.matching(_QUALIFIED, 63, "empty or a label value")
