"""What all sets share and what any has, as safety sets are added: IoU of n regions, and the growth of their union."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from safety_regions.claims.latent import iou_of_many
from safety_regions.overlap.chance import Chances, Elements, chances, expected_in_any
from safety_regions.overlap.counts import STAGES, UNION
from safety_regions.overlap.tables import granularity_and_shape
from safety_regions.planning.recipes.report import FigureContext
from safety_regions.report.figures.curves import draw_curves, scale_iou, summarise
from safety_regions.report.figures.style import (
    COLOURS,
    TWO_COLUMNS,
    add_footer,
    at_fractions,
    band,
    footer,
    mean_defined,
    new_figure,
    paper_style,
)
from safety_regions.report.numbers import UNDEFINED, percent

UNION_COLUMNS = ["union", "union_low", "union_high", "floor_union", "union_change", "floor_union_change"]


def nway_table(nway: pd.DataFrame, sizes: pd.DataFrame, context: FigureContext) -> pd.DataFrame:
    """One row per stage and n at the context's q and p.

    `pairs_predict`: the IoU of n regions that follows from that of two alone (`safety_regions.claims.latent`): it falls
    with n whatever sets have in common.

    `iou`, its 10% and 90% quantiles over orders of the sets, `floor_iou`: of n regions together, from n = 2. `union`,
    `union_low`, `union_high`: the share of all elements that is in any of n regions, from n = 1, and `floor_union`, the
    same for random regions (`safety_regions.overlap.chance`). `union_change`, `floor_union_change`: its growth with the
    n-th set, relative to n - 1; it nears 0 where one more set brings nothing new.
    """
    rows = pd.concat([at_fractions(nway, stage, context.q, context.p) for stage in STAGES])
    grown = pd.concat([_union_table(nway, sizes, stage, context) for stage in STAGES])
    together = summarise(rows, "n")
    table = grown.merge(together, on=["stage", "n"], how="left")[[*together.columns, *UNION_COLUMNS]]
    return table.assign(pairs_predict=pd.concat([_predicted(of) for _, of in table.groupby("stage", sort=False)]))


def _predicted(of_stage: pd.DataFrame) -> pd.Series:
    pair = of_stage[of_stage["n"] == 2]
    values = iou_of_many(float(pair["iou"].iloc[0]), float(pair["floor_iou"].iloc[0]), int(of_stage["n"].max()))
    return pd.Series(values[of_stage["n"] - 1], of_stage.index).where(of_stage["n"] > 1)


def _union_table(nway: pd.DataFrame, sizes: pd.DataFrame, stage: str, context: FigureContext) -> pd.DataFrame:
    rows = at_fractions(nway, stage, context.q, context.p)
    regions = _matrices(at_fractions(sizes[sizes["role"] == "safety"], stage, context.q, context.p))
    names, total = list(regions.columns), float(_elements(sizes).sum())
    orders = [_order(of, names) for _, of in rows.groupby("order")]
    n_open, by_chance = _chances(sizes, regions, stage, context)
    floor = np.mean([expected_in_any(n_open, by_chance[:, order]) for order in orders], axis=0) / total
    first = pd.DataFrame({"n": 1, "union": regions.sum().to_numpy()[[order[0] for order in orders]]})
    shares = pd.concat([first, rows[["n", "union"]]]).set_index("n")["union"] / total
    unions = {n: shares.loc[[n]] for n in range(1, len(names) + 1)}
    out = [(stage, n, mean_defined(of), *band(of), floor[n - 1]) for n, of in unions.items()]
    table = pd.DataFrame(out, columns=["stage", "n", *UNION_COLUMNS[:4]])
    return table.assign(union_change=_change(table["union"]), floor_union_change=_change(table["floor_union"]))


def _change(values: pd.Series) -> pd.Series:
    """Relative to the value before; NaN at the first and after 0."""
    before = values.shift()
    return values / before.where(before > 0) - 1


def _order(rows: pd.DataFrame, names: list[str]) -> list[int]:
    """The places of an order's sets among `names`: the table names all but the first, which is the one it does not."""
    added = rows.sort_values("n")["added"].tolist()
    first = [name for name in names if name not in added]
    return [names.index(name) for name in [*first, *added]]


def _matrices(rows: pd.DataFrame) -> pd.DataFrame:
    """Sizes of rows of the size table: one line per matrix, one column per set."""
    return rows.pivot(index=["layer", "module"], columns="dataset", values="size")


def _elements(sizes: pd.DataFrame) -> pd.Series:
    return sizes.drop_duplicates(["layer", "module"]).set_index(["layer", "module"])["n_elements"]


def _chances(
    sizes: pd.DataFrame, regions: pd.DataFrame, stage: str, context: FigureContext
) -> tuple[Elements, Chances]:
    """Elements of each matrix that a region could hold, and the chance with which a random one in a set's place holds
    each.
    """
    n_open = _elements(sizes).reindex(regions.index)
    if stage == "refined":
        utility = sizes[(sizes["role"] == "utility") & (sizes["dataset"] == UNION)]
        removed = _matrices(at_fractions(utility, "raw", context.p, context.p))[UNION]
        n_open = n_open - removed.reindex(regions.index)
    raw = _matrices(at_fractions(sizes[sizes["role"] == "safety"], "raw", context.q, context.p))[regions.columns]
    n_open, held, raw = n_open.to_numpy(float), regions.to_numpy(float), raw.to_numpy(float)
    return n_open, chances(*granularity_and_shape(sizes), held=held, raw=raw, n_open=n_open)


@paper_style
def draw_nway(table: pd.DataFrame, context: FigureContext) -> Figure:
    """Draw `nway_table`: lines, bands over orders and dashed floors; at the end of each union its growth with the last
    set.
    """
    figure = new_figure(TWO_COLUMNS, 2.55)
    together, grown = figure.subplots(1, 2)
    shared = table[table["n"] >= 2]
    draw_curves(together, shared, "n")
    for stage in STAGES:
        of = shared[shared["stage"] == stage]
        label = "what pairs alone predict" if stage == STAGES[-1] else None
        together.plot(of["n"], of["pairs_predict"], color=COLOURS[stage], linestyle=":", linewidth=1.2, label=label)
    scale_iou(together, shared)
    together.set_ylabel("IoU of n sets")
    unions = table.drop(columns=["iou", "low", "high", "floor_iou"]).rename(
        columns={"union": "iou", "union_low": "low", "union_high": "high", "floor_union": "floor_iou"}
    )
    draw_curves(grown, unions, "n")
    top = unions[["iou", "high", "floor_iou"]].to_numpy(float)
    grown.set_ylim(0, min(1.0, 1.08 * np.nanmax(np.append(top, 1e-3))))
    grown.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    grown.set_ylabel("Elements in any of n regions")
    for axis, first, title in ((together, 2, "What all n sets share"), (grown, 1, "What any of n sets has")):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlim(first - 0.2, table["n"].max() + 0.2)
        axis.grid(axis="y")
        axis.set_xlabel("Number n of safety sets")
        axis.set_title(title)
    _say_growth(grown, table)
    figure.legend(
        *together.get_legend_handles_labels(), loc="outside upper left", ncols=5, columnspacing=1.0, borderaxespad=0.3
    )
    add_footer(figure, f"{footer(context)}; mean and 10–90% band over orders of the sets")
    return figure


def _say_growth(axis: Axes, table: pd.DataFrame) -> None:
    """In words, above left, where no union begins: how much the last set adds to the union, and how much it would by
    chance.
    """
    last = table["n"].max()
    for line, row in enumerate(table[table["n"] == last].to_dict("records")):
        words = f"Set {last} adds {_growth(row['union_change'])} (chance {_growth(row['floor_union_change'])})"
        axis.text(
            0.03,
            0.97 - 0.085 * line,
            words,
            transform=axis.transAxes,
            va="top",
            fontsize=6.5,
            color=COLOURS[row["stage"]],
        )


def _growth(change: float) -> str:
    return percent(float(f"{change:.2g}")) if np.isfinite(change) else UNDEFINED
