"""What can go wrong with keys and ciphers. None of these names a number or a key.

VnsError
└── CryptoError           internal_error
    ├── KeyFileInvalid    missing, unreadable or not a key ring
    ├── KeyFileExists     generate() never overwrites: lost keys are lost numbers
    ├── UnknownKeyVersion encrypted with a version that the file does not hold, even after reading it again
    └── DecryptionFailed  changed, cut short, or encrypted for another context
"""

from vns.errors import VnsError


class CryptoError(VnsError):
    pass


class KeyFileInvalid(CryptoError):
    pass


class KeyFileExists(CryptoError):
    pass


class UnknownKeyVersion(CryptoError):
    pass


class DecryptionFailed(CryptoError):
    pass


UNREADABLE = (UnknownKeyVersion, DecryptionFailed)
"""What says that one ciphertext cannot be read now; others may."""
