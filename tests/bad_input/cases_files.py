"""File systems: what is in the way, may not be written, is too long, is a link; names with spaces and letters of any
script.
"""

import contextlib
import json
import os
import resource
from pathlib import Path

from case import Deed, bad, fine, script
from cases_data import fetching, prompts

from safety_regions.files import atomic_path, write_text

NOBODY = 65534


@contextlib.contextmanager
def as_nobody():
    """As a user who may write nowhere; the tests may run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def forbidden(deed: Deed) -> Deed:
    def run():
        with as_nobody():
            deed()

    return run


def writing(path: str) -> Deed:
    return lambda: write_text(path, "hay")


@bad("files", "a folder where a file is to be written", says="is a directory", names="out.jsonl")
def output_folder():
    Path("out.jsonl").mkdir()
    return writing("out.jsonl")


@bad("files", "a file where a folder is to be made", says="file exists", names="results")
def file_in_the_way():
    Path("results").write_text("mine")
    return writing("results/out.jsonl")


@bad("files", "a file further up where a folder is to be made", says="not a directory", names="results/models")
def file_further_up():
    Path("results").write_text("mine")
    return writing("results/models/out.jsonl")


@bad("files", "a name that is too long", says="file name too long", names="hayhayhay")
def long_name():
    return writing("hay" * 100)


@bad("files", "a link that leads back to itself", says="too many levels of symbolic links", names="loop")
def loop():
    Path("loop").symlink_to("loop")
    return writing("loop/x/out.jsonl")


@bad("files", "a folder that may not be written", says="permission denied", names="locked")
def locked():
    Path("locked").mkdir()
    Path("locked").chmod(0o555)
    return forbidden(writing("locked/out.jsonl"))


@bad("files", "a data file that may not be read", says="cannot be read: Permission denied", names="rows.csv")
def unreadable():
    deed = fetching(b"q\nhay\n", "csv")
    # Once as oneself: what it imports may lie where nobody else may read.
    deed()
    assert prompts() == ["hay"]
    Path("rows.csv").chmod(0)
    return forbidden(deed)


@bad("files", "a file larger than the user may write", says="file too large", names="out.jsonl")
def too_large():
    def deed():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with atomic_path("out.jsonl") as path:
                path.write_text("hay" * 4096)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return deed


@bad("files", "a data file that is a folder", says="cannot be read: Is a directory", names="rows.csv")
def data_folder():
    deed = fetching(b"q\nhay\n", "csv")
    Path("rows.csv").unlink()
    Path("rows.csv").mkdir()
    return deed


@bad(
    "files",
    "a recipe that is to be read from no file",
    says="not a recipe: [Errno 2] No such file or directory ...",
    names="--recipe",
)
def no_recipe():
    return lambda: script("sample_prompts", "--recipe", "@nowhere", "--rows", "x", "--output", "out")


@bad(
    "files",
    "an output folder that holds somebody's files",
    says="the output folder holds other files: thesis.tex",
    names="out",
)
def others():
    from safety_regions.models.folder import new_folder

    Path("out").mkdir()
    Path("out/thesis.tex").write_text("mine")

    def deed():
        with new_folder("out") as folder:
            (folder / "config.json").write_text("{}")

    return deed


@fine("files", "a path with spaces and letters of other scripts", gives="it is read and written as it is")
def unicode_path():
    fetch = fetching(b"q\nhay\n", "csv", path="my r\u00f6ws \u6f22.csv")

    def deed():
        fetch()
        assert prompts() == ["hay"]

    return deed


@fine("files", "a link where a file is to be written", gives="the link gives way, and what it led to stays as it is")
def link():
    Path("mine").write_text("mine")
    Path("out").symlink_to("mine")

    def deed():
        write_text("out", "hay")
        assert (Path("mine").read_text(), Path("out").read_text()) == ("mine", "hay")
        Path("out").unlink()
        Path("out").symlink_to("mine")

    return deed


@fine("files", "a data file that is a link", gives="it is read")
def linked_data():
    fetch = fetching(b"q\nhay\n", "csv")
    Path("rows.csv").rename("elsewhere.csv")
    Path("rows.csv").symlink_to("elsewhere.csv")

    def deed():
        fetch()
        assert prompts() == ["hay"]
        assert json.loads(json.dumps(str(Path("rows.csv").readlink()))) == "elsewhere.csv"

    return deed
