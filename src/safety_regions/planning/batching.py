"""Which artifacts one job makes, where some belong together."""

from collections.abc import Mapping, Sequence

from safety_regions.artifacts.artifact import Artifact


def whole(groups: Sequence[Mapping[str, Artifact]], most: int) -> list[list[Artifact]]:
    """The artifacts of consecutive groups (by any key), at most so many together but never a part of a group's."""
    jobs: list[list[Artifact]] = []
    for group in groups:
        if not jobs or len(jobs[-1]) + len(group) > most:
            jobs.append([])
        jobs[-1] += group.values()
    return jobs
