"""Where data and models come from, in words and as an address, from their recipes."""

from dataclasses import dataclass

from safety_regions.artifacts.receipts import Receipt

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Origin:
    """The source of a dataset or a model."""

    text: str
    """What it is and how it is pinned."""
    url: str | None = None
    sha256: str | None = None
    """Of what lies at the address, or of a local file or folder."""
    made_here: bool = False
    """Whether this pipeline made it, so that it was taken from nowhere."""


def origin_of(recipe: dict) -> Origin | None:
    """The origin of a dataset or model by its recipe; None for any other kind, and for a recipe of another form."""
    try:
        if recipe.get("kind") == "dataset":
            return _dataset(recipe)
        return _model(recipe["source"]) if recipe.get("kind") == "model" else None
    except KeyError:
        return None


def rights_of(receipt: Receipt) -> dict[str, str]:
    """Licence and citation, as far as a receipt has them."""
    return {key: str(receipt.facts[key]) for key in ("licence", "citation") if receipt.facts.get(key)}


def _dataset(recipe: dict) -> Origin:
    source = recipe["spec"]["source"]
    match source["kind"]:
        case "hub":
            part = " ".join(str(source[key]) for key in ("config", "data_dir", "split") if source.get(key))
            url = f"{HUB}/datasets/{source['id']}/tree/{source['revision']}"
            return Origin(f"{source['id']} at commit {source['revision']}, {part}", url)
        case "url":
            return Origin(f"one file, sha256 {source['sha256']}", source["url"], source["sha256"])
        case "synthetic":
            return Origin(f"embedded corpus version {recipe['corpus']}, set {source['name']}")
        case _:
            return Origin(f"local {source['format']} file, sha256 {recipe['sha256']}", sha256=recipe["sha256"])


def _model(source: dict) -> Origin:
    match source["kind"]:
        case "hub":
            return Origin(
                f"{source['id']} at commit {source['revision']}", f"{HUB}/{source['id']}/tree/{source['revision']}"
            )
        case "classifier" if source["id"]:
            url = f"{HUB}/{source['id']}/tree/{source['revision']}"
            return Origin(f"{source['id']} at commit {source['revision']}, digest {source['sha256']}", url)
        case "gguf":
            url = f"{HUB}/{source['id']}/blob/{source['revision']}/{source['file']}"
            said = f"{source['file']} of {source['id']} at commit {source['revision']}, sha256 {source['sha256']}"
            return Origin(said, url, source["sha256"])
        case "package":
            wheels = ", ".join(f"{part['package']} {part['version']}" for part in source["parts"])
            return Origin(f"GGUF file in {wheels}, sha256 {source['sha256']}", sha256=source["sha256"])
        case "tiny":
            return Origin(
                f"trained here: {source['family']}, {source['layers']} layers of width"
                f" {source['hidden_size']}, {source['steps']} steps, seed {source['seed']}",
                made_here=True,
            )
        case "aligned":
            return Origin(
                f"{source['base']} with a LoRA adapter trained here:"
                f" rank {source['rank']}, {source['steps']} steps, seed {source['seed']}",
                made_here=True,
            )
        case _:
            return Origin(f"local folder, digest {source['sha256']}", sha256=source["sha256"])
