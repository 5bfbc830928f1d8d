"""Certificates on a real database: what is taken, who reads it, what is decided, and how it is kept."""

import io

import pytest
from PIL import Image

from tests.core_world import World
from vns.crypto.rules import KeyRing, version_of
from vns.errors import InvalidDocument, NotFound, QuotaExceeded
from vns.senders.documents import Documents
from vns.senders.evidence import MAX_BYTES, MAX_OF_NUMBER, MediaType, media_type_of
from vns.senders.reencryption import reencrypt_senders_once
from vns.senders.rules import SenderNumber, Status
from vns.senders.service import Senders

TENANT, OPERATOR = "user:tenant", "user:operator"
PDF = b"%PDF-1.7\n" + b"certificate " * 20_000 + b"\n%%EOF\n"


def picture(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    target = io.BytesIO()
    Image.new("1" if kind == "PNG" else "L", size).save(target, kind)
    return target.getvalue()


async def registered(world: World, number: str = "02-1234-5678") -> SenderNumber:
    return await Senders(world.db, world.keyring, world.clock).register(TENANT, world.mall.tenant_id, number)


@pytest.fixture
def documents(world: World) -> Documents:
    return Documents(world.db, world.keyring, world.clock)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(PDF, MediaType.PDF), (picture("JPEG"), MediaType.JPEG), (picture("PNG"), MediaType.PNG)],
    ids=["pdf", "jpeg", "png"],
)
def test_what_a_file_is_is_seen_from_its_content(content: bytes, kind: MediaType) -> None:
    assert media_type_of(content) is kind
    with pytest.raises(InvalidDocument):
        media_type_of(content[: len(content) // 2])
    with pytest.raises(InvalidDocument):
        media_type_of(content + bytes(MAX_BYTES))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"<html>", b"MZ" + PDF], ids=["empty", "zip", "page", "program"]
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidDocument):
        media_type_of(content)


def test_a_picture_of_too_many_pixels_is_not_unpacked() -> None:
    bomb = picture("PNG", (8_000, 8_000))
    assert len(bomb) < MAX_BYTES
    with pytest.raises(InvalidDocument, match="pixels"):
        media_type_of(bomb)


async def test_a_certificate_is_read_approved_and_erased_with_its_number(world: World, documents: Documents) -> None:
    senders, tenant_id = Senders(world.db, world.keyring, world.clock), world.mall.tenant_id
    own, bare = await registered(world), await registered(world, "02-1234-5679")
    made = await documents.upload(TENANT, tenant_id, own.id, PDF)
    assert (made.media_type, made.size) == (MediaType.PDF, len(PDF))
    assert await documents.list(tenant_id, own.id) == (made,)
    assert await documents.list(tenant_id, bare.id) == ()
    assert [one.id for one in (await documents.review()).items] == [own.id]
    assert await documents.read(OPERATOR, tenant_id, made.id) == (made, PDF)
    approved = await senders.approve(OPERATOR, tenant_id, own.id, f"document {made.id}")
    assert approved.status is Status.VERIFIED
    assert (await documents.review()).items == ()
    async with world.db.connection() as connection:
        stored = await connection.fetchval("select content from sender_documents")
        events = await connection.fetch(
            "select event, actor from journal where event like 'sender.document%' order by id"
        )
    assert b"certificate" not in stored
    assert [tuple(row) for row in events] == [
        ("sender.document_uploaded", TENANT),
        ("sender.document_read", OPERATOR),
    ]
    await senders.remove(TENANT, tenant_id, own.id)
    with pytest.raises(NotFound):
        await documents.read(OPERATOR, tenant_id, made.id)


async def test_a_rejected_number_waits_again_with_another_certificate(world: World, documents: Documents) -> None:
    senders, tenant_id = Senders(world.db, world.keyring, world.clock), world.mall.tenant_id
    own = await registered(world)
    await documents.upload(TENANT, tenant_id, own.id, PDF)
    assert (await senders.reject(OPERATOR, tenant_id, own.id, "another company's")).status is Status.FAILED
    assert (await documents.review()).items == ()
    await documents.upload(TENANT, tenant_id, own.id, picture("JPEG"))
    again = await senders.get(tenant_id, own.id)
    assert (again.status, again.reason) == (Status.WAITING, None)
    assert [one.id for one in (await documents.review()).items] == [own.id]


async def test_a_number_has_so_many_documents_and_another_tenant_none(world: World, documents: Documents) -> None:
    own, stranger = await registered(world), await world.tenant("another")
    for _ in range(MAX_OF_NUMBER):
        made = await documents.upload(TENANT, world.mall.tenant_id, own.id, picture("PNG"))
    with pytest.raises(QuotaExceeded):
        await documents.upload(TENANT, world.mall.tenant_id, own.id, picture("PNG"))
    with pytest.raises(NotFound):
        await documents.upload(TENANT, stranger.tenant_id, own.id, PDF)
    with pytest.raises(NotFound):
        await documents.list(stranger.tenant_id, own.id)
    with pytest.raises(NotFound):
        await documents.read(TENANT, stranger.tenant_id, made.id)


async def test_a_rotated_key_reaches_numbers_and_documents(world: World, documents: Documents) -> None:
    own = await registered(world)
    made = await documents.upload(TENANT, world.mall.tenant_id, own.id, PDF)
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_senders_once(world.db, ring) == 2
    assert await reencrypt_senders_once(world.db, ring) == 0
    async with world.db.connection() as connection:
        blobs = await connection.fetchrow(
            "select n.number, d.wrapped_key from sender_numbers n join sender_documents d on d.sender_id = n.id"
        )
    assert [version_of(blob) for blob in blobs] == [2, 2]
    assert (await Senders(world.db, ring, world.clock).get(world.mall.tenant_id, own.id)).number == "0212345678"
    assert (await Documents(world.db, ring, world.clock).read(OPERATOR, world.mall.tenant_id, made.id))[1] == PDF
