"""What is built when it is first asked for, and what of it is known before."""

import pytest

from shared.base.lazily import BuiltLazily


def test_each_value_is_built_once_and_only_when_it_is_asked_for() -> None:
    built: list[str] = []

    def build(name: str) -> str:
        built.append(name)
        return name.upper()

    lazily = BuiltLazily(["a", "b"], build)

    assert (list(lazily), len(lazily), "a" in lazily, "c" in lazily, built) == (["a", "b"], 2, True, False, [])
    assert (lazily["a"], lazily.get("a"), built) == ("A", "A", ["a"])
    assert lazily.get("c") is None
    with pytest.raises(KeyError):
        lazily["c"]
    assert built == ["a"]
