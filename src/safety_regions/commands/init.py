"""`safety-regions init`."""

import argparse
import re
from pathlib import Path

import yaml

from safety_regions.commands import estimate
from safety_regions.config.base import ID
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError
from safety_regions.files import write_text
from safety_regions.models.registry_entry import UNKNOWN, Described, of_folder, of_hub
from safety_regions.planning.from_files import plan_of_files
from safety_regions.planning.plan import Plan
from safety_regions.planning.run_words import RunWords
from safety_regions.text import table

FOLDER = Path("config")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: which model, and the run whose settings it gets."""
    parser.add_argument("model", help="ORGANISATION/NAME of the Hub, or a folder with a model")
    parser.add_argument("--revision", metavar="COMMIT", help="of the Hub's model (default: the newest)")
    parser.add_argument("--name", help="of run and model (default: the model's own, in small letters)")
    parser.add_argument(
        "--like",
        type=Path,
        default=FOLDER / "paper.yaml",
        metavar="FILE",
        help="the run whose sets, methods and numbers are taken (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write a registry entry and a run for a model, and say what it will cost."""
    folder = Path(arguments.model)
    name = arguments.name or _name_of(folder.name)
    if not re.fullmatch(ID, name):
        raise UserError(
            f"{name!r} is no name of a run", where="--name", expected="1 to 64 letters, digits, `_` and `-`"
        )
    registry, run_file = FOLDER / f"{name}.models.yaml", FOLDER / f"{name}.yaml"
    _refuse_what_is_there(registry, run_file)
    other = plan_of_files([arguments.like])
    if name in other.registries.models:
        raise UserError(f"{name} is the id of another model", where="--name", hint="give another name: --name NAME")
    found = of_folder(folder.resolve()) if folder.is_dir() else of_hub(_hub_id(arguments.model), arguments.revision)
    files = [arguments.like, run_file]
    words = RunWords(configfiles=tuple(map(str, files)))
    write_text(registry, _registry_text(name, found))
    write_text(run_file, _run_text(name, registry, other.run, words))
    try:
        plan = plan_of_files(files)
    except UserError:
        registry.unlink()
        run_file.unlink()
        raise
    print(f"{registry}: {found.model_type}, {found.entry['dtype']}")
    print(f"{run_file}: what it does not say is as in {arguments.like}")
    print("".join(f"Look at this: {remark}.\n" for remark in _remarks(found, registry)))
    print(_sets(plan), "\n")
    estimate.run(argparse.Namespace(configfile=files, config=[], profile=None, gpu_memory_gb=None))
    print(
        f"\nNext:\n  {words.snakemake('prefetch')}   # fetches data and weights, and checks them"
        f"\n  {words.snakemake()}   # on a cluster with --profile profiles/slurm"
    )


def _name_of(text: str) -> str:
    """An id that is like it: letters, digits, `-` and `_`."""
    return re.sub(r"[^a-z0-9-]", "_", text.lower()).strip("-_")[:64]


def _hub_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text):
        raise UserError(
            f"{text!r}, which is neither a folder nor a model's name on the Hub",
            where="safety-regions init",
            expected="ORGANISATION/NAME, as in the address of its page, or a folder that save_pretrained made",
        )
    return text


def _refuse_what_is_there(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise UserError(
                "already there, and never written over",
                where=str(file),
                hint="give another name: --name NAME; or go on with this file: snakemake -n --configfile FILE",
            )


def _registry_text(name: str, found: Described) -> str:
    return "# yaml-language-server: $schema=models.schema.json\n" + yaml.safe_dump({name: found.entry}, sort_keys=False)


def _run_text(name: str, registry: Path, like: RunConfig, words: RunWords) -> str:
    models = [*like.registry.models, str(registry)]
    content: dict = {"name": name, "registry": {"models": models}, "models": [name]}
    # Those name models of the other run.
    for section in ("evaluate", "constrain"):
        if getattr(getattr(like, section), "models", None):
            content[section] = {"models": None}
    return (
        "# yaml-language-server: $schema=schema.json\n"
        f"#   {words.snakemake()}\n"
        "# What is not here is as in the first of these files; what is here counts instead.\n"
        + yaml.safe_dump(content, sort_keys=False)
    )


def _remarks(found: Described, registry: Path) -> list[str]:
    remarks = []
    if not found.has_template:
        remarks.append(
            f"the model has no chat template, so prompts are put into {found.entry['plain_template']!r}"
            f" (plain_template in {registry}); a model that was not trained for chats hardly refuses"
        )
    if found.entry["licence"] == UNKNOWN:
        remarks.append(f"its licence is not known; write it into {registry}")
    return remarks


def _sets(plan: Plan) -> str:
    """The run's prompt sets, and under which terms others give them."""
    datasets, known = plan.run.datasets, plan.registries.datasets
    roles = dict.fromkeys(datasets.safety, "safety") | dict.fromkeys(datasets.utility, "utility")
    rows = [[name, role, datasets.n_samples, known[name].licence] for name, role in roles.items()]
    return table(["set", "role", "prompts", "licence"], rows)
