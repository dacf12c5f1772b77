"""Objects of a snapshot that are not read, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recommender.cluster.inventory import Inventory
from recommender.errors import ManifestError

HEAD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"


def made(folder: Path, *objects: str) -> Inventory:
    path = folder / "cluster.yaml"
    path.write_text(
        HEAD + "---\n".join(f"{text}\nmetadata: {{name: x, namespace: shop}}\n" for text in objects)
    )
    return Inventory.from_manifests(path)


@pytest.mark.parametrize(
    ("objects", "note"),
    [
        (
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy",
            "1 CiliumNetworkPolicy (cilium.io) in the snapshot (the first in {file}, line 6): not judged here, "
            "so what it allows or refuses is in no verdict and no diff",
        ),
        (
            "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy",
            "1 GlobalNetworkPolicy (crd.projectcalico.org) in the snapshot (the first in {file}, line 6): not judged "
            "here, so what it allows or refuses is in no verdict and no diff",
        ),
        (
            "apiVersion: x.io/v1\nkind: Widget",
            "1 Widget (x.io) in the snapshot (the first in {file}, line 6): a kind that is not known here, not read",
        ),
    ],
)
def test_policies_of_other_kinds_and_unknown_kinds_are_named(tmp_path: Path, objects: str, note: str) -> None:
    assert made(tmp_path, objects).notes == (note.format(file=tmp_path / "cluster.yaml"),)


def test_what_is_known_and_not_needed_is_only_counted(tmp_path: Path) -> None:
    found = made(tmp_path, "apiVersion: v1\nkind: ConfigMap", "apiVersion: v1\nkind: Secret")
    assert found.ignored == {"ConfigMap (v1)": 1, "Secret (v1)": 1}
    assert found.notes == ()


def test_objects_given_twice_are_named(tmp_path: Path) -> None:
    twice = "apiVersion: v1\nkind: Service"
    assert made(tmp_path, twice, twice).notes == ("1 Service given more than once: the newest counts",)


def test_a_policy_of_an_api_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"line 5, apiVersion: is served no longer: .* networking.k8s.io/v1"
    ):
        made(tmp_path, "apiVersion: extensions/v1beta1\nkind: NetworkPolicy")
