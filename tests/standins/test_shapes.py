"""What is read from an SDK's text: of a small one made here, and of the real ones where they are installed."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from tests.standins.installed import needs_sdks
from tests.standins.shapes import Sdk, snake

HEAD = """
    import builtins as _builtins
    import pulumi
    from typing import Any, Mapping, Optional, Sequence, Union
"""
FILES = {
    "__init__.py": "raise SystemExit('an SDK was imported')",
    "provider.py": """
        @pulumi.input_type
        class ProviderArgs:
            def __init__(__self__, *, region: pulumi.Input[Optional[_builtins.str]] = None):
                pass

        class Provider(pulumi.ProviderResource):
            pass
    """,
    "zoo/_enums.py": """
        class Kind(_builtins.str, Enum):
            BIG = "Big"
            SMALL = "Small"
    """,
    "zoo/_inputs.py": """
        @pulumi.input_type
        class CageArgs:
            def __init__(__self__, *,
                         kind: pulumi.Input['Kind'],
                         inner: pulumi.Input[Optional['CageArgs']] = None):
                pass

            @_builtins.property
            @pulumi.getter
            def kind(self) -> pulumi.Input['Kind']:
                return pulumi.get(self, "kind")

            @_builtins.property
            @pulumi.getter(name="innerCage")
            def inner(self) -> pulumi.Input[Optional['CageArgs']]:
                return pulumi.get(self, "inner")

        @pulumi.input_type
        class AnimalArgs:
            def __init__(__self__, *, legs: pulumi.Input[_builtins.int]):
                pass
    """,
    "zoo/outputs.py": """
        @pulumi.output_type
        class Cage(dict):
            def __init__(__self__, *, key_: str):
                pass

            @_builtins.property
            @pulumi.getter(name="keyText")
            def key_(self) -> _builtins.str:
                return pulumi.get(self, "key_")
    """,
    "zoo/animal.py": """
        @pulumi.input_type
        class AnimalInitArgs:
            def __init__(__self__, *,
                         legs: pulumi.Input[_builtins.int],
                         cages: pulumi.Input[Optional[Sequence[pulumi.Input['CageArgs']]]] = None,
                         keeper: pulumi.Input[Optional[Union[_builtins.str, 'Keeper']]] = None,
                         image: pulumi.Input[Optional[pulumi.Archive]] = None,
                         near_to: pulumi.Input[Optional[Mapping[str, pulumi.Input[_builtins.bool]]]] = None):
                pass

            @_builtins.property
            @pulumi.getter(name="nearTo")
            def near_to(self) -> pulumi.Input[Optional[Mapping[str, pulumi.Input[_builtins.bool]]]]:
                return pulumi.get(self, "near_to")

        class Animal(pulumi.CustomResource):
            def __init__(__self__):
                super(Animal, __self__).__init__('toy:zoo:Animal')

            @_builtins.property
            @pulumi.getter(name="homeCage")
            def home_cage(self) -> pulumi.Output['outputs.Cage']:
                return pulumi.get(self, "home_cage")
    """,
    "zoo/get_animal.py": """
        class GetAnimalResult:
            @_builtins.property
            @pulumi.getter
            def age(self) -> Optional[_builtins.float]:
                return pulumi.get(self, "age")

        def get_animal_output(animal_name: pulumi.Input[Optional[_builtins.str]] = None,
                              old_cage: pulumi.Input[Optional[Optional[_builtins.str]]] = None,
                              opts: Optional[pulumi.InvokeOptions] = None) -> pulumi.Output[GetAnimalResult]:
            __args__ = dict()
            __args__['animalName'] = animal_name
            __args__['oldCage'] = old_cage
            return pulumi.runtime.invoke_output('toy:zoo:getAnimal', __args__, opts=opts)
    """,
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sdk:
    for name, text in FILES.items():
        file = tmp_path / "pulumi_toy" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(HEAD if name != "__init__.py" else "") + textwrap.dedent(text))
    about = tmp_path / "pulumi_toy-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pulumi-toy\nVersion: 1.2\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return Sdk("pulumi_toy", tmp_path / "cache")


def test_a_resource_has_names_of_the_wire_types_and_what_is_required(toy: Sdk) -> None:
    shape = toy.resource("toy:zoo:Animal")
    assert shape is not None
    assert shape.inputs == {
        "legs": {"kind": "integer", "required": True},
        "cages": {"kind": ["list", ["object", "CageArgs"]], "required": False},
        "keeper": {"kind": "string", "required": False},
        "image": {"kind": "asset", "required": False},
        "nearTo": {"kind": ["map", "boolean"], "required": False},
    }
    assert shape.outputs == {"homeCage": ["object", "outputs.Cage"]}
    assert shape.objects == {
        "CageArgs": {
            "kind": {"kind": ["enum", ["Big", "Small"]], "required": True},
            "innerCage": {"kind": ["object", "CageArgs"], "required": False},
        },
        "outputs.Cage": {"keyText": {"kind": "string", "required": False}},
    }


def test_a_function_says_what_it_takes_and_gives(toy: Sdk) -> None:
    shape = toy.function("toy:zoo:getAnimal")
    assert shape is not None
    assert shape.inputs == {
        "animalName": {"kind": "string", "required": True},
        "oldCage": {"kind": "string", "required": False},
    }
    assert shape.outputs == {"age": "number"}


def test_what_is_not_there_is_not_known(toy: Sdk) -> None:
    assert toy.resource("toy:zoo:Plant") is None
    assert toy.resource("toy:garden:Plant") is None
    assert toy.function("toy:zoo:getPlant") is None
    assert list(toy.provider().inputs) == ["region"]


def test_what_was_read_once_is_not_read_again(toy: Sdk, tmp_path: Path) -> None:
    first = toy.resource("toy:zoo:Animal")
    (tmp_path / "pulumi_toy" / "zoo" / "animal.py").write_text("")
    assert Sdk("pulumi_toy", tmp_path / "cache").resource("toy:zoo:Animal") == first
    assert Sdk("pulumi_toy", tmp_path / "another").resource("toy:zoo:Animal") is None


def test_an_sdk_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="pulumi_nowhere"):
        Sdk("pulumi_nowhere")


@pytest.mark.parametrize(
    ("name", "file"),
    [("getClientConfig", "get_client_config"), ("PublicIPAddress", "public_ip_address"), ("Vpc", "vpc")],
)
def test_file_names(name: str, file: str) -> None:
    assert snake(name) == file


@needs_sdks
def test_the_real_ones_are_read_and_not_imported(tmp_path: Path) -> None:
    before = set(sys.modules)  # another test may have wanted one
    aws = Sdk("pulumi_aws", tmp_path).resource("aws:eks/cluster:Cluster")
    assert aws is not None
    assert {name for name, about in aws.inputs.items() if about["required"]} == {"roleArn", "vpcConfig"}
    assert aws.objects["ClusterVpcConfigArgs"]["subnetIds"] == {"kind": ["list", "string"], "required": True}
    azure = Sdk("pulumi_azure_native", tmp_path).resource("azure-native:network:Subnet")
    assert azure is not None and azure.inputs["virtualNetworkName"]["required"]  # its own, not a nested type's
    assert not {"pulumi_aws", "pulumi_azure_native"} & (set(sys.modules) - before)
