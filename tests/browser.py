"""A real browser without a window, for what people look at."""

import base64
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

DESKTOP, PHONE = (1280, 900), (390, 844)

# As root it has no sandbox; the rest keeps it from asking the network for anything.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


@contextmanager
def browsing(size: tuple[int, int] = DESKTOP) -> Iterator[webdriver.Chrome]:
    """Start Chromium with a profile of its own; a window as narrow as a phone's is treated as one."""
    binary, driver = _needed("chromium"), _needed("chromedriver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
            options.add_argument(flag)
        if size == PHONE:
            metrics = {"width": size[0], "height": size[1], "pixelRatio": 1.0}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()


def complaints(browser: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return what the page has written to the console since it was last asked."""
    return list(browser.get_log("browser"))


def pixels(element: WebElement) -> np.ndarray:
    """Return what the element looks like, wherever the page has been scrolled to: (H, W, 3) RGB bytes."""
    asked = """const box = arguments[0].getBoundingClientRect();
        return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}"""
    clip = element.parent.execute_script(asked, element)
    shot = {"clip": clip, "captureBeyondViewport": True}
    found = element.parent.execute_cdp_cmd("Page.captureScreenshot", shot)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found["data"]))).convert("RGB"))


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is missing: as root, apt-get install chromium chromium-driver")
    return found
