"""Reaches into the sockets of another process: a connection that is open and over which nothing comes any more. Linux,
as root or as the owner of the process."""

import ctypes
import os
import socket
from typing import Final

_PIDFD_GETFD: Final = 438  # of every architecture
_SO_ATTACH_FILTER: Final = 26


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


_DROP: Final = _Instruction(0x06, 0, 0, 0)  # classic BPF: return, with nothing of the packet


def deafen(process: int, descriptor: int) -> None:
    """Every packet that arrives for this socket of the process is dropped from now on, acknowledgements too.

    Raises OSError: no such process or descriptor, or not permitted.
    """
    program = _Program(1, ctypes.pointer(_DROP))
    with _borrowed(process, descriptor) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))


def _borrowed(process: int, descriptor: int) -> socket.socket:
    """A descriptor of our own for the socket; closing it leaves theirs open."""
    whose = os.pidfd_open(process)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        taken = library.syscall(_PIDFD_GETFD, whose, descriptor, 0)
        if taken < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=taken)
    finally:
        os.close(whose)
