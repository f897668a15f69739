"""`snakemake --report`: the run's page, appendix and headline with their captions, in one archive."""

import shutil
from pathlib import Path
from zipfile import ZipFile

from pages import make_page, write_pdf
from pipeline import ROOT, WorkingCopy

from safety_regions.planning.plan import Plan


def test_report_holds_page_appendix_and_headline_with_captions_and_categories(plan: Plan):
    (report,) = plan.targets
    folder = Path(report.path)
    page = make_page(Path("made"))
    shutil.copyfile(page.path, folder / "report.html")
    write_pdf(folder / "appendix.pdf", "")
    shutil.copytree(ROOT / "report", "report", dirs_exist_ok=True)
    WorkingCopy(Path.cwd()).run("--report", "report.zip")
    with ZipFile("report.zip") as archive:
        packed = {Path(name).name: archive.read(name) for name in archive.namelist() if "/data/raw/" in name}
        text = archive.read("report/report.html").decode()
    assert packed.keys() == {"report.html", "appendix.pdf", "headline.pdf", "headline.csv"}
    assert packed["report.html"] == page.path.read_bytes()
    for words in (
        "At a glance",
        "page with everything",
        "Begin with the page",
        "The report of micro as one page",
        "Ticks are the chance floor",
    ):
        assert words in text, words
