"""File systems of a network, on which SQLite's locks and shared memory do not hold."""

import os
import re
from pathlib import Path

from lossmith.study.base.errors import InputError

MOUNTS = Path("/proc/self/mounts")
NETWORKED = {
    *("afs", "beegfs", "ceph", "cifs", "fuse.beegfs", "fuse.ceph", "fuse.cephfs", "fuse.gcsfuse"),
    *("fuse.glusterfs", "fuse.juicefs", "fuse.moosefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    *("gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs"),
    *("pvfs2", "smb", "smb3", "smbfs", "wekafs"),
}


def check_local(folder: Path) -> None:
    """Raise InputError where a folder lies on a network file system."""
    kind = file_system(folder)
    if kind in NETWORKED:
        raise InputError(
            f"{folder} lies on a network file system ({kind}), where SQLite cannot keep processes "
            "of several machines apart, and a journal would be damaged: choose a folder on a local "
            "disk; or, for several machines, PostgreSQL: "
            "postgresql://user@host/database?study=NAME, with folder= for checkpoints"
        )


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder lies on, or ""; that of the last mount counts.

    A folder that is not there yet will lie where its nearest parent lies.
    """
    place, kind, longest = os.path.realpath(folder), "", -1
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""  # no Linux: not told
    for line in lines:
        _, point, found, *_ = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
        within = place == point or place.startswith(point.rstrip("/") + "/")
        if within and len(point) >= longest:
            kind, longest = found, len(point)
    return kind
