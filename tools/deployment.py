# SPDX-License-Identifier: BSD-3-Clause
"""Renders what is in ``deploy/`` from the chart, and checks it: ``python tools/deployment.py render | check``.

Helm and kustomize are built into ``build/tools`` by ``make deploy-tools``. There is no cluster here: what is rendered
is compared with the schemas of Kubernetes, and was never applied.
"""

from __future__ import annotations

__all__ = [
    "DIGEST",
    "GOLDEN",
    "NAMESPACE",
    "VALUES",
    "VERSIONS",
    "objects_of",
    "rendered_files",
    "sources_digest",
    "validate",
]

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy/helm/butler"
VALUES = ROOT / "deploy/helm/values"
GOLDEN = ROOT / "deploy/rendered"
DIGEST = GOLDEN / "sources.sha256"
KUSTOMIZE = ROOT / "deploy/kustomize"
TOOLS = ROOT / "build/tools"

VERSIONS = ("1.32", "1.34", "1.37")
"""The versions of Kubernetes that rendered objects are valid for."""
NAMESPACE = "butler"
EXAMPLES = ("sqlite-pvc", "postgresql-files", "postgresql-s3", "mtls-oidc")
OVERLAYS = ("small", "production")
MONITORING = ("ServiceMonitor", "PrometheusRule")
_LICENCE = "# SPDX-License-Identifier: BSD-3-Clause\n"
_MADE = "# Made by `make deploy-render` from deploy/helm/butler; not to be edited.\n"
_HELM = "helm.sh/"


def rendered_files() -> Mapping[Path, str]:
    """Render everything that is kept in the repository; return the content of each file.

    Raises
    ------
    RuntimeError
        Raised if the chart refuses the values.
    """
    files = {GOLDEN / f"{name}.yaml": _LICENCE + _MADE + _template(name) for name in EXAMPLES}
    base = [_without_helm(each) for each in objects_of(_template("kustomize-base")) if not _is_test(each)]
    files[KUSTOMIZE / "base/butler.yaml"] = _dumped(base)
    watched = objects_of(_template("kustomize-monitoring"))
    monitoring = [
        each for each in watched if each["kind"] in MONITORING or _name(each).endswith("-dashboard")
    ]
    files[KUSTOMIZE / "monitoring/monitoring.yaml"] = _dumped(map(_without_helm, monitoring))
    return files


def sources_digest() -> str:
    """Return a digest of all that the rendered files are made from, and of those files.

    It is kept with them, so that a test without Helm notices when one was changed and not the other.
    """
    digest = hashlib.sha256()
    places = [CHART, VALUES, GOLDEN, KUSTOMIZE / "base/butler.yaml", KUSTOMIZE / "monitoring/monitoring.yaml"]
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    for file in sorted(file for file in files if file.is_file() and file != DIGEST):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def objects_of(text: str) -> list[dict[str, Any]]:
    """Return the objects of a YAML stream."""
    return [each for each in yaml.safe_load_all(text) if each]


def validate(objects: Iterable[Mapping[str, Any]], where: str) -> list[str]:
    """Return what is wrong with objects by the schemas of Kubernetes; kinds of operators have none there."""
    faults = []
    for each in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(dict(each), version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                continue
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{where}: {each['kind']} {_name(each)}, Kubernetes {version}: {error.message}")
    return faults


def _template(values: str) -> str:
    command = [
        "template",
        NAMESPACE,
        str(CHART),
        "--namespace",
        NAMESPACE,
        "--kube-version",
        f"{VERSIONS[1]}.0",
    ]
    return _run("helm", *command, "--values", str(VALUES / f"{values}.yaml"))


def _run(tool: str, *arguments: str) -> str:
    done = subprocess.run([str(TOOLS / tool), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool} {arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def _name(each: Mapping[str, Any]) -> str:
    return str(each["metadata"]["name"])


def _is_test(each: Mapping[str, Any]) -> bool:
    return bool(each["metadata"].get("annotations", {}).get("helm.sh/hook") == "test")


def _without_helm(each: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what only Helm understands."""
    metadata = {**each["metadata"]}
    kept = {k: v for k, v in metadata.pop("annotations", {}).items() if not k.startswith(_HELM)}
    metadata["labels"] = {**metadata["labels"], "app.kubernetes.io/managed-by": "kustomize"}
    return {**each, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}


def _dumped(objects: Iterable[Mapping[str, Any]]) -> str:
    return _LICENCE + _MADE + yaml.safe_dump_all(objects, sort_keys=False, width=110)


def render() -> int:
    """Write all files anew."""
    for path, content in rendered_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    DIGEST.write_text(f"{sources_digest()}\n")
    return 0


def check() -> int:
    """Return 1, and say why, if a file is not what the chart renders, or is not valid."""
    faults = [
        f"{path.relative_to(ROOT)} is not what the chart renders; run make deploy-render"
        for path, content in rendered_files().items()
        if not path.exists() or path.read_text() != content
    ]
    _run("helm", "lint", "--strict", "--kube-version", f"{VERSIONS[1]}.0", str(CHART))
    for name in EXAMPLES:
        faults += validate(objects_of((GOLDEN / f"{name}.yaml").read_text()), name)
    for overlay in OVERLAYS:
        built = _run("kustomize", "build", str(KUSTOMIZE / "overlays" / overlay))
        faults += validate(objects_of(built), overlay)
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit({"render": render, "check": check}[sys.argv[1]]())
