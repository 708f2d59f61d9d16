"""What a search of a corpus finds, and in which order."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shared.tools.corpus import PASSAGE_CHARS_MAX, QUERY_WORDS_MAX, Corpus, Document, corpus_in, passages_of

LEDGER = Document(
    "ledger.md", "The ledger", "A hold sets credits aside.\n\nA capture takes them.", "https://a.example/1"
)
TASKS = Document("tasks.md", "Tasks", "A task comes at least once. A lease keeps two of them apart.")
CORPUS = Corpus([LEDGER, TASKS])


async def test_the_passage_with_the_words_comes_with_where_it_stands() -> None:
    """Source, title and address, for who cites it."""
    (found,) = await CORPUS.search("What does a LEASE do?", count=1)

    assert (found.source, found.title) == ("tasks.md", "Tasks")
    (held,) = await CORPUS.search("credits aside", count=5)
    assert (held.source, held.address) == ("ledger.md", "https://a.example/1")


async def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    documents = [Document(f"{n}", "", "the cat and the dog") for n in range(5)] + [Document("rare", "", "the zebra")]

    found = await Corpus(documents).search("the zebra", count=6)

    assert found[0].source == "rare"


async def test_words_that_stand_nowhere_find_nothing() -> None:
    assert await CORPUS.search("zebra", count=3) == []
    assert await CORPUS.search("?!", count=3) == []
    assert await Corpus([]).search("hold", count=3) == []


async def test_the_same_question_gets_the_same_answer() -> None:
    """Equal passages in the documents' order, and no more than asked for."""
    corpus = Corpus(Document(name, "t", "same words") for name in "abcdef")

    assert [found.source for found in await corpus.search("words same", count=4)] == list("abcd")
    assert [found.source for found in await corpus.search("same words " * QUERY_WORDS_MAX, count=4)] == list("abcd")


@given(st.text(alphabet="ab \n", max_size=5_000))
def test_passages_are_bounded_and_lose_no_word(text: str) -> None:
    passages = passages_of(Document("d", "t", text))

    assert all(len(passage.text) <= PASSAGE_CHARS_MAX for passage in passages)
    assert "".join("".join(passage.text.split()) for passage in passages) == "".join(text.split())


async def test_a_folder_is_a_corpus(tmp_path: Path) -> None:
    """Texts below it by their paths; a title is the first heading."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.md").write_text("\n# The first\n\nApples grow on trees.\n")
    (tmp_path / "two.txt").write_text("Pears do too.")
    (tmp_path / "three.png").write_bytes(b"apples")

    (found,) = await corpus_in(tmp_path).search("apples", count=5)

    assert (found.source, found.title) == ("inner/one.md", "The first")


async def test_our_own_documents_answer_questions_about_themselves() -> None:
    """They are the corpus where nobody configured another."""
    corpus = corpus_in(Path(__file__).parents[2] / "docs")

    found = await corpus.search("Why are system calls of programs filtered in a sandbox?", count=3)

    assert "decisions/0031-tools.md" in {passage.source for passage in found}
