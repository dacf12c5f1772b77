"""NetworkPolicy YAML: what is read, what is refused and how it is said, and that nothing is lost on the way."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import ManifestError
from recommender.policy.documents import documents
from recommender.policy.judge import Judge
from recommender.policy.manifest import load, policy_from, policy_to, render
from recommender.policy.model import PROTOCOLS, Endpoint, IPBlock, Peer, Policy, PortRange, Rule
from recommender.policy.selector import EVERYTHING, OPERATORS, Requirement, Selector, labels_of

HEAD = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n"
WEB = Selector.of({"app": "web"})


def spec(text: str) -> Policy:
    (policy,) = load(HEAD + "spec: " + text)
    return policy


@pytest.mark.parametrize(
    ("text", "ingress", "egress"),
    [
        pytest.param("{podSelector: {}}", (), None, id="no section: ingress is isolated"),
        pytest.param("{podSelector: {}, ingress: []}", (), None, id="an empty section admits nothing"),
        pytest.param("{podSelector: {}, ingress: null}", (), None, id="null is absent"),
        pytest.param("{podSelector: {}, ingress: [{}]}", (Rule(None, None),), None, id="an empty rule"),
        pytest.param(
            "{podSelector: {}, egress: [{}]}", (), (Rule(None, None),), id="egress rules imply Egress"
        ),
        pytest.param("{podSelector: {}, egress: []}", (), None, id="no egress rules do not"),
        pytest.param("{policyTypes: [], egress: [{}]}", (), (Rule(None, None),), id="no types named"),
        pytest.param("{policyTypes: [Egress]}", None, (), id="Egress alone"),
        pytest.param(
            "{policyTypes: [Egress], ingress: [{}]}", None, (), id="Egress alone beside ingress rules"
        ),
        pytest.param(
            "{policyTypes: [Ingress], egress: [{}]}", (), None, id="Ingress alone beside egress rules"
        ),
        pytest.param("{policyTypes: [Egress, Ingress]}", (), (), id="both"),
        pytest.param(
            "{ingress: [{from: [], ports: []}, {from: null, ports: null}]}",
            (Rule(None, None), Rule(None, None)),
            None,
            id="empty or null peers and ports are any",
        ),
        pytest.param(
            "{ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}, {podSelector: {}, namespaceSelector: {}},"
            " {podSelector: null, namespaceSelector: {}}]}]}",
            (
                Rule(
                    (
                        Peer(pods=EVERYTHING),
                        Peer(namespaces=EVERYTHING),
                        Peer(EVERYTHING, EVERYTHING),
                        Peer(namespaces=EVERYTHING),
                    ),
                    None,
                ),
            ),
            None,
            id="an empty selector and none at all are two things",
        ),
        pytest.param(
            "{ingress: [{ports: [{}, {port: 80}, {port: http, protocol: UDP}, {port: 1, endPort: 9}]}]}",
            (
                Rule(
                    None,
                    (
                        PortRange("TCP"),
                        PortRange("TCP", 80),
                        PortRange("UDP", "http"),
                        PortRange("TCP", 1, 9),
                    ),
                ),
            ),
            None,
            id="ports are TCP unless they say otherwise",
        ),
        pytest.param(
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: '::/0'}}]}]}",
            (Rule((Peer(block=IPBlock("10.0.0.1/8", ("10.1.0.0/16",))), Peer(block=IPBlock("::/0"))), None),),
            None,
            id="blocks as they are written",
        ),
    ],
)
def test_a_spec_is_read_as(
    text: str, ingress: tuple[Rule, ...] | None, egress: tuple[Rule, ...] | None
) -> None:
    policy = spec(text)
    assert (policy.ingress, policy.egress) == (ingress, egress)


def test_subjects_and_everything_about_the_object() -> None:
    text = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web.v1
  labels: {app.kubernetes.io/part-of: shop}
  annotations: {example.com/note: "any text, of any length"}
  uid: 6ff5
  creationTimestamp: 2024-01-01T00:00:00Z
  managedFields: [{manager: kubectl}]
spec:
  podSelector:
    matchLabels: {app: web, empty: ""}
    matchExpressions:
    - {key: tier, operator: NotIn, values: [b, a]}
    - {key: old, operator: DoesNotExist, values: []}
status: {}
"""
    (policy,) = load(text, "web.yaml")
    assert policy == Policy(
        "default",
        "web.v1",
        Selector(
            (
                Requirement("app", "In", ("web",)),
                Requirement("empty", "In", ("",)),
                Requirement("tier", "NotIn", ("a", "b")),
                Requirement("old", "DoesNotExist"),
            )
        ),
        (),
        None,
        (("app.kubernetes.io/part-of", "shop"),),
        "web.yaml",
    )


PEER = "spec.ingress[0].from[0]"
PORT = "spec.ingress[0].ports[0]"


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        pytest.param("[]", "spec", "must be a mapping, is a list", id="spec: a list"),
        pytest.param("{podselector: {}}", "spec.podselector", "unknown field", id="an unknown field"),
        pytest.param("{ingress: {}}", "spec.ingress", "must be a list", id="ingress: a mapping"),
        pytest.param("{ingress: [null]}", "spec.ingress[0]", "must be a mapping, is empty", id="a null rule"),
        pytest.param("{ingress: [{to: []}]}", "spec.ingress[0].to", "unknown field", id="to in ingress"),
        pytest.param("{egress: [{from: []}]}", "spec.egress[0].from", "unknown field", id="from in egress"),
        pytest.param(
            "{policyTypes: Ingress}", "spec.policyTypes", "must be a list, is 'Ingress'", id="types: no list"
        ),
        pytest.param(
            "{policyTypes: [ingress]}",
            "spec.policyTypes[0]",
            "must be Ingress or Egress",
            id="types: lower case",
        ),
        pytest.param(
            "{policyTypes: [Ingress, Egress, Ingress]}",
            "spec.policyTypes",
            "more than two",
            id="types: three",
        ),
        pytest.param("{ingress: [{from: [null]}]}", PEER, "must be a mapping", id="peer: null"),
        pytest.param("{ingress: [{from: [{}]}]}", PEER, "must have a podSelector", id="peer: empty"),
        pytest.param(
            "{ingress: [{from: [{podSelector: {matchLabel: {}}}]}]}",
            f"{PEER}.podSelector.matchLabel",
            "unknown field",
            id="selector: a misspelt field",
        ),
        pytest.param(
            "{ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
            f"{PEER}.ipBlock",
            "may not have selectors beside",
            id="peer: ipBlock and a selector",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {app: yes}}}",
            "spec.podSelector.matchLabels.app",
            "is the boolean true",
            id="label: yes",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {app: 1e3}}}",
            "spec.podSelector.matchLabels.app",
            "is the number 1000.0",
            id="label: 1e3",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {app: null}}}",
            "spec.podSelector.matchLabels.app",
            "is empty",
            id="label: null",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {on: x}}}",
            "spec.podSelector.matchLabels",
            "a key must be a string, is the boolean true",
            id="label key: on",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {010: x}}}",
            "spec.podSelector.matchLabels",
            "a key must be a string, is the number 8",
            id="label key: an octal number",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {app: -x}}}",
            "spec.podSelector.matchLabels.app",
            "must be empty or a label value",
            id="label value: syntax",
        ),
        pytest.param(
            f"{{podSelector: {{matchLabels: {{app: {'x' * 64}}}}}}}",
            "spec.podSelector.matchLabels.app",
            "at most 63",
            id="label value: too long",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {a/b/c: x}}}",
            "spec.podSelector.matchLabels['a/b/c']",
            "must be a label key",
            id="label key: syntax",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {'a\\nb': x}}}",
            "spec.podSelector.matchLabels",
            "must be a label key",
            id="label key: a backslash",
        ),
        pytest.param(
            "{podSelector: {matchExpressions: [{key: a, operator: Equals}]}}",
            "spec.podSelector.matchExpressions[0].operator",
            "must be In or NotIn or Exists or DoesNotExist",
            id="operator: unknown",
        ),
        pytest.param(
            "{podSelector: {matchExpressions: [{key: a, operator: In}]}}",
            "spec.podSelector.matchExpressions[0].values",
            "needs values",
            id="operator: In without values",
        ),
        pytest.param(
            "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}}",
            "spec.podSelector.matchExpressions[0].values",
            "takes no values",
            id="operator: Exists with values",
        ),
        pytest.param(
            "{podSelector: {matchExpressions: [{operator: Exists}]}}",
            "spec.podSelector.matchExpressions[0].key",
            "is required",
            id="expression: no key",
        ),
        pytest.param(
            "{ingress: [{from: [{ipBlock: {}}]}]}", f"{PEER}.ipBlock.cidr", "is required", id="no cidr"
        ),
        *(
            pytest.param(
                f"{{ingress: [{{from: [{{ipBlock: {{cidr: '{cidr}'}}}}]}}]}}",
                f"{PEER}.ipBlock.cidr",
                "must be a CIDR",
                id=f"cidr: {cidr}",
            )
            for cidr in (
                "10.0.0.1",
                "10.0.0.0/33",
                "10.0.0.0/255.0.0.0",
                "010.0.0.0/8",
                "fe80::%eth0/64",
                "x/8",
                "",
            )
        ),
        *(
            pytest.param(
                f"{{ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/16, except: ['{hole}']}}}}]}}]}}",
                f"{PEER}.ipBlock.except[0]",
                "must be a strict part of 10.0.0.0/16",
                id=f"except: {hole}",
            )
            for hole in ("10.0.0.0/16", "10.0.0.0/8", "10.1.0.0/24", "::/64")
        ),
        *(
            pytest.param(
                f"{{ingress: [{{ports: [{{port: {port}}}]}}]}}",
                f"{PORT}.port",
                reason,
                id=f"port: {port:.20}",
            )
            for port, reason in [
                ("0", "within 1..65535"),
                ("65536", "within 1..65535"),
                ("-1", "within 1..65535"),
                ("80.0", "within 1..65535"),
                ("true", "is the boolean true"),
                ("[80]", "is a list"),
                ("0x" + "f" * 9999, "must be a port name"),
                ("9" * 5000, "must be a port name"),
                ("9" * 300, "within 1..65535"),
                ("0" * 70 + "80", "within 1..65535"),
                ("'80'", "must be a port name"),
                ("HTTP", "must be a port name"),
                ("a--b", "must be a port name"),
                ("-a", "must be a port name"),
                ("a-very-long-name", "at most 15"),
            ]
        ),
        pytest.param(
            "{ingress: [{ports: [{protocol: tcp}]}]}",
            f"{PORT}.protocol",
            "must be TCP or UDP or SCTP",
            id="protocol",
        ),
        pytest.param(
            "{ingress: [{ports: [{endPort: 90}]}]}",
            f"{PORT}.endPort",
            "needs a port that is a number",
            id="endPort alone",
        ),
        pytest.param(
            "{ingress: [{ports: [{port: http, endPort: 90}]}]}",
            f"{PORT}.endPort",
            "needs a port that is a number",
            id="endPort of a name",
        ),
        pytest.param(
            "{ingress: [{ports: [{port: 80, endPort: 79}]}]}",
            f"{PORT}.endPort",
            "below the port, 80",
            id="endPort below",
        ),
        pytest.param(
            "{ingress: [{ports: [{port: 80, endPort: 70000}]}]}",
            f"{PORT}.endPort",
            "within 1..65535",
            id="endPort too high",
        ),
    ],
)
def test_a_spec_is_refused(text: str, field: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(reason)) as caught:
        spec(text)
    assert caught.value.field.startswith(field)
    assert caught.value.line == 4


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        pytest.param("kind: Pod", "kind", "must be NetworkPolicy, is 'Pod'", id="another kind"),
        pytest.param("{}", "kind", "is required", id="nothing"),
        pytest.param("[]", "", "must be a mapping", id="a list"),
        pytest.param(
            HEAD.replace("v1", "v1beta1"), "apiVersion", "must be networking.k8s.io/v1", id="version"
        ),
        pytest.param(HEAD + "specs: {}", "specs", "unknown field", id="unknown at the top"),
        pytest.param(HEAD.replace("name: web,", "nam: web,"), "metadata.nam", "unknown field", id="metadata"),
        pytest.param(HEAD.replace("name: web,", ""), "metadata.name", "is required", id="no name"),
        pytest.param(HEAD.replace("web", "Web"), "metadata.name", "must be a DNS-1123 subdomain", id="name"),
        pytest.param(
            HEAD.replace("web", '"web\\n"'), "metadata.name", "must be a DNS-1123", id="name, a newline"
        ),
        pytest.param(
            HEAD.replace("shop", "a.b"), "metadata.namespace", "must be a DNS-1123 label", id="namespace"
        ),
        pytest.param(
            HEAD.replace("shop", "1"), "metadata.namespace", "is the number 1", id="namespace, a number"
        ),
        pytest.param("kind: List\nitems: 1", "items", "must be a list", id="list without items"),
        pytest.param("kind: List\nitems: [1]", "items[0]", "must be a mapping", id="list of something else"),
    ],
)
def test_an_object_is_refused(text: str, field: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(reason)) as caught:
        load(text, "web.yaml")
    assert (caught.value.field, caught.value.file) == (field, "web.yaml")
    assert caught.value.line is not None


def test_aliases_cannot_make_an_object_endless() -> None:
    text = HEAD + (
        "spec:\n  ingress:\n  - from: &peers\n    - podSelector: &s\n        matchExpressions:\n"
        f"        - {{key: a, operator: In, values: &v [{', '.join(['x'] * 1000)}]}}\n"
    )
    text += "        - {key: a, operator: In, values: *v}\n" * 500
    with pytest.raises(ManifestError, match="more than 200,000 elements") as caught:
        load(text)
    assert caught.value.field.startswith("spec.ingress[0].from[0].podSelector.matchExpressions[")
    text += "    - podSelector: *s\n" * 50 + "  - from: *peers\n" * 50
    with pytest.raises(ManifestError, match="aliases expand to more than 1,000,000 nodes") as caught:
        load(text)
    assert caught.value.line == 510


def test_ordinary_aliases_and_merges_are_read() -> None:
    text = HEAD + (
        "spec:\n  podSelector: &web\n    matchLabels: &labels {app: web}\n  ingress:\n"
        "  - from:\n    - podSelector: *web\n    - podSelector: {matchLabels: {<<: *labels, app: api}}\n"
    )
    (policy,) = load(text)
    assert policy.ingress == (Rule((Peer(pods=WEB), Peer(pods=Selector.of({"app": "api"}))), None),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("---\n---\n# a comment\n", id="empty documents"),
        pytest.param("kind: List\napiVersion: v1\nitems: []", id="an empty list"),
    ],
)
def test_no_policies(text: str) -> None:
    assert load(text) == ()


def test_documents_and_lists_are_read_alike() -> None:
    a, b = Policy("shop", "a", WEB, (), None), Policy("shop", "b", EVERYTHING, None, ())
    listed = {"apiVersion": "v1", "kind": "List", "items": [policy_to(a), policy_to(b)], "metadata": {}}
    assert load(render([b, a])) == (a, b)
    assert load(yaml.safe_dump(listed)) == (a, b)
    assert load("---\n" + render([a]) + "---\n---\n" + render([b])) == (a, b)


def test_errors_in_later_documents_and_items_have_their_own_line() -> None:
    good = HEAD + "spec: {}\n"
    with pytest.raises(ManifestError) as caught:
        load(good + "---\n" + HEAD + "spec:\n  podSelector:\n    matchLabels:\n      app: 1\n")
    assert (caught.value.line, caught.value.field) == (12, "spec.podSelector.matchLabels.app")
    items = "".join(
        "- " + "".join("  " + line + "\n" for line in (HEAD + end).splitlines()).lstrip()
        for end in ("spec: {}", "spec:\n  ingress:\n  - ports:\n    - port: 0")
    )
    with pytest.raises(ManifestError) as caught:
        load("kind: List\nitems:\n" + items)
    assert (caught.value.line, caught.value.field) == (13, "items[1].spec.ingress[0].ports[0].port")


GOLDEN = Policy(
    "shop",
    "web",
    WEB,
    (
        Rule(
            (
                Peer(Selector.of({"kubernetes.io/metadata.name": "edge"}), Selector.of({"app": "proxy"})),
                Peer(
                    pods=Selector(
                        (Requirement("app", "In", ("api", "cart")), Requirement("old", "DoesNotExist"))
                    )
                ),
            ),
            (PortRange("TCP", "http"), PortRange("TCP", 9000, 9010)),
            "observed: 12 connections\nfrom a # pod: [x]",
        ),
        Rule(None, None),
    ),
    (Rule((Peer(block=IPBlock("0.0.0.0/0", ("10.0.0.0/8",))),), (PortRange("UDP"),), "mandatory"),),
    labels_of({"app.kubernetes.io/managed-by": "zt-recommend"}),
)
GOLDEN_TEXT = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: deny
  namespace: shop
spec:
  podSelector: {}
  policyTypes:
  - Ingress
  - Egress
  ingress: []
  egress: []
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: shop
  labels:
    app.kubernetes.io/managed-by: zt-recommend
spec:
  podSelector:
    matchLabels:
      app: web
  policyTypes:
  - Ingress
  - Egress
  ingress:
  # observed: 12 connections\\u{a}from a # pod: [x]
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: edge
      podSelector:
        matchLabels:
          app: proxy
    - podSelector:
        matchExpressions:
        - key: app
          operator: In
          values:
          - api
          - cart
        - key: old
          operator: DoesNotExist
    ports:
    - protocol: TCP
      port: http
    - protocol: TCP
      port: 9000
      endPort: 9010
  - {}
  egress:
  # mandatory
  - to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 10.0.0.0/8
    ports:
    - protocol: UDP
"""


def test_it_is_written_as_a_person_writes_it() -> None:
    deny = Policy("shop", "deny", EVERYTHING, (), ())
    assert render([GOLDEN, deny]) == GOLDEN_TEXT
    plain = "".join(line for line in GOLDEN_TEXT.splitlines(True) if not line.lstrip().startswith("#"))
    assert render([deny, GOLDEN], comments=False) == plain


@pytest.mark.parametrize(
    "value",
    ["yes", "on", "null", "~", "y", "N", "1e3", "1E3", "0x1", "0o7", "010", "1_000", ".5", "1.2.3", "2024-01-01", "=",
     "12:30", "", "true", ".inf", "1e", "-x", "a: b", "a #b", "a\nb", "a\n\n\nb\n", "\n", '"', "'", "é", "\u202e",
     "\u2028", "\x07", "\x85", "\ufeff", "--- x", "x" * 500, "a " * 200, "&a", "*a", "!x", "%x", "@x", "`x", "{",
     "[", "😀"],
)  # fmt: skip
def test_any_string_survives(value: str) -> None:
    policy = Policy(
        "shop", "web", Selector.of({"a": value}), (Rule((Peer(pods=Selector.of({"a": value})),), None),), None
    )
    text = render([policy])
    (spec,) = (document["spec"] for document in documents(text))
    assert (
        spec["podSelector"] == spec["ingress"][0]["from"][0]["podSelector"] == {"matchLabels": {"a": value}}
    )
    assert text.isascii()


@pytest.mark.parametrize("value", ["y", "1e3", "0o7", "12e03", "1.2.3", "0x1", "yes", "1_0", "2024-01-01"])
def test_what_another_reader_of_yaml_would_take_for_no_string_is_quoted(value: str) -> None:
    assert f"a: '{value}'\n" in render([Policy("shop", "web", Selector.of({"a": value}), (), None)])


def test_a_policy_of_neither_direction_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="neither direction"):
        render([Policy("shop", "web", WEB, None, None)])


@given(st.text())
def test_a_reason_cannot_leave_its_comment(why: str) -> None:
    policy = Policy("shop", "web", WEB, (Rule(None, None, why),), (Rule((Peer(pods=WEB),), None, why),))
    text = render([policy])
    assert load(text) == load(render([policy], comments=False))
    assert len(text.splitlines()) <= len(render([policy], comments=False).splitlines()) + 2


# ---- nothing is lost on the way ----

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
KEYS = st.sampled_from(["app", "tier", "example.com/part", "on", "y", "1"])
VALUES = st.sampled_from(["web", "api", "", "yes", "null", "1e3", "0x1", "1.0", "2024-01-01"])
REQUIREMENTS = st.builds(
    lambda key, operator, values: Requirement(key, operator, tuple(values) if "In" in operator else ()),
    KEYS,
    st.sampled_from(OPERATORS),
    st.lists(VALUES, min_size=1, max_size=3),
)
SELECTORS = st.builds(lambda found: Selector(tuple(found)), st.lists(REQUIREMENTS, max_size=3))
PEERS = st.one_of(
    st.builds(Peer, SELECTORS, st.none() | SELECTORS),
    st.builds(Peer, st.none(), SELECTORS),
    st.sampled_from(
        [
            Peer(block=IPBlock("10.0.0.0/8")),
            Peer(block=IPBlock("0.0.0.0/0", ("10.0.0.0/8", "192.168.0.0/16"))),
            Peer(block=IPBlock("2001:db8::/32", ("2001:db8:1::/48",))),
        ]
    ),
)
NUMBERS = st.integers(1, 65535)
PORTS = st.one_of(
    st.builds(
        PortRange,
        st.sampled_from(PROTOCOLS),
        st.none() | NUMBERS | st.sampled_from(["http", "y", "on", "1e3"]),
    ),
    st.builds(
        lambda protocol, ends: PortRange(protocol, min(ends), max(ends)),
        st.sampled_from(PROTOCOLS),
        st.tuples(NUMBERS, NUMBERS),
    ),
)


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(items, min_size=1, max_size=3).map(tuple)


RULES = st.none() | st.lists(st.builds(Rule, some(PEERS), some(PORTS), st.text(max_size=20)), max_size=3).map(
    tuple
)
POLICIES = st.builds(
    Policy,
    NAMES,
    NAMES,
    SELECTORS,
    RULES,
    RULES,
    st.dictionaries(KEYS, VALUES, max_size=2).map(labels_of),
    st.just("a file"),
).filter(lambda policy: policy.ingress is not None or policy.egress is not None)


def bare(policy: Policy) -> Policy:
    """The policy without what is told beside it."""
    ingress, egress = (
        None if rules is None else tuple(replace(rule, why="") for rule in rules)
        for rules in (policy.ingress, policy.egress)
    )
    return replace(policy, ingress=ingress, egress=egress, origin="")


ENDS = [
    Endpoint(namespace, labels_of(labels), (ip,), (("http", "TCP", 80), ("y", "UDP", 53)))
    for namespace, ip, labels in [
        ("a", "10.0.0.1", {"app": "web"}),
        ("b", "2001:db8::1", {"app": "api", "tier": "yes"}),
        (None, "93.184.216.34", {}),
    ]
]


@settings(deadline=None)
@given(st.lists(POLICIES, max_size=3, unique_by=lambda policy: policy.key))
def test_written_and_read_back_it_is_the_same(policies: list[Policy]) -> None:
    read = load(render(policies))
    assert read == tuple(sorted(map(bare, policies), key=lambda policy: policy.key))
    assert all(policy_from(policy_to(policy)) == bare(policy) for policy in policies)
    before, after = Judge(policies, {}), Judge(read, {})
    for source, target in product(ENDS, ENDS):
        assert before.reach(source, target) == after.reach(source, target)


@settings(deadline=None)
@given(st.lists(POLICIES, max_size=4), st.randoms())
def test_the_order_of_policies_does_not_change_a_byte(policies: list[Policy], shuffle: random.Random) -> None:
    shuffled = list(policies)
    shuffle.shuffle(shuffled)
    assert render(shuffled) == render(policies)
