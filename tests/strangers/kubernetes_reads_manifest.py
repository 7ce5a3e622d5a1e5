"""D25: every field of the manifest in deploy/ is one that Kubernetes' own client knows, of the type that it has there."""

import os
import pathlib
import re

import yaml
from kubernetes import client

KINDS = {
    "ConfigMap": client.V1ConfigMap,
    "ServiceAccount": client.V1ServiceAccount,
    "Deployment": client.V1Deployment,
    "Service": client.V1Service,
    "PodDisruptionBudget": client.V1PodDisruptionBudget,
    "Pod": client.V1Pod,
}
VERSIONS = {"Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1"}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check(value, kind, path):
    """Fails where `value` is not of `kind`, which is a type as the client writes it."""
    if (inner := re.fullmatch(r"[Ll]ist\[(.*)\]", kind)) is not None:
        assert isinstance(value, list), (path, value)
        for place, item in enumerate(value):
            check(item, inner[1], f"{path}[{place}]")
    elif (inner := re.fullmatch(r"[Dd]ict[\[(]str, (.*)[\])]", kind)) is not None:
        assert isinstance(value, dict), (path, value)
        for name, item in value.items():
            check(item, inner[1], f"{path}.{name}")
    elif kind in PLAIN:
        fits = isinstance(value, PLAIN[kind]) and not (kind == "int" and isinstance(value, bool))
        assert fits, (path, kind, value)
    elif kind == "object":  # a number or a text
        assert isinstance(value, (int, str)), (path, value)
    else:
        model = getattr(client, kind)
        names = {written: name for name, written in model.attribute_map.items()}
        assert isinstance(value, dict), (path, value)
        for name, item in value.items():
            assert name in names, f"{path}: {kind} has no {name}"
            check(item, model.openapi_types[names[name]], f"{path}.{name}")
        # The model refuses what misses a field that is required.
        model(**{names[name]: item for name, item in value.items()})


manifest = pathlib.Path(os.environ["PROJECT"]) / "deploy" / "kubernetes.yaml"
documents = list(yaml.safe_load_all(manifest.read_text()))
for document in documents:
    kind = document["kind"]
    assert document["apiVersion"] == VERSIONS.get(kind, "v1"), document
    check(document, KINDS[kind].__name__, kind)

for wrong in [{"replica": 3}, {"replicas": "three"}, {"replicas": True}]:
    try:
        check({**documents[2], "spec": {**documents[2]["spec"], **wrong}}, "V1Deployment", "wrong")
    except AssertionError:
        continue
    raise SystemExit(f"accepted: {wrong}")
