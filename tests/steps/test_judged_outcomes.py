"""What receipts say of a judge, and what a report makes of it."""

import pandas as pd
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.cluster.memory import GIB, JUDGING, Need, with_judge
from safety_regions.provenance.origins import origin_of
from safety_regions.report.judged import judged_counts, judged_table
from safety_regions.steps.entry import Entry
from safety_regions.steps.judged import judged_facts

OUTCOMES = pd.DataFrame(
    {
        "outcome": ["refuses", "refuses", "answers", "degenerate", "refuses"],
        "by_patterns": ["refuses", "answers", "answers", "degenerate", "answers"],
    }
)


def test_a_receipt_names_the_judge_and_counts_its_outcomes_by_those_of_patterns(tmp_path):
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    digest = receipts.write(folder, {"kind": "model", "model": "own-judge"}, {}).digest
    entry = Entry(tmp_path / "out", some_recipe("evaluate", judge=digest), {"judge": folder})
    assert judged_facts(entry, OUTCOMES) == {
        "judge": {
            "model": "own-judge",
            "n_told": 5,
            "n_as_patterns": 3,
            "by_judge_and_patterns": {
                "answers/answers": 1,
                "degenerate/degenerate": 1,
                "refuses/answers": 2,
                "refuses/refuses": 1,
            },
        }
    }
    assert judged_facts(entry, OUTCOMES[["outcome"]]) == {}


def test_a_report_counts_over_all_tables_and_has_nothing_where_patterns_told():
    counts = judged_counts("own-judge", [OUTCOMES, OUTCOMES[:2], pd.DataFrame()])
    assert counts.to_dict("records")[2:] == [
        {"judge": "own-judge", "outcome": "refuses", "by_patterns": "answers", "n": 3, "share": 3 / 7},
        {"judge": "own-judge", "outcome": "refuses", "by_patterns": "refuses", "n": 2, "share": 2 / 7},
    ]
    table = judged_table(counts)
    assert table.caption.startswith("Outcomes as own-judge tells them") and "of 4 of 7 answers" in table.caption
    assert table.markdown()[-1] == "| refuses | refuses | 2 | 0.286 |"
    assert judged_counts("own-judge", [OUTCOMES[["outcome"]], pd.DataFrame()]).empty


def test_a_job_asks_for_the_memory_of_its_judge():
    need = Need(0, 5 * GIB, 7.0)
    assert with_judge(need, 1000) == Need(0, 5 * GIB + 4000 + JUDGING, 7.0)
    assert with_judge(need, None).host_bytes > with_judge(need, 400_000_000).host_bytes
    assert with_judge(Need(3 * GIB, 5 * GIB, 7.0), 1000).gpu_bytes == 3 * GIB + 4000 + JUDGING


def test_a_judge_comes_from_the_hub_or_from_a_folder():
    source = {"kind": "classifier", "id": "a/b", "revision": "0" * 40, "sha256": "1" * 64}
    found = origin_of({"kind": "model", "source": source})
    assert found.url == f"https://huggingface.co/a/b/tree/{'0' * 40}" and "1" * 64 in found.text
    found = origin_of({"kind": "model", "source": source | {"id": None, "revision": None}})
    assert found.url is None and found.sha256 == "1" * 64
