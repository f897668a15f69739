"""A tab of a browser with a report page in it."""

from dataclasses import dataclass, field

from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 380, "height": 800}


@dataclass
class Seen:
    """A tab with the page open, and all that went on in it."""

    tab: Tab
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def values(self, stage: str) -> dict[frozenset[str], tuple[str, str, str]]:
        """Of each cell of a matrix its value, text and colour class, by the sets of its row and column."""
        cells = self.tab.eval_on_selector_all(
            f"#matrix-{stage} td[data-pair]",
            """cells => cells.map(cell => [
                cell.parentElement.cells[0].textContent,
                cell.closest('table').tHead.rows[0].cells[cell.cellIndex].textContent,
                cell.dataset.value, cell.textContent, cell.className])""",
        )
        found: dict[frozenset[str], tuple[str, str, str]] = {}
        for a, b, *cell in cells:
            assert found.setdefault(frozenset((a, b)), tuple(cell)) == tuple(cell), "the two halves differ"
        return found

    def choose(self, **choices: str | int) -> None:
        for name, value in choices.items():
            control = self.tab.locator(f"#{name}")
            control.fill(str(value)) if isinstance(value, int) else control.select_option(value)


def look(browser: Browser, url: str, **options) -> Seen:
    tab = browser.new_context(**({"viewport": DESKTOP} | options)).new_page()
    seen = Seen(tab)
    tab.on("request", lambda request: seen.requests.append(request.url))
    tab.on("console", lambda message: seen.messages.append(message.text))
    tab.on("pageerror", lambda error: seen.messages.append(str(error)))
    tab.on("dialog", lambda dialog: (seen.messages.append("dialog"), dialog.dismiss()))
    tab.route(lambda address: not address.startswith("file:"), lambda route: route.abort())
    tab.goto(url)
    return seen
