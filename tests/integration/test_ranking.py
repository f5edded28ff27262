"""Which passage comes first when words are asked for."""

import math
from collections.abc import Awaitable, Callable

import pytest

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.shelf import Shelf

FILLER = [f"The river carries water past mill {number}." for number in range(60)]
CROWD = 3_000
"""Passages: more than the sample of words has, so that counts are estimates."""


@pytest.fixture
def shelf(settings: Settings, app_database: Database, me: NewIdentity) -> Shelf:
    return Shelf(settings, app_database, me)


@pytest.fixture
async def neighbour(
    settings: Settings, app_database: Database, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> Shelf:
    return Shelf(settings, app_database, await new_identity())


async def test_a_rare_word_beats_common_ones(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "A kestrel hovers over the meadow."])
    assert (await shelf.find("river water mill kestrel"))[0] == "A kestrel hovers over the meadow."


async def test_a_long_passage_does_not_win_by_its_length(shelf: Shelf) -> None:
    long = "A kestrel sat there. " + " ".join(f"Chapter {number} tells of thing{number}." for number in range(200))
    await shelf.put([*FILLER, long, "A kestrel sat there."])
    assert await shelf.find("kestrel") == ["A kestrel sat there.", long]


async def test_a_word_said_more_often_ranks_higher_but_not_without_end(shelf: Shelf) -> None:
    often = "kestrel " * 40
    await shelf.put([*FILLER, often, "kestrel kestrel falcon", "kestrel owl falcon"])
    assert (await shelf.find("kestrel"))[0] == often
    assert (await shelf.find("kestrel falcon"))[0] == "kestrel kestrel falcon"


async def test_scores_are_those_of_bm25(shelf: Shelf) -> None:
    await shelf.put(["owl owl falcon", "owl heron", "heron finch wren robin"])
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    usual = (2 + 2 + 4) / 3
    expected = {
        "owl owl falcon": idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 2 / usual)),
        "owl heron": idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / usual)),
    }
    assert dict(await shelf.ranked("owl")) == pytest.approx(expected, rel=1e-5)


async def test_a_phrase_is_meant(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "The blue whale sings.", "A whale under the blue sky."])
    assert await shelf.find('"blue whale"') == ["The blue whale sings."]
    assert set(await shelf.find("blue whale")) == {"The blue whale sings.", "A whale under the blue sky."}


async def test_an_excluded_word_is_meant_and_a_dash_in_a_sentence_is_none(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "A falcon and an owl.", "A falcon alone."])
    assert await shelf.find("falcon -owl") == ["A falcon alone."]
    assert set(await shelf.find("falcon - owl")) == {"A falcon and an owl.", "A falcon alone."}
    assert await shelf.find("-river") != []


async def test_either_word_will_do(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "An owl.", "A falcon."])
    assert set(await shelf.find("owl or falcon")) == {"An owl.", "A falcon."}


@pytest.mark.parametrize("query", ["the of and", "", "-", '"', "'\\ : & | !", "\\'"])
async def test_a_query_without_words_finds_nothing(shelf: Shelf, query: str) -> None:
    await shelf.put(FILLER)
    assert await shelf.find(query) == []


async def test_words_that_need_quoting_are_found(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "See /usr/share/o'neill and C:\\temp\\x for it's notes."])
    for query in ("/usr/share/o'neill", "C:\\temp\\x"):
        assert len(await shelf.find(query, most=1)) == 1, query


async def test_a_very_long_query_is_answered(shelf: Shelf) -> None:
    await shelf.put([*FILLER, "A kestrel hovers."])
    query = "kestrel " + " ".join(f"word{number}" for number in range(1_500))[:9_990]
    assert await shelf.find(query) == ["A kestrel hovers."]


async def test_an_empty_tenant_finds_nothing(shelf: Shelf) -> None:
    assert await shelf.find("kestrel") == []


async def test_what_others_have_changes_no_score(shelf: Shelf, neighbour: Shelf) -> None:
    await shelf.put([*FILLER, "A kestrel by the river."])
    before = await shelf.ranked("kestrel river")
    await neighbour.put([f"Kestrel number {number} hovers." for number in range(CROWD)])
    assert await shelf.ranked("kestrel river") == before
    assert await shelf.find("hovers") == []


async def test_what_is_archived_or_deleted_stays_out(shelf: Shelf) -> None:
    await shelf.put(["A kestrel in the archive."], state="archived_at")
    await shelf.put(["A kestrel that was deleted."], state="deleted_at")
    await shelf.put([*FILLER, "A kestrel."])
    assert await shelf.find("kestrel") == ["A kestrel."]


async def test_a_common_word_is_found_beside_much_that_is_archived(shelf: Shelf) -> None:
    await shelf.put([f"Water number {number}." for number in range(CROWD)], state="archived_at")
    await shelf.put(["Water."])
    assert await shelf.find("water kestrel") == ["Water."]


async def test_the_best_of_a_crowd_is_found(shelf: Shelf) -> None:
    """Each word is too common to be looked up alone; together they are not."""
    crowd = [f"water and {'mill' if number % 2 else 'arch'} {number}" for number in range(2 * CROWD)]
    await shelf.put([*crowd, "water mill arch"])
    assert (await shelf.find("water mill arch"))[0] == "water mill arch"
    assert len(await shelf.find("water", most=400)) == 400


async def test_a_search_in_some_documents_finds_each_of_their_words(shelf: Shelf) -> None:
    await shelf.put([f"water mill {number}" for number in range(2 * CROWD)])
    (ours,) = await shelf.put(["Nothing but an arch.", "Water over an arch.", "Kestrels."])
    found = await shelf.find("water arch kestrel", only=[ours])
    assert set(found) == {"Nothing but an arch.", "Water over an arch.", "Kestrels."}
    assert await shelf.find("water", only=[]) == []
