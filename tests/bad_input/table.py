"""Write docs/bad-input.md from the cases: `python tests/bad_input/table.py`."""

import sys
from pathlib import Path


def main() -> None:
    sys.path.append(str(Path(__file__).parents[1] / "support"))
    from every_case import DOCS, page

    DOCS.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
