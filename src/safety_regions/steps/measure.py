"""(prompt, response) pairs and a model in, statistics out; regions, of methods whose statistic is as large as the
weights.
"""

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from safety_regions.config.architectures import refuse_unclaimed
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.config.run import Machine
from safety_regions.methods.interface import method
from safety_regions.methods.passes import GradientObserver, run_pass
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Sample
from safety_regions.planning.recipes.regions import RegionRecipe, StatisticsRecipe
from safety_regions.steps.entry import Entry
from safety_regions.steps.jobs import grouped
from safety_regions.steps.method_inputs import method_inputs
from safety_regions.steps.samples import content_facts, read_samples
from safety_regions.steps.write import write_levels, write_statistics

Measured = Entry[StatisticsRecipe] | Entry[RegionRecipe]


def by_sample(entries: Sequence[Measured]) -> list[list[Measured]]:
    """Entries grouped by what the model reads for them, in the order of the first of each group: the same model and
    pairs, or half of them.
    """
    return grouped(entries, lambda entry: entry.recipe.sampled)


def measure(entries: Sequence[Measured], machine: Machine) -> None:
    """Write the statistics, or the regions of methods that keep none, of entries on one sample (`by_sample`), each with
    its receipt.

    Methods that can share a pass over the samples do; it changes none of their bytes. Raises `UserError` for inputs
    that are missing, damaged, or not the recipes', and for a method that is not right for the model.
    """
    shared = [entry for entry in entries if _shares(entry)]
    alone = [[entry] for entry in entries if not _shares(entry)]
    together = [shared, *alone] if shared else alone
    loaded = _model_for(together[0], machine)
    config = loaded.model.config
    refuse_unclaimed(config.to_dict(), [entry.recipe.method for entry in entries], config.name_or_path)
    samples, facts = read_samples(entries[0], loaded)
    for group in together:
        _measure_together(group, _model_for(group, machine), samples, facts, machine)


def _model_for(entries: Sequence[Measured], machine: Machine) -> LoadedModel:
    """A method with passes of its own changes weights, or reads the model often: for it the model is held."""
    return entries[0].model(machine.device, streamed=machine.layers == "streamed" and _shares(entries[0]))


def _shares(entry: Measured) -> bool:
    """Whether the entry's method looks at the pass of the plain model over the samples, and at nothing else."""
    return not entry.recipe.adds_adapter and hasattr(method(entry.recipe.method), "observer")


def _measure_together(
    entries: Sequence[Measured], loaded: LoadedModel, samples: list[Sample], facts: dict, machine: Machine
) -> None:
    """Entries in one pass. When it returns, what was summed up for them is gone: the next pass may need the room."""
    # A region takes longer to select than a statistic to write, so a job that is killed then has kept the statistics.
    in_turn = sorted(entries, key=lambda entry: isinstance(entry.recipe, RegionRecipe))
    for entry, statistics in _measured(in_turn, loaded, samples, machine):
        own = facts | (content_facts(samples) if CATALOGUE[entry.recipe.method].reads_prompts else {})
        if isinstance(entry.recipe, RegionRecipe):
            write_levels(entry, loaded, statistics, own)
        else:
            [whole] = statistics
            write_statistics(entry, loaded, whole, own)


def _measured(
    entries: Sequence[Measured], loaded: LoadedModel, samples: list[Sample], machine: Machine
) -> Iterator[tuple[Measured, Iterable[dict[str, Tensor]]]]:
    """The statistics of each entry, in one pass: all in one, or one layer after the other where they are gathered so,
    and are for a region that is cut within layers.
    """
    asked = [
        (method(e.recipe.method), options_of(e.recipe.method, e.recipe.options or {}), method_inputs(e, loaded))
        for e in entries
    ]
    limit = {"batch_tokens": machine.batch_tokens}
    if not _shares(entries[0]):
        [(of, options, needs)] = asked
        yield entries[0], [of.measure(loaded, samples, options, **limit, **needs)]
        return
    observers = [of.observer(loaded, samples, options, **needs) for of, options, needs in asked]  # type: ignore[attr-defined]
    run_pass(loaded, samples, observers, **limit, doing=", ".join(e.recipe.method for e in entries))
    for entry, observer in zip(entries, observers, strict=True):
        within_layers = isinstance(entry.recipe, RegionRecipe) and entry.recipe.scope != "model"
        if within_layers and isinstance(observer, GradientObserver):
            yield entry, observer.by_layer()
        else:
            yield entry, [observer.statistics()]
