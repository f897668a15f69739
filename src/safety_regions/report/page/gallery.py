"""The figures of a report, in the order in which they are shown, each with its files and what made it."""

from dataclasses import dataclass
from pathlib import Path

from safety_regions.report.page.captions import CAPTIONS, caption

ENDINGS = ("pdf", "png", "csv")
APPENDIX = "appendix"


@dataclass(frozen=True)
class Shown:
    """One figure of the report."""

    name: str
    """What its files are called, without the ending: `<model>.<method>.<kind>`, `<model>.<kind>` or `<kind>`."""
    model: str
    method: str
    """Both empty for a figure of the whole run."""
    kind: str
    files: tuple[str, ...]
    """Its files beside the page: a PDF, and a PNG and a CSV if there are any."""
    origin: str
    """Path of the artifact that it is a part of."""
    digest: str
    """sha256 of that artifact's recipe."""

    @property
    def title(self) -> str:
        return caption(self.kind)[0]

    @property
    def caption(self) -> str:
        return caption(self.kind)[1]

    @property
    def about(self) -> str:
        """Model and method, or nothing."""
        return ", ".join(filter(None, [self.model, self.method]))

    def file(self, ending: str) -> str | None:
        """Its file of a kind, if there is one."""
        name = f"{self.name}.{ending}"
        return name if name in self.files else None


def list_figures(folder: Path, parts: dict[str, Path], digests: dict[str, str], report: tuple[str, str]) -> list[Shown]:
    """Every figure of which a PDF lies in the report's folder: of the whole run first, then by model and method as in
    `parts`.

    `parts` and `digests`: path and recipe digest by role, `<kind>/<model>.<method>`, where `<name>.<file>` is the
    report's copy of a part's figure; `report`: path and digest of the report itself, which made all others.
    """
    origins = {
        f"{role.partition('/')[2]}.{file.stem}": (str(part), digests[role])
        for role, part in parts.items()
        if part.is_dir()
        for file in sorted(part.glob("*.pdf"))
    }
    names = [path.stem for path in sorted(folder.glob("*.pdf")) if path.stem != APPENDIX]
    order = list(dict.fromkeys(role.partition("/")[2] for role in parts))
    shown = [_shown(folder, name, *origins.get(name, report)) for name in names]
    return sorted(shown, key=lambda figure: _place(figure, order))


def _shown(folder: Path, name: str, origin: str, digest: str) -> Shown:
    *about, kind = name.split(".")
    model, method = [*about, "", ""][:2]
    files = tuple(f"{name}.{ending}" for ending in ENDINGS if (folder / f"{name}.{ending}").exists())
    return Shown(name, model, method, kind, files, origin, digest)


def _place(figure: Shown, order: list[str]) -> tuple[bool, int, str, int, str]:
    about = ".".join(filter(None, [figure.model, figure.method]))
    kinds = list(CAPTIONS)
    kind = kinds.index(figure.kind) if figure.kind in kinds else len(kinds)
    first = next((at for at, name in enumerate(order) if name == about or name.startswith(f"{about}.")), len(order))
    return bool(about), first, about, kind, figure.name
