"""The programs of SLURM, and how they are called for one cluster."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "sbatch", "sacct")
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd mariadb-server-core mariadb-client-core"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_programs() -> list[str]:
    """What would have to be installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


@dataclass(frozen=True)
class Commands:
    """A cluster whose state, logs and configuration lie in one folder; its path must be short, since sockets are in
    it.
    """

    folder: Path
    port: int = 26817
    """The first of the ports it uses: controller, accounting, database, nodes."""

    @property
    def conf(self) -> Path:
        return self.folder / "etc/slurm.conf"

    def environment(self) -> dict[str, str]:
        """This process's, in which SLURM's commands speak with this cluster."""
        return os.environ | {"SLURM_CONF": str(self.conf), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints."""
        environment = self.environment() | {"PATH": f"{self.folder}/bin:{PATH}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout
