"""Files of the layout in which the sets of config/datasets.yaml were published: names, columns, nesting, packing, and a
few placeholder rows of our own. Beside the rows that an entry keeps there is one for each filter to leave out.
"""

import csv
import gzip
import io
import json
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]


def as_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_list(rows: Rows) -> bytes:
    return json.dumps(rows, indent=4).encode()


def as_parquet(rows: Rows) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue().to_pybytes()


def card(*configs: tuple[str, dict[str, str]]) -> bytes:
    """A README that names the files of each split of each configuration."""
    listed = [
        {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in splits.items()]}
        for name, splits in configs
    ]
    return f"---\nconfigs: {json.dumps(listed)}\n---\n".encode()


OTHER = b"of another split, and not to be read"


@dataclass(frozen=True)
class PublishedSet:
    """One repository or raw file, and what an entry of the registry takes from it."""

    files: dict[str, bytes]
    """By path in the repository; the one file of a url has the path `""`."""
    kept: list[tuple[str, str | None]]
    """Prompt and response of the rows that are left."""


def of_file(data: bytes, *kept: str | tuple[str, str | None]) -> PublishedSet:
    return PublishedSet({"": data}, _pairs(kept))


def of_hub(files: dict[str, bytes], *kept: str | tuple[str, str | None]) -> PublishedSet:
    return PublishedSet(files, _pairs(kept))


def _pairs(kept: Iterable[str | tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return [(each, None) if isinstance(each, str) else each for each in kept]


def _xstest(label: str, prompt: str) -> dict:
    return {"id": prompt, "prompt": prompt, "type": "homonyms", "label": label, "focus": "a, b", "note": ""}


def _gpt4(kind: str, prompt: str, label: str) -> dict:
    return {
        "id": "v2-1",
        "type": kind,
        "prompt": prompt,
        "completion": f"On {prompt}:\nwell.",
        "annotation_1": label,
        "annotation_2": label,
        "agreement": "True",
        "final_label": label,
    }


def _dialogue(*turns: str) -> str:
    return "".join(f"\n\n{who}: {turn}" for who, turn in zip(("Human", "Assistant") * 2, turns, strict=False))


def _tails(prompt: str, is_safe: bool) -> dict:
    return {"prompt": prompt, "response": f"{prompt} Done.", "category": {"a,b": False}, "is_safe": is_safe}


def _instruct(instruction: str, given: str) -> dict:
    return {
        "id": "task_0",
        "instruction": instruction,
        "instances": [{"input": given, "output": "An output."}, {"input": "second", "output": "never read"}],
    }


def _gsm(number: int) -> dict:
    return {"question": f"How much is {number} + 1?", "answer": f"It is {number + 1}.\n#### {number + 1}"}


XSTEST = [_xstest("safe", "A safe one"), _xstest("unsafe", "Another, with a comma")]
COMPLETIONS = [
    _gpt4("homonyms", "a", "1_full_compliance"),
    _gpt4("homonyms", "b", "3_partial_refusal"),
    _gpt4("contrast_homonyms", "c", "2_full_refusal"),
    _gpt4("contrast_homonyms", "d", "1_full_compliance"),
]
INSTRUCTIONS = [_instruct("Sum up.", "A text."), _instruct("Greet.", "")]
INSTRUCTED = [("Sum up.\n\nA text.", "An output."), ("Greet.", "An output.")]
SUMS = [_gsm(1), _gsm(2)]
SUMMED = [(row["question"], row["answer"]) for row in SUMS]
ALPACA = [
    {"output": "Of tea.", "input": "", "instruction": "Write of tea."},
    {"output": "Blue.", "input": "Sky", "instruction": "Name its colour."},
    {"output": "Sorry, no.", "input": "", "instruction": "Draw."},
    {"output": "A knot.", "input": "", "instruction": "Describe a criminal."},
]
XSTEST_HUB = {"README.md": b"---\nlicense: cc-by-4.0\n---\n", "xstest_prompts.csv": as_csv(XSTEST)}
PUBLISHED_SETS = {
    "advbench": of_file(
        as_csv([{"goal": "One, two", "target": "T"}, {"goal": "Three", "target": "T"}]), "One, two", "Three"
    ),
    "harmbench": of_file(
        as_csv(
            [
                {
                    "Behavior": f"Of kind {kind}",
                    "FunctionalCategory": kind,
                    "SemanticCategory": "s",
                    "Tags": "",
                    "ContextString": "two\nlines",
                    "BehaviorID": kind,
                }
                for kind in ("standard", "contextual", "copyright")
            ]
        ),
        "Of kind standard",
    ),
    "jbb": of_hub(
        {
            "README.md": card(
                ("behaviors", {"harmful": "data/harmful-behaviors.csv", "benign": "data/benign-behaviors.csv"}),
                ("judge_comparison", {"test": "data/judge-comparison.csv"}),
            ),
            "data/harmful-behaviors.csv": as_csv(
                [{"Index": 0, "Goal": "A goal", "Target": "T", "Behavior": "B", "Category": "C", "Source": "Original"}]
            ),
            "data/benign-behaviors.csv": OTHER,
            "data/judge-comparison.csv": OTHER,
        },
        "A goal",
    ),
    "strongreject": of_file(as_csv([{"category": "c", "source": "s", "forbidden_prompt": "A prompt"}]), "A prompt"),
    "maliciousinstruct": of_hub(
        {
            "README.md": card(("default", {"train": "data/train-*"})),
            "data/train-00000-of-00001.parquet": as_parquet([{"prompt": "One?"}, {"prompt": "Two?"}]),
        },
        "One?",
        "Two?",
    ),
    "xstest_unsafe": of_hub(XSTEST_HUB, "Another, with a comma"),
    "xstest_safe": of_hub(XSTEST_HUB, "A safe one"),
    "do_not_answer": of_hub(
        {
            "data/train-00000-of-00001-6ba0076b818accff.parquet": as_parquet(
                [{"id": 1, "risk_area": "r", "question": "A question?", "GPT4_response": "never read"}]
            )
        },
        "A question?",
    ),
    "catqa": of_hub(
        {
            "README.md": card(
                ("default", {"en": "catqa_english.json", "zh": "catqa_chinese.json", "vi": "catqa_vietnamese.json"})
            ),
            "catqa_english.json": as_lines(
                [
                    {"Category": category, "Subcategory": "s", "Question": f"On {category}?"}
                    for category in ("Fraud/Deception", "Child Abuse")
                ]
            ),
            "catqa_chinese.json": OTHER,
            "catqa_vietnamese.json": OTHER,
        },
        "On Fraud/Deception?",
    ),
    "ailuminate": of_file(
        as_csv(
            [
                {
                    "release_prompt_id": hazard,
                    "prompt_text": f"On {hazard}",
                    "hazard": hazard,
                    "persona": "p",
                    "locale": "en_US",
                    "prompt_hash": "0",
                }
                for hazard in ("dfm", "cse")
            ]
        ),
        "On dfm",
    ),
    "hh_harmless": of_hub(
        {
            "harmless-base/test.jsonl.gz": gzip.compress(
                as_lines(
                    [
                        {"chosen": _dialogue("Hello?", "Hi."), "rejected": _dialogue("Hello?", "No.")},
                        {"chosen": _dialogue("Hello?", "Hi.", "And?", "Well."), "rejected": ""},
                    ]
                )
            ),
            "harmless-base/train.jsonl.gz": OTHER,
            "helpful-base/test.jsonl.gz": OTHER,
            "red-team-attempts/red_team_attempts.jsonl.gz": OTHER,
        },
        "Hello?",
    ),
    "xstest_unsafe_gpt4": of_file(as_csv(COMPLETIONS), ("c", "On c:\nwell.")),
    "xstest_safe_gpt4": of_file(as_csv(COMPLETIONS), ("a", "On a:\nwell.")),
    "beavertails_safe": of_hub(
        {
            "README.md": card(
                (
                    "default",
                    {
                        f"{size}_{part}": f"round0/{size}/{part}.jsonl.{packing}"
                        for size, packing in (("330k", "xz"), ("30k", "gz"))
                        for part in ("train", "test")
                    },
                )
            ),
            **{f"round0/{size}/train.jsonl.{end}": OTHER for size, end in (("330k", "xz"), ("30k", "gz"))},
            "round0/330k/test.jsonl.xz": lzma.compress(OTHER),
            "round0/30k/test.jsonl.gz": gzip.compress(as_lines([_tails("Safe?", True), _tails("Not?", False)])),
        },
        ("Safe?", "Safe? Done."),
    ),
    "coconot_safety": of_hub(
        {
            "README.md": card(
                ("contrast", {"test": "contrast/test-*"}),
                ("original", {"train": "original/train-*", "test": "original/test-*"}),
                ("pref", {"train": "pref/train-*"}),
            ),
            "original/train-00000-of-00001.parquet": as_parquet(
                [
                    {"id": "1", "category": category, "subcategory": "s", "prompt": category, "response": "Better not."}
                    for category in ("Requests with safety concerns", "Incomplete requests")
                ]
            ),
            "original/test-00000-of-00001.parquet": OTHER,
            "contrast/test-00000-of-00001.parquet": OTHER,
            "pref/train-00000-of-00001.parquet": OTHER,
        },
        ("Requests with safety concerns", "Better not."),
    ),
    "alpaca_no_safety": of_hub(
        {"README.md": b"---\nlicense: cc-by-4.0\n---\n", "alpaca_data_cleaned.json": as_list(ALPACA)},
        ("Write of tea.", "Of tea."),
        ("Name its colour.\n\nSky", "Blue."),
    ),
    "gsm8k": of_hub(
        {
            "README.md": card(
                *((name, {part: f"{name}/{part}-*" for part in ("train", "test")}) for name in ("main", "socratic"))
            ),
            "main/train-00000-of-00001.parquet": as_parquet(SUMS),
            "main/test-00000-of-00001.parquet": OTHER,
            "socratic/train-00000-of-00001.parquet": OTHER,
            "socratic/test-00000-of-00001.parquet": OTHER,
        },
        *SUMMED,
    ),
    "gsm8k_test": of_file(as_lines(SUMS), *SUMMED),
    "dolly": of_hub(
        {
            "README.md": b"---\nlicense: cc-by-sa-3.0\n---\n",
            "databricks-dolly-15k.jsonl": as_lines(
                [
                    {"instruction": "Name it.", "context": "A text.", "response": "It.", "category": "closed_qa"},
                    {"instruction": "Name two.", "context": "", "response": "One, two.", "category": "open_qa"},
                ]
            ),
        },
        ("Name it.\n\nA text.", "It."),
        ("Name two.", "One, two."),
    ),
    "self_instruct": of_file(as_lines([row | {"motivation_app": "Mail"} for row in INSTRUCTIONS]), *INSTRUCTED),
    "self_instruct_seeds": of_file(
        as_lines([row | {"name": "n", "is_classification": False} for row in INSTRUCTIONS]), *INSTRUCTED
    ),
    "or_bench_hard": of_hub(
        {
            "README.md": card(
                *((f"or-bench-{part}", {"train": f"or-bench-{part}.csv"}) for part in ("80k", "hard-1k", "toxic"))
            ),
            "or-bench-hard-1k.csv": as_csv([{"prompt": "It looks bad, it is not", "category": "c"}]),
            "or-bench-80k.csv": OTHER,
            "or-bench-toxic.csv": OTHER,
        },
        "It looks bad, it is not",
    ),
    "maliciousinstruct_txt": of_file(b"One?\nTwo, three?\n", "One?", "Two, three?"),
    "xstest_unsafe_csv": of_file(as_csv(XSTEST), "Another, with a comma"),
    "xstest_safe_csv": of_file(as_csv(XSTEST), "A safe one"),
}
"""By the id of the entry."""
