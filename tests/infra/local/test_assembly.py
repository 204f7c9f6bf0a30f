import json
from pathlib import Path
from typing import Any

from infra.local import assembly

BUCKET = "assets-${AWS::AccountId}-${AWS::Region}"


def stack(name: str, *needs: str, display: str = "") -> dict[str, Any]:
    address = f"s3://{BUCKET}/{name}.json"
    properties = {"templateFile": f"{name}.json", "stackTemplateAssetObjectUrl": address}
    if display:
        properties["stackName"] = display
    return {
        "type": "aws:cloudformation:stack",
        "properties": properties,
        "dependencies": [*needs, f"{name}.assets"],
    }


def assets(name: str) -> dict[str, Any]:
    return {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}


def file(path: str, packaging: str, key: str) -> dict[str, Any]:
    return {
        "source": {"path": path, "packaging": packaging},
        "destinations": {"here": {"bucketName": BUCKET, "objectKey": key}},
    }


def write(folder: Path, artifacts: dict[str, Any], files: dict[str, list[dict[str, Any]]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": artifacts}))
    for name, entries in files.items():
        manifest = {"files": {str(number): entry for number, entry in enumerate(entries)}}
        (folder / f"{name}.assets.json").write_text(json.dumps(manifest))


def test_a_stack_comes_after_those_that_it_needs(tmp_path: Path) -> None:
    artifacts = {
        "Service": stack("Service", "Data"),
        "Service.assets": assets("Service"),
        "Data": stack("Data"),
        "Data.assets": assets("Data"),
        "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
    }
    write(tmp_path, artifacts, {"Service": [], "Data": []})
    read = assembly.read(tmp_path, "000000000000", "us-east-1")
    assert [each.name for each in read.stacks] == ["Data", "Service"]


def test_places_are_filled_in_and_shared_assets_come_once(tmp_path: Path) -> None:
    code, template = file("asset.1", "zip", "1.zip"), file("Data.json", "file", "Data.json")
    artifacts = {
        "Data": stack("Data", display="TaximeterData"),
        "Data.assets": assets("Data"),
        "Other.assets": assets("Other"),
    }
    write(tmp_path, artifacts, {"Data": [code, template], "Other": [code]})
    read = assembly.read(tmp_path, "000000000000", "us-east-1")
    bucket = "assets-000000000000-us-east-1"
    assert read.assets == (
        assembly.Asset(tmp_path / "asset.1", zipped=True, bucket=bucket, key="1.zip"),
        assembly.Asset(tmp_path / "Data.json", zipped=False, bucket=bucket, key="Data.json"),
    )
    assert read.stacks == (assembly.Stack("TaximeterData", bucket, "Data.json"),)


def test_stacks_inside_a_stage_are_found(tmp_path: Path) -> None:
    nested = {
        "type": "cdk:cloud-assembly",
        "properties": {"directoryName": "assembly-Production"},
    }
    write(tmp_path, {"assembly-Production": nested}, {})
    inner = {"Data": stack("Data"), "Data.assets": assets("Data")}
    write(tmp_path / "assembly-Production", inner, {"Data": [file("Data.json", "file", "Data.json")]})
    read = assembly.read(tmp_path, "000000000000", "us-east-1")
    assert [each.name for each in read.stacks] == ["Data"]
    assert read.assets[0].source == tmp_path / "assembly-Production" / "Data.json"
