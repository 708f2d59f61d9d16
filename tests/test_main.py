"""The dispatch from a deployed name to its file, and the refusal to start where the environment cannot be used."""

import pytest

import main
from local.process import ProcessFailed
from shared.base.settings import SettingsWrong
from shared.web.function import HttpFunction
from tests.functions.framework import start_alone

LOCAL_ONLY = {
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080",
    "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099",
    "STANDIN_URL": "http://127.0.0.1:4010/v1",
    "IDENTITY_CERTS_URL": "https://keys.example.com/certificates",
    "OIDC_CERTS_URL": "https://keys.example.com/certificates",
    "CHECKPOINT_KEY_FILE": "/keys/checkpoint.pem",
    "CHECKPOINT_FOLDER": "/checkpoints",
}
"""Each of these would let anybody in, make up answers, or sign with a key that can be copied."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a production process, and no others that settings read."""
    for name in (*LOCAL_ONLY, "ENVIRONMENT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROJECT_ID", "credence-production")
    return monkeypatch


def test_a_name_gives_its_function(environment: pytest.MonkeyPatch) -> None:
    """What functions-framework takes is the wrapped function, under its own name."""
    assert main.model_list.__name__ == "model_list"


@pytest.mark.parametrize(
    "name", ["nothing_of_the_sort", "__init__", "_hidden", "../main", "model_list.py", "os", "", "Model_List"]
)
def test_no_other_name_gives_anything(name: str, environment: pytest.MonkeyPatch) -> None:
    """A target can reach the files of functions/ and nothing else."""
    with pytest.raises(AttributeError, match=r"^" + name.replace(".", r"\.")):
        main.__getattr__(name)


@pytest.mark.parametrize("variable", LOCAL_ONLY)
def test_production_refuses_what_is_local(variable: str, environment: pytest.MonkeyPatch) -> None:
    """One forgotten variable ends the process, by name; production is what runs when nobody says otherwise."""
    environment.setenv(variable, LOCAL_ONLY[variable])
    with pytest.raises(SettingsWrong, match=rf"{variable} must not be set in production") as refused:
        _ = main.model_list
    assert LOCAL_ONLY[variable] not in str(refused.value)


def test_local_takes_what_is_local(environment: pytest.MonkeyPatch) -> None:
    """All of them together are the local stack."""
    environment.setenv("ENVIRONMENT", "local")
    for name, value in LOCAL_ONLY.items():
        environment.setenv(name, value)
    function: HttpFunction = main.model_list
    assert callable(function)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROJECT_ID", ""),
        ("ENVIRONMENT", "staging"),
        ("STANDIN_DISCONNECT", "sometimes"),
    ],
)
def test_wrong_settings_are_named_without_their_values(
    variable: str, value: str, environment: pytest.MonkeyPatch
) -> None:
    """Whoever deploys is told which variable is wrong."""
    environment.setenv(variable, value)
    with pytest.raises(SettingsWrong, match=variable) as refused:
        _ = main.model_list
    assert not value or value not in str(refused.value)


@pytest.mark.parametrize("value", ["demo", "", None])
def test_the_project_may_come_from_google(value: str | None, environment: pytest.MonkeyPatch) -> None:
    """Cloud Run may name the project itself; with neither variable there is nothing to start."""
    environment.delenv("PROJECT_ID")
    if value is not None:
        environment.setenv("GOOGLE_CLOUD_PROJECT", value)
    if value:
        assert callable(main.model_list)
        return
    with pytest.raises(SettingsWrong, match="PROJECT_ID"):
        _ = main.model_list


def test_a_production_process_with_an_emulator_never_listens() -> None:
    """The same through functions-framework: the process ends and its last line says why."""
    environment = {"PROJECT_ID": "credence-production", "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099"}
    with (
        pytest.raises(ProcessFailed, match="FIREBASE_AUTH_EMULATOR_HOST must not be set in production"),
        start_alone("credit_balance", environment),
    ):
        pytest.fail("it serves")


def test_a_process_without_a_project_never_listens() -> None:
    """Nothing can be read or written without one."""
    with pytest.raises(ProcessFailed, match="PROJECT_ID"), start_alone("credit_balance", {}):
        pytest.fail("it serves")
