"""Bytes in place are told from those published: by a pointer, or by the receipt that git has."""

from sharing import make
from some_recipes import some_recipe

from safety_regions.artifacts.artifact import Artifact
from safety_regions.share.replaced import replaced


def test_what_was_made_again_with_other_bytes_is_told_from_what_was_published(published):
    artifacts = published.artifacts
    paths = {name: artifacts[name].path for name in ("a", "b", "table", "hub")}
    assert set(replaced(paths.values()).values()) == {False}
    for name in ("b", "table", "hub"):
        make(artifacts[name], b"other bytes, and a receipt of them")
    assert replaced(paths.values()) == {paths[name]: name != "a" for name in paths}


def test_of_what_was_never_published_nothing_is_said(published):
    new = Artifact(some_recipe("region"), "new")
    make(new)
    assert replaced([new.path]) == {new.path: None}
