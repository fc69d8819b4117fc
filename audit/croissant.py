"""A manifest as Croissant 1.0 JSON-LD with the fields for responsible AI, by the template in `data_manifests`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from audit.types import Manifest

TYPES = {"text": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean", "other": "sc:Text"}
ENCODINGS = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/jsonlines",
    "json": "application/json",
    "parquet": "application/x-parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}


def to_croissant(manifest: Manifest) -> str:
    """The manifest as indented JSON-LD: a FileObject and a RecordSet for each file, and the RAI fields.

    What a manifest does not hold is left to fill in, in words that say so; a date of publication is left out.
    """
    from jinja2 import Environment, StrictUndefined

    template = (files("data_manifests") / "croissant.json.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (every value passes `json`)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    described = [_file(name) | {"sha256": digest} for name, digest in manifest.sha256.items()]
    text = environment.from_string(template).render(manifest=manifest, files=described, types=TYPES)
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def _file(name: str) -> dict[str, Any]:
    endings = [part for part in name.lower().split(".")[1:] if part in ENCODINGS]
    return {"name": name, "encoding": ENCODINGS[endings[-1]] if endings else "application/octet-stream"}
