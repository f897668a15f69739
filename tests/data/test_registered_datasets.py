"""Every entry of config/datasets.yaml with a source elsewhere, loaded from files of the layout in which its set was
published: from a Hub at its pinned commit, or from behind a mirror.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hub import Hub
from published_sets import PUBLISHED_SETS

from safety_regions.data.download import MIRROR

REGISTRY = yaml.safe_load((Path(__file__).parents[2] / "config" / "datasets.yaml").read_text(encoding="utf-8"))
ELSEWHERE = {name: entry for name, entry in REGISTRY.items() if entry["source"]["kind"] in ("hub", "url")}
RAW = "https://raw.githubusercontent.com/"
LOAD = """
import json, sys
from safety_regions.config.datasets import DatasetSpec
from safety_regions.data.fetch import fetch
from safety_regions.errors import UserError
found = {}
for name, spec in json.load(sys.stdin).items():
    try:
        found[name] = [[row["prompt"], row["response"]] for row in fetch(name, DatasetSpec.model_validate(spec)).rows]
    except UserError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def serve(hub: Hub, name: str) -> dict:
    """Serve a set where its entry has it; the entry, but for what is of the original bytes: their sha256, and how many
    rows they have.
    """
    entry, published = ELSEWHERE[name], PUBLISHED_SETS[name]
    rows = {"rows": len(published.kept)} if "rows" in entry else {}
    source = dict(entry["source"])
    if source["kind"] == "hub":
        hub.add(source["id"], published.files, sha=source["revision"])
    else:
        data = published.files[""]
        hub.add_raw(source["url"].removeprefix(RAW), data)
        source["sha256"] = hashlib.sha256(data).hexdigest()
    return {**entry, "source": source, **rows}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Prompt and response of every row of every entry, or the message."""
    with Hub() as hub:
        specs = {name: serve(hub, name) for name in ELSEWHERE}
        environment = hub.environment(tmp_path_factory.mktemp("home"), **{MIRROR: f"{RAW}={hub.endpoint}/raw/"})
        done = subprocess.run(
            [sys.executable, "-c", LOAD], input=json.dumps(specs), env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_entry_takes_the_right_rows_and_columns_from_its_published_layout(found, name):
    assert found[name] == [list(pair) for pair in PUBLISHED_SETS[name].kept]
