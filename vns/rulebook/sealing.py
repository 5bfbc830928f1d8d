"""Numbers inside rules documents, encrypted and read again."""

import base64
from uuid import UUID

from vns.crypto.rules import KeyRing
from vns.rulebook.rules import SealedNumber


def seal(keyring: KeyRing, owner: UUID, digits: str) -> str:
    """A number as a document holds it. `owner`: the binding or pool whose document it is."""
    return base64.b64encode(keyring.encrypt(digits, context=sealed_context(owner))).decode()


def unseal(keyring: KeyRing, owner: UUID, number: SealedNumber) -> str:
    """Its digits. Raises DecryptionFailed for a document that stood somewhere else."""
    return keyring.decrypt(base64.b64decode(number.sealed), context=sealed_context(owner))


def sealed_context(owner: UUID) -> bytes:
    """What the encrypted number of a document is tied to: the binding or pool whose document it is."""
    return b"rules:" + owner.bytes
