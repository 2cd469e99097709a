"""What a person sees in the two UIs, in a real browser on real servers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from flows.prefect_api.requests import BackfillRequest
from flows.prefect_api.runs import FlowRuns
from flows.servers.stack import Stack

pytest_plugins = ("tests.helpers.servers",)
pytestmark = pytest.mark.integration

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Debian's chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


@pytest.mark.accept
def test_a_build_shows_its_tasks_and_its_progress(
    page: Page, runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    request = BackfillRequest(config=str(served_project), symbols=["NVDA"], force=True)
    run = runs.start("finnex-backfill/backfill", request)
    page.goto(runs.page(run))
    expect(page.get_by_text("finnex-backfill").first).to_be_visible()
    expect(page.get_by_text("Running").first).to_be_visible()
    runs.follow(run, lambda *_: None)
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.get_by_text("Task Runs", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"NVDA 2015-\d\d-\d\d to 2015-\d\d-\d\d")).first).to_be_visible()
    page.get_by_text("Artifacts", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"\d+ images drawn, 0 were up to date")).first).to_be_visible()
    page.screenshot(path=tmp_path / "build.png")


def test_all_deployments_are_listed_and_the_form_names_every_field(page: Page, stack: Stack, tmp_path: Path) -> None:
    page.goto(stack.deployments_address)
    for name in ("audit", "backfill", "export", "nightly", "predict", "qa", "train"):
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "deployments.png")
    page.get_by_role("link", name="backfill", exact=True).first.click()
    page.wait_for_url(re.compile(r"/deployment/"))
    page.goto(page.url.split("?")[0] + "/run")
    for field in ("Configuration", "Symbols", "First session", "Last session", "Draw again"):
        expect(page.get_by_text(field).first).to_be_visible()
    page.screenshot(path=tmp_path / "form.png")


@pytest.mark.accept
def test_a_training_is_seen_in_both_uis_and_its_report_opens(
    page: Page, runs: FlowRuns, trained: UUID, tmp_path: Path
) -> None:
    page.goto(runs.page(trained))
    page.get_by_text("Task Runs", exact=True).first.click()
    for task in ("train", "check and report", "record in MLflow"):
        expect(page.get_by_role("link", name=task, exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "training.png")
    where = runs.table(trained, "training-result")[0]["mlflow_url"]
    page.goto(where)
    expect(page.get_by_text("multiscale_cnn price_movement 5").first).to_be_visible()
    page.screenshot(path=tmp_path / "mlflow.png")
    page.goto(f"{where}/artifacts")
    page.get_by_text("report.html").first.click()
    report = page.frame_locator("iframe").first
    expect(report.get_by_text("logistic regression").first).to_be_visible()
    page.screenshot(path=tmp_path / "report.png")


def test_a_person_starts_a_training_from_the_form_and_compares_it_with_an_earlier_one(
    page: Page, runs: FlowRuns, stack: Stack, trained: UUID, tmp_path: Path
) -> None:
    page.goto(stack.deployments_address)
    page.get_by_role("link", name="train", exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.get_by_text("Custom run").click()
    expect(page.get_by_text("Seeds").first).to_be_visible()
    _, size, _ = page.locator("button", has_text="as configured").all()
    size.press("ArrowDown")  # opens the menu
    page.get_by_text("small", exact=True).click()
    page.locator("input[type=number]").first.fill("1")
    page.locator("input[type=text]").first.fill("started-by-hand")
    page.screenshot(path=tmp_path / "filled.png", full_page=True)
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="started-by-hand").first.click()
    page.wait_for_url(re.compile(r"/flow-run/"))
    found = re.search(r"flow-run/([0-9a-f-]{36})", page.url)
    assert found is not None
    run = UUID(found[1])
    assert run != trained
    runs.follow(run, lambda *_: None)
    expect(page.get_by_text("Completed").first).to_be_visible()  # the page follows by itself
    page.screenshot(path=tmp_path / "completed.png")

    experiment = runs.table(run, "training-result")[0]["mlflow_url"].split("/runs/")[0]
    page.goto(f"{experiment}/runs")
    for row in (0, 1):
        page.get_by_role("checkbox", name=re.compile("toggle row selection")).nth(row).click()
    page.get_by_role("button", name="Compare").first.click()
    expect(page.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    expect(page.get_by_text("training.epochs").first).to_be_visible()  # in what the two differ
    page.screenshot(path=tmp_path / "compared.png")
