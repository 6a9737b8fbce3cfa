"""Open pages of the built site in Chromium, in two sizes of the window, and report faults.

Needs Chromium with its driver, and `pip install selenium`:

    python docs/check_pages.py docs/_build/html

Faults are: a page that scrolls sideways, text that is cut off or leaves the window, images that are
not shown, errors in the console, and formulas that were not set.
"""

import argparse
import functools
import http.server
import shutil
import sys
import threading
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDTHS = (1400, 390)
PAGES = [
    "index.html",
    "start/your_own_data.html",
    "start/which_model.html",
    "user_guide/model_selection.html",
    "user_guide/uncertainty.html",
    "user_guide/plots.html",
    "user_guide/reports.html",
    "theory/crystal_graph_convolution.html",
    "benchmarks/index.html",
    "glossary.html",
    "api/index.html",
    "api/generated/sklmat.CGCNNRegressor.html",
    "api/generated/sklmat.compare_estimators.html",
    "auto_examples/index.html",
    "auto_examples/plot_explain_alloys.html",
    "auto_examples/plot_report.html",
]
FAULTS = """
const wide = document.documentElement.clientWidth, faults = [];
const scrolled = document.documentElement.scrollWidth;
if (scrolled > wide + 1) faults.push(`scrolls sideways: ${scrolled} px in a window of ${wide} px`);
const seen = (e) => e.offsetParent !== null && getComputedStyle(e).visibility !== "hidden";
const name = (e) => `<${e.tagName.toLowerCase()}> ${e.textContent.trim().slice(0, 50)}`;
// Blocks of code and tables may scroll inside the article, which may not.
const scrolls = (e) => {
  for (let p = e; p && p.tagName !== "ARTICLE"; p = p.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(p).overflowX)) return true;
  }
  return false;
};
const parts = ["h1", "h2", "h3", "p", "dt", "li", "td"].map((tag) => `article ${tag}`).join();
for (const e of document.querySelectorAll(parts)) {
  if (!seen(e) || scrolls(e)) continue;
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (Math.max(box.right, box.left + e.scrollWidth) > wide + 1)
    faults.push(`leaves the window: ${name(e)}`);
  if (["hidden", "clip"].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1)
    faults.push(`is cut off: ${name(e)}`);
}
for (const image of document.images) {
  const is_shown = image.complete && image.naturalWidth > 0;
  if (seen(image) && !is_shown) faults.push(`no image: ${image.src}`);
}
for (const e of document.querySelectorAll("article .math")) {
  if (e.textContent.includes("\\\\(") || e.textContent.includes("\\\\[")) {
    faults.push(`a formula is not set: ${name(e)}`); break;
  }
}
return faults;
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *args):
        """Write nothing."""


def open_browser():
    """Start Chromium without a window."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Without a path, selenium would look for a driver on the net.
    return webdriver.Chrome(options, Service(shutil.which("chromedriver")))


def faults_of(browser, url, width):
    """What is wrong with a page in a window of some width."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get_log("browser")
    browser.get(url)
    for image in browser.find_elements("css selector", "img[loading=lazy]"):
        browser.execute_script("arguments[0].loading = 'eager'", image)
    # Formulas are set after the page is loaded.
    end = time.monotonic() + 20
    while time.monotonic() < end:
        faults = browser.execute_script(FAULTS)
        if not any("formula" in fault or "no image" in fault for fault in faults):
            break
        time.sleep(0.25)
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    return faults + [f"console: {message}" for message in errors]


def main():
    """Print the faults of each page; exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="the built site, such as docs/_build/html")
    parser.add_argument("pages", nargs="*", default=PAGES, help="pages in it")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each page")
    args = parser.parse_args()
    missing = [page for page in args.pages if not (args.folder / page).is_file()]
    if missing:
        sys.exit(f"there is no page {', '.join(missing)} in {args.folder}")
    handler = functools.partial(Quiet, directory=str(args.folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser, n_faults = open_browser(), 0
    try:
        for page in args.pages:
            for width in WIDTHS:
                url = f"http://127.0.0.1:{server.server_port}/{page}"
                faults = faults_of(browser, url, width)
                n_faults += len(faults)
                print(f"{'FAULT' if faults else 'ok   '} {width:>4} px  {page}")
                for fault in faults:
                    print(f"        {fault}")
                if args.pictures:
                    args.pictures.mkdir(parents=True, exist_ok=True)
                    name = f"{page.replace('/', '_').removesuffix('.html')}_{width}.png"
                    browser.save_screenshot(str(args.pictures / name))
    finally:
        browser.quit()
        server.shutdown()
    sys.exit(1 if n_faults else 0)


if __name__ == "__main__":
    main()
