"""Names of documents for whatever LangGraph calls its threads, namespaces and checkpoints."""

import hashlib
from urllib.parse import quote


def checkpoint_name(namespace: str, checkpoint_id: str) -> str:
    """A namespace may hold anything, and documents' names may not."""
    return f"{hashlib.sha256(namespace.encode()).hexdigest()[:16] if namespace else 'root'}-{safe_name(checkpoint_id)}"


def safe_name(name: str) -> str:
    """A document's name for any text, and the text itself for ids of ours. Two texts never have the same."""
    quoted = quote(name, safe="")
    # Firestore refuses points alone, and names between double underscores.
    if not quoted.strip("."):
        return quoted.replace(".", "%2E") or "%"
    return "%5F" + quoted[1:] if quoted.startswith("__") else quoted
