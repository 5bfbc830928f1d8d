"""Where one Asterisk lives, and how it is started."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Asterisk. `folder`: all its own files, as we see it. `root`: the folder that it takes for `/`, or None where
    it is a program of this machine like any other. Several may run side by side, each with folder and ports of its own.
    """

    folder: Path
    root: Path | None = None

    @property
    def inside(self) -> str:
        """`folder` as Asterisk sees it. Raises ValueError when it lies outside the root."""
        if self.root is None:
            return str(self.folder.resolve())
        return "/" + str(self.folder.resolve().relative_to(self.root.resolve()))

    @property
    def modules(self) -> str:
        """Asterisk's folder of modules. Raises FileNotFoundError when there is none."""
        root = self.root or Path("/")
        for found in sorted(root.glob("usr/lib*/**/asterisk/modules")):
            return "/" + str(found.relative_to(root))
        raise FileNotFoundError("no Asterisk modules below usr/lib")

    def command(self) -> list[str]:
        """Asterisk in the foreground, as it is called inside its root, by the user that owns `folder`."""
        return ["asterisk", "-f", "-C", f"{self.inside}/etc/asterisk.conf"]

    def chroot_command(self) -> list[str]:
        """The same from outside, for whoever may enter the root."""
        if self.root is None:
            return self.command()
        return ["chroot", "--userspec=asterisk", str(self.root), *self.command()]

    def owner(self) -> tuple[int, int] | None:
        """User and group number of `asterisk` inside the root; None where there is no root to look into."""
        if self.root is None:
            return None
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "asterisk":
                return int(uid), int(gid)
        raise LookupError("no user asterisk inside the root")
