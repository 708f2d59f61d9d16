"""Writes down what Google's Terraform provider takes, for the resources that infra/terraform has.

Terraform's own registry is not needed for it: the package cdktn-provider-google on PyPI is generated from the
provider's schema, and says of each argument its type, whether it must be there, and how often a block may stand.
Unpack the .tgz that is in its folder `_jsii`, and run

    python -m tests.infra.google_schema FOLDER

when infra/terraform uses another resource, or another version of the provider.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.node import REPOSITORY

TERRAFORM = REPOSITORY / "infra" / "terraform"
SCHEMA = Path(__file__).parent / "google.json"
SCALARS: dict[str, Any] = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
    "stringMap": ["map", "string"],
}
COMPUTED = {"string": "string", "number": "number", "string[]": ["list", "string"]}
_INTERFACE = re.compile(r"export interface (\w+)(?: extends [\w.]+)? \{(.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^    readonly (\w+)(\?)?: (.+?);$", re.MULTILINE | re.DOTALL)
_ARGUMENTS = re.compile(r"\n(?=function |    synthesizeHclAttributes)")
_ARGUMENT = re.compile(
    r'^\s+(\w+): \{\s*value: .*?isBlock: (\w+),\s*type: "(\w+)",\s*storageClassType: "(\w+)"',
    re.MULTILINE | re.DOTALL,
)
_VERSION = re.compile(r"providers/hashicorp/google/([\d.]+)/")


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the generated code of one resource says, by names without underscores and capitals."""

    declared: dict[str, dict[str, tuple[bool, str]]]
    """Of each struct: is a field required, and of which type is it?"""
    written: dict[str, dict[str, tuple[bool, str, str]]]
    """Of each struct, by the argument's name in HCL: is it a block, of which kind, and of which type?"""
    name: str
    text: str

    @classmethod
    def read(cls, folder: Path) -> "Bindings":
        """The bindings in a folder of the package."""
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.d.ts")))
        code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.js")))
        found = re.search(r"export declare class (\w+) extends cdktn\.TerraformResource", text)
        assert found is not None
        return cls(_declared(text), _written(code, found[1]), found[1], text)

    def block(self, struct: str) -> dict[str, Any]:
        """The arguments and blocks of a struct."""
        fields = self.declared[_plain(struct if struct != self.name else f"{struct}Config")]
        block: dict[str, Any] = {"arguments": {}, "blocks": {}}
        for argument, (is_block, kind, storage) in self.written[_plain(struct)].items():
            required, declared = fields[_plain(argument)]
            if not is_block:
                holds = SCALARS[storage]
                holds = ["set", holds[1]] if kind == "set" else holds
                block["arguments"][argument] = [holds, "required" if required else "optional"]
                continue
            many = "[]" in declared
            inner = storage.removesuffix("List")
            inner = inner if _plain(inner) in self.written else storage
            # Terraform's own block, of which there is always one.
            single = argument == "timeouts"
            block["blocks"][argument] = {
                "nesting": "single" if single else "set" if kind == "set" and many else "list",
                "min": int(required and not single),
                "max": 0 if many or single else 1,
                **self.block(inner),
            }
        return block

    def resource(self) -> dict[str, Any]:
        """The resource's own block, with what only the provider says of it."""
        block = self.block(self.name)
        # The bindings let it be set; the provider has never taken one.
        block["arguments"]["id"] = ["string", "computed"]
        known = {_plain(name) for name in (*block["arguments"], *block["blocks"])}
        declaration = self.text[self.text.index(f"export declare class {self.name} extends") :]
        for name, kind in re.findall(r"^    get (\w+)\(\): (string|number|string\[\]);$", declaration, re.MULTILINE):
            if _plain(name) not in known and not name.endswith("Input"):
                block["arguments"][_snake(name)] = [COMPUTED[kind], "computed"]
        return block


def _declared(text: str) -> dict[str, dict[str, tuple[bool, str]]]:
    return {
        _plain(name): {_plain(field): (not optional, kind) for field, optional, kind in _FIELD.findall(body)}
        for name, body in _INTERFACE.findall(text)
    }


def _written(code: str, main: str) -> dict[str, dict[str, tuple[bool, str, str]]]:
    written = {}
    for part in _ARGUMENTS.split(code):
        function = re.match(r"function (\w+)ToHclTerraform", part)
        if function is None and not part.startswith("    synthesizeHclAttributes"):
            continue
        arguments = {name: (is_block == "true", *rest) for name, is_block, *rest in _ARGUMENT.findall(part)}
        written[_plain(function[1] if function else main)] = arguments
    return written


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def used_types() -> list[str]:
    """The types of resources in infra/terraform."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TERRAFORM.glob("*.tf"))
    return sorted(set(re.findall(r'^resource "(\w+)"', text, re.MULTILINE)))


def main(package: Path) -> None:
    """Write the schema of what is used."""
    folders = {_plain(path.name.replace("-", "")): path for path in (package / "lib").iterdir()}
    bindings = {name: Bindings.read(folders[_plain(name.removeprefix("google"))]) for name in used_types()}
    version = _VERSION.search(next(iter(bindings.values())).text)
    assert version is not None
    schema = {"version": version[1], "resources": {name: each.resource() for name, each in bindings.items()}}
    SCHEMA.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
