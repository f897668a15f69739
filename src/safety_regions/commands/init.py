"""`safety-regions init`."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
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
    name = arguments.name or _name_of(folder.resolve().name if folder.is_dir() else folder.name)
    if not re.fullmatch(ID, name):
        raise UserError(
            f"{name!r} is no name of a run", where="--name", expected="1 to 64 letters, digits, `_` and `-`"
        )
    registry, run_file = FOLDER / f"{name}.models.yaml", FOLDER / f"{name}.yaml"
    _refuse_what_is_there(registry, run_file)
    other = plan_of_files([arguments.like])
    if name in other.registries.models:
        raise UserError(f"{name} is the id of another model", where="--name", hint="give another name: --name NAME")
    found = _found(arguments, folder)
    found = replace(found, unclaimed=tuple(of for of in found.unclaimed if of in other.run.enabled_methods()))
    words = RunWords(configfiles=(str(run_file),))
    write_text(registry, _registry_text(name, found))
    write_text(run_file, _run_text(name, registry, other.run, arguments.like, words, found.unclaimed))
    try:
        plan = plan_of_files([run_file])
    except UserError:
        registry.unlink()
        run_file.unlink()
        raise
    print(f"{registry}: {found.model_type}, {found.entry['dtype']}")
    print(f"{run_file}: all else is as in {arguments.like}")
    print("".join(f"Look at this: {remark}.\n" for remark in _remarks(found, registry)))
    print(_sets(plan), "\n")
    estimate.run(argparse.Namespace(configfile=[run_file], config=[], profile=None, gpu_memory_gb=None))
    # What others published of the same sets may lie where this machine has no access.
    override = "machine={recompute_published: true}" if plan.to_pull else ""
    print(
        f"\nNext:\n  {words.snakemake('prefetch', override=override)}   # fetches data and weights, and checks them"
        f"\n  {words.snakemake(override=override)}   # on a cluster with --profile profiles/slurm"
    )


def _found(arguments: argparse.Namespace, folder: Path) -> Described:
    if not folder.is_dir():
        return of_hub(_hub_id(arguments.model), arguments.revision)
    if arguments.revision:
        raise UserError(
            "a commit of a folder",
            where="--revision",
            expected="that of a model of the Hub",
            hint="leave it out: a folder is pinned by the digest of its files",
        )
    return of_folder(folder.resolve())


def _name_of(text: str) -> str:
    """An id that is like it: letters, digits, `-` and `_`."""
    return re.sub(r"[^a-z0-9-]", "_", text.lower()).strip("-_")[:64]


def _hub_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text):
        raise UserError(
            f"{text!r}, which is neither a folder nor a model's name on the Hub",
            where="safety-regions init",
            expected="ORGANISATION/NAME, as in the address of its page, or a folder that save_pretrained made",
            hint="of an address take what stands behind huggingface.co/",
        )
    return text


def _refuse_what_is_there(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise UserError(
                "already there, and never written over",
                where=str(file),
                hint=f"give another name, --name NAME, or go on with it: snakemake -n --configfile {files[-1]}",
            )


def _registry_text(name: str, found: Described) -> str:
    return "# yaml-language-server: $schema=models.schema.json\n" + yaml.safe_dump({name: found.entry}, sort_keys=False)


def _run_text(
    name: str, registry: Path, other: RunConfig, like: Path, words: RunWords, unclaimed: Sequence[str]
) -> str:
    """All that the other run says, but with this model, and without methods that are not right for it."""
    content: dict = yaml.safe_load(like.read_text(encoding="utf-8")) or {}
    models = [*other.registry.models, str(registry)]
    content |= {"name": name, "models": [name], "registry": content.get("registry", {}) | {"models": models}}
    # These name models of the other run.
    for section in ("evaluate", "constrain"):
        if content.get(section) and "models" in content[section]:
            del content[section]["models"]
    for section in ("replicates", "controls", "evaluate", "constrain"):
        if content.get(section) and content[section].get("methods"):
            # Where nothing is left, all that the run has.
            content[section]["methods"] = [x for x in content[section]["methods"] if x not in unclaimed] or None
    if unclaimed:
        content["methods"] = content.get("methods", {}) | dict.fromkeys(unclaimed)
    return (
        "# yaml-language-server: $schema=schema.json\n"
        f"#   {words.snakemake()}\n"
        f"# Made from {like}, where each key has its reason. Keys that are not here have the defaults of"
        " config/demo.yaml.\n" + yaml.safe_dump(content, sort_keys=False)
    )


def _remarks(found: Described, registry: Path) -> list[str]:
    remarks = []
    if not found.has_template:
        remarks.append(
            f"the model has no chat template, so prompts are put into {found.entry['plain_template']!r}"
            f" (plain_template in {registry}); a model that was not trained for chats hardly refuses"
        )
    if found.unclaimed:
        remarks.append(f"{', '.join(found.unclaimed)} left out: not right for models of type {found.model_type!r}")
    if found.entry["licence"] == UNKNOWN:
        remarks.append(f"its licence is not known; write it into {registry}")
    if found.entry["source"]["kind"] == "local":
        remarks.append(f"whom to cite is not known: {registry} has the folder in that place")
    return remarks


def _sets(plan: Plan) -> str:
    """The run's prompt sets, and under which terms others give them."""
    datasets, known = plan.run.datasets, plan.registries.datasets
    roles = dict.fromkeys(datasets.safety, "safety") | dict.fromkeys(datasets.utility, "utility")
    rows = [[name, role, datasets.n_samples, known[name].licence] for name, role in roles.items()]
    return table(["set", "role", "prompts", "licence"], rows)
