"""Every place from which our code calls out over HTTP, and why it is safe: a new one fails here until it is judged."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLIENTS = {"aiohttp", "requests", "httpx", "httpx2", "urllib", "urllib3", "http", "socket"}
"""Packages that open connections. Google's own libraries call the addresses of Google, whatever they are asked."""
OPENERS = {
    "AuthorizedSession",
    "Client",
    "ClientSession",
    "HTTPConnection",
    "HTTPSConnection",
    "PoolManager",
    "Session",
    "TCPConnector",
    "create_connection",
    "guarded_session",
    "open_connection",
    "urlopen",
    "urlretrieve",
}
"""What makes a client or a connection."""
VERBS = {"delete", "get", "head", "options", "patch", "post", "put", "request", "send", "ws_connect"}
"""What a client is asked. They count where they are asked of nobody, of a package, or of what bears one of NAMES."""
NAMES = ("session", "client", "opened")

REASONS = {
    ("shared/base/fetcher.py", "guarded_session", "ClientSession"): "The guard itself.",
    ("shared/base/fetcher.py", "guarded_session", "TCPConnector"): "The guard itself: it resolves to public addresses.",
    ("shared/base/fetcher.py", "fetch", "self._session.get"): "A client's URL, checked; the session is guarded.",
    ("shared/chain/gateway.py", "open_local_session", "ClientSession"): "A chain on the developer's machine.",
    ("shared/chain/gateway.py", "open_local_session", "TCPConnector"): "The same.",
    (
        "shared/chain/gateway.py",
        "_open_guarded",
        "guarded_session",
    ): "Nodes and facilitators of the operator's: guarded.",
    ("shared/chain/gateway.py", "post", "self._session.post"): "Either of the two; the URL was checked.",
    ("shared/identity/gateway.py", "__init__", "requests.Session"): "Google's certificates: the address is a setting.",
    ("shared/identity/gateway.py", "_read", "self._session.get"): "The same.",
    ("shared/identity/gateway.py", "open_google_session", "AuthorizedSession"): "Google's Identity Toolkit: fixed.",
    ("shared/identity/gateway.py", "open_emulator_session", "requests.Session"): "The emulator: a setting, local only.",
    ("shared/identity/gateway.py", "_read", "self._opened().post"): "Either of the two.",
    (
        "shared/pricing/store.py",
        "multipliers",
        "self._client.document('prices/current').get",
    ): "Firestore, no HTTP client.",
    ("shared/payments/connections.py", "_send", "ClientSession"): "Payment providers, whose addresses are settings.",
    (
        "shared/payments/connections.py",
        "_send",
        "self._session.request",
    ): "The same; ids are checked where they come in.",
    ("shared/base/google.py", "_read", "AuthorizedSession"): "Cloud KMS and Cloud Storage: hosts are fixed.",
    ("shared/proof/gateway.py", "_read", "session.get"): "The same; the key's name is a setting.",
    ("shared/proof/gateway.py", "sign", "session.post"): "The same.",
    ("shared/proof/gateway.py", "publish", "session.post"): "The same; the bucket is a setting.",
    ("shared/proof/gateway.py", "latest", "session.get"): "The same.",
    ("shared/providers/connections.py", "_session_for", "ClientSession"): "Providers whose address the operator set.",
    ("shared/providers/connections.py", "_session_for", "TCPConnector"): "The same.",
    ("shared/providers/connections.py", "_session_for", "guarded_session"): "Endpoints that others named: guarded.",
    ("shared/providers/connections.py", "_send", "session.request"): "Either of the two, as `_session_for` chooses.",
    ("shared/vault/gateway.py", "ask", "session.post"): "Cloud KMS: the host is fixed, the key's name a setting.",
    ("shared/vault/gateway.py", "ask", "session.get"): "The same.",
    ("shared/tools/gateway.py", "hits", "ClientSession"): "The search engine, whose address is a setting.",
    ("shared/tools/gateway.py", "hits", "self._session.post"): "The same.",
}


def sites_of(path: Path) -> Iterator[tuple[str, str, str]]:
    """File, function and expression of every outbound call in a file that imports a client."""
    source = path.read_text(encoding="utf-8")
    # Most files name none, and to read one as a tree takes long.
    if not re.search(rf"\b(?:{'|'.join(CLIENTS)}|shared\.base\.fetcher)\b", source):
        return
    tree = ast.parse(source)
    if not _imports(tree) & CLIENTS:
        return
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    for function, call in _calls(tree, "module"):
        called = ast.unparse(call.func)
        receiver, _, verb = called.rpartition(".")
        if verb in OPENERS:
            yield name, function, called.removeprefix("aiohttp.")
        elif verb in VERBS and (not receiver or any(word in receiver.casefold() for word in (*NAMES, *CLIENTS))):
            yield name, function, called


def _imports(tree: ast.AST) -> set[str]:
    """Packages imported anywhere in a file; `shared.base.fetcher` counts, since it opens connections for others."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add("aiohttp" if node.module == "shared.base.fetcher" else node.module.partition(".")[0])
    return found


def _calls(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the name of the innermost function it stands in."""
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call):
            yield inner, child
        yield from _calls(child, inner)


def test_every_outbound_call_has_a_reason_why_it_is_safe() -> None:
    """And every reason is about a call that is still there."""
    paths = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/*.py"), ROOT / "main.py"]

    found = {site for path in paths for site in sites_of(path)}

    assert found == set(REASONS), f"new: {found - set(REASONS)}; gone: {set(REASONS) - found}"


def test_the_walk_sees_the_usual_ways_of_calling_out(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    source = tmp_path / "sneaky.py"
    source.write_text(
        "import aiohttp, requests, httpx, urllib.request\n"
        "async def steal(url):\n"
        "    requests.get(url)\n"
        "    httpx.post(url)\n"
        "    urllib.request.urlopen(url)\n"
        "    async with aiohttp.ClientSession() as session:\n"
        "        await session.get(url)\n"
        "    with httpx.Client() as client:\n"
        "        client.request('GET', url)\n"
        "    from requests import post\n"
        "    post(url)\n"
        "    {}.get(url)\n",
        encoding="utf-8",
    )

    assert {called for _, _, called in sites_of(source)} == {
        "requests.get",
        "httpx.post",
        "urllib.request.urlopen",
        "ClientSession",
        "session.get",
        "httpx.Client",
        "client.request",
        "post",
    }
