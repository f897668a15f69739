"""A kept statistic and a model in, a region out; without a GPU."""

from safetensors import safe_open

from safety_regions.planning.recipes.regions import RegionRecipe
from safety_regions.steps.entry import Entry
from safety_regions.steps.write import write_levels


def select_region(entry: Entry[RegionRecipe], *, streamed: bool = False) -> None:
    """Write the region that follows from the statistic and the weights, and its receipt; `streamed`: layers are read
    from the model's files one after the other.

    Raises `UserError` for inputs that are missing, damaged, or not the recipe's.
    """
    facts = entry.facts("statistics")
    with safe_open(entry.inputs["statistics"], framework="pt") as file:
        statistics = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    write_levels(entry, entry.model("cpu", streamed=streamed), [statistics], facts)
