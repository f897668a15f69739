"""Which region of a set is meant: its own, or one from other prompts or with other responses."""

OWN = "own"
Variant = tuple[str, str]
"""A set, and which region of it: `own`, `split0.1` the second half of its prompts, `seed1` another draw, `template0`
other responses."""


def named(of: Variant) -> str:
    """A set's name in paths, with the variant where it is not the set's own region."""
    name, which = of
    return name if which == OWN else f"{name}-{which.replace('.', '-')}"


def drawn_from(of: Variant) -> Variant:
    """Whose prompts a region is identified from: those of another draw are its own, all others are the set's."""
    return of if of[1].startswith("seed") else (of[0], OWN)


def part_of(of: Variant) -> tuple[int, int] | None:
    """Split and half of a half's region."""
    if not of[1].startswith("split"):
        return None
    split, _, half = of[1].removeprefix("split").partition(".")
    return int(split), int(half)


def role(what: str, of: Variant) -> str:
    """The role of a region, or of prompts, among the inputs."""
    return f"{what}/{of[0]}/{of[1]}"
