"""The store of parts: joined in any order, bounded, durable, and no text lost or mixed up."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.smpp.parts import REPEATED_WITHIN, Part, PartKey, PartStore

KEY = PartKey("skt", "01012345678", "07081234567", 8, 9, 3)


def part(sequence: int, raw: bytes | None = None) -> Part:
    return Part(sequence, 14, raw or b"part%d" % sequence)


@given(st.permutations([1, 2, 3, 4]), st.lists(st.integers(0, 3), max_size=3))
async def test_any_order_with_repetitions(order: list[int], repeated: list[int]) -> None:
    store = PartStore(None)
    key = PartKey("skt", "1", "2", 8, 1, 4)
    results = []
    for sequence in order[:-1] + [order[index] for index in repeated if index < 3] + order[-1:]:
        results.append(await store.add(key, part(sequence), 0))
    await store.close()
    assert results[:-1] == [None] * (len(results) - 1)
    assert results[-1] is not None
    assert [piece.sequence for piece in results[-1].parts] == [1, 2, 3, 4]
    assert results[-1].missing == ()


async def test_a_repetition_after_the_end_is_noticed_for_a_while() -> None:
    store = PartStore(None)
    for sequence in (1, 2):
        await store.add(KEY, part(sequence), 0)
    whole = await store.add(KEY, part(3), 0)
    assert whole is not None
    assert await store.add(KEY, part(3), 1) == whole  # not finished: handed over again
    await store.finish(whole, 1)
    assert await store.add(KEY, part(1), 2) is None
    assert await store.due("skt", before=100, most=100) == []
    assert await store.add(KEY, part(1), 2 + REPEATED_WITHIN) is None
    (again,) = await store.due("skt", before=1000, most=100)
    assert again.missing == (2, 3)
    await store.close()


async def test_a_reference_used_again_does_not_mix_two_texts() -> None:
    store = PartStore(None)
    await store.add(KEY, part(1, b"old"), 0)
    await store.add(KEY, part(1, b"new"), 5)
    await store.add(KEY, part(2), 6)
    whole = await store.add(KEY, part(3), 7)
    assert whole is not None
    assert b"".join(piece.raw for piece in whole.parts) == b"newpart2part3"
    await store.finish(whole, 7)
    (left,) = await store.due("skt", before=100, most=100)
    assert [piece.raw for piece in left.parts] == [b"old"]
    await store.close()


async def test_two_senders_with_one_reference() -> None:
    store = PartStore(None)
    other = PartKey("skt", "01099998888", "07081234567", 8, 9, 3)
    for key in (KEY, other):
        assert await store.add(key, part(1), 0) is None
        assert await store.add(key, part(2), 0) is None
    for key in (KEY, other):
        whole = await store.add(key, part(3), 0)
        assert whole is not None
        assert whole.key == key
    await store.close()


async def test_what_is_due() -> None:
    store = PartStore(None)
    keys = [PartKey("skt", str(number), "2", 8, 1, 3) for number in range(5)]
    for at, key in enumerate(keys):
        await store.add(key, part(1), at)
        await store.add(key, part(2), at)
    assert [text.key for text in await store.due("skt", before=2, most=100)] == keys[:2]
    assert [text.key for text in await store.due("skt", before=0, most=6)] == keys[:2]
    assert [text.key for text in await store.due("skt", before=0, most=10)] == []
    await store.close()


async def test_two_links_share_a_file(tmp_path: Path) -> None:
    one, two = PartStore(tmp_path / "parts"), PartStore(tmp_path / "parts")
    other = PartKey("ktf", "01012345678", "07081234567", 8, 9, 3)
    await one.add(KEY, part(1), 0)
    await two.add(other, part(1), 0)
    assert [text.key for text in await one.due("skt", before=9, most=9)] == [KEY]
    assert [text.key for text in await two.due("ktf", before=9, most=9)] == [other]
    await one.close()
    await two.close()


async def test_kept_in_a_file_and_erased_after(tmp_path: Path) -> None:
    file = tmp_path / "var" / "parts.sqlite"
    first = PartStore(file)
    for sequence in (1, 2):
        await first.add(KEY, part(sequence, b"secret words %d" % sequence), 0)
    second = PartStore(file)  # the first never closed: its process died
    whole = await second.add(KEY, part(3), 1)
    assert whole is not None
    await second.finish(whole, 1)
    for path in file.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert b"secret words" not in path.read_bytes()
        assert b"01012345678" not in path.read_bytes()
    await first.close()
    await second.close()
