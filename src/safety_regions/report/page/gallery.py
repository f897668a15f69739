"""The figures of a report, in the order in which they are shown, each with its files and what made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safety_regions.report.inputs import Part
from safety_regions.report.names import IDS, Names
from safety_regions.report.page.captions import CAPTIONS, caption

ENDINGS = ("pdf", "png", "csv")
APPENDIX = "appendix"


@dataclass(frozen=True)
class Maker:
    """The artifact that a figure is a part of."""

    path: str
    """As `safety-regions provenance` takes it."""
    digest: str
    """sha256 of its recipe."""


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
    maker: Maker
    about: str
    """Model and method as people write them, or nothing."""

    @property
    def title(self) -> str:
        return caption(self.kind)[0]

    @property
    def caption(self) -> str:
        return caption(self.kind)[1]

    def file(self, ending: str) -> str | None:
        """Its file of a kind, if there is one."""
        name = f"{self.name}.{ending}"
        return name if name in self.files else None


def list_figures(folder: Path, parts: Sequence[Part], report: Maker, names: Names = IDS) -> list[Shown]:
    """Every figure of which a PDF lies in the report's folder: of the whole run first, then by model and method as in
    `parts`.

    `<about>.<file>` is the report's copy of a part's figure; the report itself made all others.
    """
    makers = {
        f"{part.about}.{file.stem}": Maker(str(part.path), part.digest)
        for part in parts
        if part.path.is_dir()
        for file in sorted(part.path.glob("*.pdf"))
    }
    drawn = [path.stem for path in sorted(folder.glob("*.pdf")) if path.stem != APPENDIX]
    order = list(dict.fromkeys(part.about for part in parts))
    figures = [_figure(folder, name, makers.get(name, report), names) for name in drawn]
    return sorted(figures, key=lambda figure: _place(figure, order))


def _figure(folder: Path, name: str, maker: Maker, names: Names) -> Shown:
    *about, kind = name.split(".")
    model, method = [*about, "", ""][:2]
    files = tuple(f"{name}.{ending}" for ending in ENDINGS if (folder / f"{name}.{ending}").exists())
    return Shown(name, model, method, kind, files, maker, names.about(model, method))


def _place(figure: Shown, order: list[str]) -> tuple[bool, int, str, int, str]:
    about = ".".join(filter(None, [figure.model, figure.method]))
    kinds = list(CAPTIONS)
    kind = kinds.index(figure.kind) if figure.kind in kinds else len(kinds)
    begins = (place for place, name in enumerate(order) if name == about or name.startswith(f"{about}."))
    return bool(about), next(begins, len(order)), about, kind, figure.name
