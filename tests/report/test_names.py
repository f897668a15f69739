"""Names for people: titles of models and sets from the registries, of methods from the catalogue; files keep ids."""

import pandas as pd
from figure_tables import CONFIG, make_context, make_headline, words

from safety_regions.claims.catalogue import CATALOGUE
from safety_regions.claims.verdict import HOLDS, Outcome, Verdict
from safety_regions.config.datasets import DatasetSpec
from safety_regions.planning.recipes.data import dataset_recipe
from safety_regions.report.figures.headline import write_headline
from safety_regions.report.names import IDS, Names

SOURCES = [
    {"what": "model", "name": "tiny-llama", "title": "Tiny Llama"},
    {"what": "model", "name": "gsm8k"},
    {"what": "dataset", "name": "jbb", "title": "JailbreakBench"},
    {"what": "dataset", "name": "gsm8k", "title": "GSM8K"},
]
NAMES = Names.of_sources(SOURCES)


def test_what_has_a_title_is_called_by_it_and_all_else_by_its_id():
    assert NAMES.model("tiny-llama") == "Tiny Llama" and NAMES.model("gsm8k") == "gsm8k"
    assert NAMES.set("gsm8k") == "GSM8K" and NAMES.set("catqa") == "catqa" and IDS.set("gsm8k") == "gsm8k"
    assert [*map(NAMES.method, ("snip", "safeneuron", "own", ""))] == ["SNIP", "SafeNeuron", "own", ""]
    assert NAMES.about("tiny-llama", "nlsr") == "Tiny Llama, NLSR" and NAMES.about("tiny-llama", "") == "Tiny Llama"


def test_columns_of_ids_have_titles_and_others_stay():
    table = pd.DataFrame({"model": ["tiny-llama"], "a": ["jbb"], "b": ["catqa"], "utility": ["union"], "iou": [0.5]})
    told = {"model": "Tiny Llama", "a": "JailbreakBench", "b": "catqa", "utility": "all of them", "iou": 0.5}
    assert NAMES.table(table).to_dict("records") == [told]
    moved = pd.DataFrame({"method": ["snip"], "moved_by": ["jbb"], "without": [0.25]})
    assert NAMES.table(moved).to_dict("records") == [{"method": "SNIP", "moved_by": "JailbreakBench", "without": 0.25}]
    assert NAMES.table(pd.DataFrame({"a": ["snip"]}))["a"].tolist() == ["SNIP"]


def test_contexts_configurations_and_verdicts_are_told_by_titles():
    context = make_context(3)
    told = Names({context.model: "SmolLM2"}, {"gsm8k": "GSM8K", "jbb": "JailbreakBench"}).context(context)
    assert (told.model, told.method, told.safety[-1], told.utility[-1]) == (
        "SmolLM2",
        "SNIP",
        "JailbreakBench",
        "GSM8K",
    )
    assert "JailbreakBench" in NAMES.config(CONFIG)["datasets"]["safety"] and "jbb" in CONFIG["datasets"]["safety"]
    verdict = Verdict(CATALOGUE[0], "tiny-llama", "snip", outcome := Outcome(HOLDS, "So."), without={"jbb": outcome})
    told_verdict = NAMES.verdict(verdict)
    assert (told_verdict.model, told_verdict.method, [*told_verdict.without]) == (
        *("Tiny Llama", "SNIP"),
        ["JailbreakBench"],
    )


def test_figures_show_titles_and_their_tables_hold_ids(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "safety_regions.report.figures.headline.save", lambda figure, table, *_: drawn.append((figure, table))
    )
    write_headline(make_headline(), CONFIG, tmp_path, NAMES)
    ((figure, table),) = drawn
    assert "Tiny Llama  SNIP" in words(figure) and table["model"][0] == "tiny-llama"


def test_a_title_is_no_part_of_what_a_dataset_is():
    entry = {"source": {"kind": "synthetic", "name": "syn_build"}, "licence": "MIT", "citation": "none"}
    plain, titled = (DatasetSpec.model_validate(of) for of in (entry, entry | {"title": "Build"}))
    assert dataset_recipe("syn_build", plain).digest == dataset_recipe("syn_build", titled).digest
