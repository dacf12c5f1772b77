"""What a file that is no Hubble log looks like, so that the error can say what it was given."""

from __future__ import annotations

import re
from typing import Final

_LOOKS: Final[tuple[tuple[str, re.Pattern[bytes]], ...]] = tuple(
    (name, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for name, pattern in (
        ("a web page (HTML)", rb"\A\s*<(?:!doctype html|html|head|body)"),
        ("XML", rb"\A\s*<\?xml"),
        ("Kubernetes YAML", rb"^apiVersion:\s*\S+"),
        ("Kubernetes JSON", rb'"apiVersion"\s*:'),
        ("a Calico iptables log", rb"\bcalico-packet\b|\bIN=\S* OUT=\S* .*\bSRC=\S+ DST=\S+"),
        (
            "an Antrea network policy log (np.log)",
            rb"\b(?:Antrea(?:Cluster)?|K8s)NetworkPolicy\b.*\b(?:Allow|Drop|Reject)\b",
        ),
        ("a GKE policy-action log", rb'"disposition"\s*:\s*"(?:allow|deny)"'),
        ("an AWS network policy agent log", rb"Flow Info|\bSIP: ?\S+;SPORT:|ebpf-client"),
        (
            "AWS VPC flow logs",
            rb"^version account-id|^\d+ \d{12} eni-[0-9a-f]+ |^(?=[^\n]*\bsrcaddr\b)[a-z][a-z0-9 -]*\r?$",
        ),
        ("Antrea flow records, as for Theia", rb"\bflowStartSeconds\b"),
        ("an OVN ACL log", rb"\bacl_log\("),
        ("Calico flow logs", rb'"(?:source_name_aggr|dest_name_aggr|dest_namespace)"'),
        (
            "text from cilium monitor",
            rb"^Policy verdict log: flow |^(?:->|<-|xx) .*\bidentity\b|^Listening for events",
        ),
        (
            "the text form of hubble observe (write JSON, with -o jsonpb)",
            rb"\b(?:FORWARDED|DROPPED|AUDITED?)\b \(|^ *TIMESTAMP(?:: |\s+(?:NODE\s+)?SOURCE\b)",
        ),
        ("a conntrack table", rb"\bsrc=\S+ dst=\S+ .*\bsrc=\S+ dst=\S+"),
        ("an Istio ztunnel log", rb"\bsrc\.addr=\S+.*\bdst\.addr=|\"src\.addr\"\s*:"),
        (
            "an Envoy access log",
            rb'"(?:upstream_cluster|response_flags)"\s*:|^\[\d{4}-\d\d-\d\dT[^\]\n]*\] "[^"\n]*" \d',
        ),
        (
            "the log of cilium-agent",
            rb'\blevel=\w+ .*\b(?:subsys=|module=agent\b)|"subsys"\s*:|"module"\s*:\s*"agent\b',
        ),
        (
            "a program's log",
            rb"\blevel=\w+ .*\bmsg=|^[IWEF]\d{4} [\d:.]+ +\d+ \S+\] "
            rb'|\A\s*\{(?=[^\n]*"level"\s*:\s*")[^\n]*"(?:msg|message)"\s*:\s*"',
        ),
        ("CSV", rb"\A[^\n{}\[\]<>]*[^\n{}\[\]<>,;\t]([,;\t])[^\n]*\1[^\n]*\n[^\n]*\1[^\n]*\1"),
        ("YAML", rb"\A(?:---|[\w.-]+:\s)"),
        ("a Hubble flow that is damaged or cut off", rb'\A\s*\[?\s*\{\s*"flow"\s*:'),
        ("JSON, but none of Hubble's", rb"\A\s*[\[{]"),
    )
)


_NOTHING: Final = "text of some other kind"
VAGUE: Final = frozenset({"JSON, but none of Hubble's", "a Hubble flow that is damaged or cut off", _NOTHING})
"""Looks that a file with some Hubble flows in it has too."""


def looks_like(head: bytes) -> str:
    """What the first bytes of a file look like, in words for a person."""
    if not head.strip():
        return "an empty file"
    if b"\0" in head or sum(byte < 9 or 13 < byte < 32 for byte in head) * 10 > len(head):
        return "binary data"
    return next((name for name, pattern in _LOOKS if pattern.search(head)), _NOTHING)
