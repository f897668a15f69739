"""The notebooks run from their first cell to their last, on a tiny model and without a network.

They are run cell by cell in one namespace, as a kernel would do it, so that no kernel has to be installed. What only a
kernel knows, such as `%matplotlib` or `!pip`, does not compile here.
"""

import json

import pandas as pd
import pytest
from pipeline import ROOT
from random_models import random_model

import safety_regions as sr

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(name: str, **parameters: object) -> dict:
    """What all names stand for after the notebook's last cell; `parameters` go behind the cell that is tagged so."""
    names: dict = {}
    for cell in json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{name}.ipynb, {cell['id']}", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= names.keys()
            names |= parameters
    return names


def test_a_region_of_ones_own_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = random_model("llama")
    loaded.model.save_pretrained("model")
    loaded.tokenizer.save_pretrained("model")
    found = run("region", MODEL="model", TEMPLATE="{prompt}\n")
    assert found["by_chance"] < found["overlap"] < 1
    assert 0 < len(found["safety"]) < len(found["harmful"].at(0.05))
    assert found["n_weights"] == len(found["safety"]) and len(found["without"]) == len(found["HARMFUL"])
    # After the block every answer is the old one again.
    assert [(prompt, found["answer"](prompt)) for prompt in found["HARMFUL"]] == found["harmful_pairs"]
    kept = sr.load_region("region.safetensors")
    assert sr.iou(kept.at(0.05), found["harmful"].at(0.05)) == 1


def test_a_figure_is_that_of_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    found = run("run", RUN=ROOT / "figures/study")
    drawn = found["run"][f"{found['MODEL']}.{found['METHOD']}.iou_threshold"].set_index(["stage", "q"])
    columns = ["iou", "low", "high", "floor_iou"]
    pd.testing.assert_frame_equal(found["curves"][columns], drawn[columns], rtol=1e-7)
    assert (tmp_path / "iou_threshold.pdf").stat().st_size > 1000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_is_kept_without_what_it_gave(path):
    """Its text is then the same whoever ran it, and a change can be read."""
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if "outputs" in cell)
    assert path.read_text("utf-8") == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def test_both_are_run_here():
    assert [path.stem for path in NOTEBOOKS] == ["region", "run"]
