"""A synthesised cloud assembly: its stacks in the order in which they can be deployed, and the files they need."""

import graphlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Asset:
    """A file or folder that a stack expects in a bucket."""

    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack by the name it is deployed under, and where its template lies once the assets are uploaded."""

    name: str
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a synthesis wrote: every asset, and the stacks, each after those that it depends on."""

    assets: tuple[Asset, ...]
    stacks: tuple[Stack, ...]


def read(folder: Path, account: str, region: str) -> Assembly:
    """The assembly in `folder` and in the assemblies nested in it, for an account and region."""
    places = {"${AWS::AccountId}": account, "${AWS::Region}": region, "${AWS::Partition}": "aws"}
    artifacts = dict(_artifacts(folder))
    assets = {
        asset
        for home, artifact in artifacts.values()
        if artifact["type"] == "cdk:asset-manifest"
        for asset in _assets(home / artifact["properties"]["file"], places)
    }
    order = graphlib.TopologicalSorter(
        {name: artifact.get("dependencies", []) for name, (_, artifact) in artifacts.items()}
    ).static_order()
    stacks = [
        _stack(artifacts[name][1], name, places)
        for name in order
        if name in artifacts and artifacts[name][1]["type"] == "aws:cloudformation:stack"
    ]
    return Assembly(tuple(sorted(assets, key=lambda asset: asset.key)), tuple(stacks))


def _artifacts(folder: Path) -> Iterator[tuple[str, tuple[Path, dict[str, Any]]]]:
    """Every artifact by its name, with the folder that its paths start from."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, artifact in manifest.get("artifacts", {}).items():
        yield name, (folder, artifact)
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _artifacts(folder / artifact["properties"]["directoryName"])


def _assets(manifest: Path, places: Mapping[str, str]) -> Iterator[Asset]:
    for file in json.loads(manifest.read_text()).get("files", {}).values():
        source = manifest.parent / file["source"]["path"]
        zipped = file["source"]["packaging"] == "zip"
        for destination in file["destinations"].values():
            bucket, key = (_placed(destination[part], places) for part in ("bucketName", "objectKey"))
            yield Asset(source, zipped, bucket, key)


def _stack(artifact: Mapping[str, Any], name: str, places: Mapping[str, str]) -> Stack:
    properties = artifact["properties"]
    address = _placed(properties["stackTemplateAssetObjectUrl"], places)
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return Stack(properties.get("stackName", name), bucket, key)


def _placed(text: str, places: Mapping[str, str]) -> str:
    for placeholder, value in places.items():
        text = text.replace(placeholder, value)
    return text
