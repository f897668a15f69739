"""What a dataset registry (config/datasets.yaml) may say about one dataset."""

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, model_validator

from safety_regions.config.base import CommitSha, HubId, RepoFolder, Section, Sha256, Title

Format = Literal["csv", "json", "jsonl", "txt", "parquet"]


class FileOfRows(Section):
    """How the bytes of one file become rows."""

    format: Format
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    """What stands between the cells of a csv file: `"\\t"` for tabs, `";"`."""

    @model_validator(mode="after")
    def _only_csv_has_a_delimiter(self):
        if self.delimiter != "," and self.format != "csv":
            raise ValueError(f"`delimiter` is for files of format csv, not {self.format}")
        return self


class HubDataset(Section):
    """A dataset on the Hugging Face Hub, pinned to a commit."""

    kind: Literal["hub"]
    id: HubId
    revision: CommitSha
    config: str | None = None
    """Name of the configuration (subset), if the dataset has several."""
    data_dir: RepoFolder | None = None
    """Folder inside the repository, if the rows of one folder are wanted."""
    split: str


class UrlDataset(FileOfRows):
    """One raw file, pinned by the sha256 of its bytes."""

    kind: Literal["url"]
    url: HttpUrl
    sha256: Sha256


class LocalDataset(FileOfRows):
    """One file on this machine, relative to the folder in which `snakemake` runs; its own sha256 is its pin."""

    kind: Literal["local"]
    path: str
    sha256: Sha256 | None = None
    """Of the file. With it, what others made of the file can be planned, pulled and drawn where it is not."""


class SyntheticDataset(Section):
    """One set of the embedded placeholder corpus (safety_regions.data.synthetic)."""

    kind: Literal["synthetic"]
    name: str


Source = Annotated[HubDataset | UrlDataset | LocalDataset | SyntheticDataset, Field(discriminator="kind")]


class DatasetSpec(Section):
    """Where a dataset's rows are, which of them count, and which columns hold the prompt and the response."""

    source: Source
    prompt: str | list[str] = "prompt"
    """Column of the prompt; a list is joined by a blank line, empty cells left out. Dots reach into nested cells:
    `instances.0.input`. Text files have the one column `text`."""
    response: str | None = None
    """Column of the set's own safe response, for the response policy `dataset`. Never a column of compliance
    prefixes."""
    keep: dict[str, list[str]] = Field(default_factory=dict)
    """Keep the rows whose column holds one of these values: `{label: [unsafe]}`. A cell that is null counts as the word
    `None`."""
    drop: dict[str, list[str]] = Field(default_factory=dict)
    """Drop the rows whose column holds one of these values: `{prompt: ["", None]}` drops those without a prompt, where
    `None` is the word for null."""
    drop_words: list[str] = Field(default_factory=list)
    """Drop the rows in whose prompt or response a word starts with one of these (case ignored)."""
    extract: Literal["none", "single_turn"] = "none"
    """`single_turn`: the prompt column holds `\\n\\nHuman: ... \\n\\nAssistant: ...` dialogues; keep the human turn of
    those with one turn. Of a `response` column that holds such dialogues keep the assistant's turn."""
    rows: int | None = Field(default=None, ge=1)
    """Expected number of rows after the filters; another number stops the run."""
    title: Title | None = None
    """Its name as people write it, in figures and on the page of a report; without one it goes by its id there."""
    licence: str
    citation: str
