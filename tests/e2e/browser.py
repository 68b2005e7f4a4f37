# SPDX-License-Identifier: MIT
"""Chromium without a screen, driven by chromedriver.

    with Browser() as browser:
        browser.size(390, 844)
        browser.get(daemon.url)
        wait_for(lambda: browser.text("#connection").startswith("live"), 10)
        assert browser.complaints() == []
"""

import base64
import os

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service


class Browser(webdriver.Chrome):
    """A window of 1440 by 1000 pixels, dark; complaints() has what its console has."""

    def __init__(self):
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for word in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--window-size=1440,1000", "--no-first-run"):
            options.add_argument(word)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        super().__init__(service=Service("/usr/bin/chromedriver"), options=options)
        self.set_page_load_timeout(30)
        self.size(1440, 1000)
        self.colours("dark")

    def size(self, width, height, scale=1):
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": scale,
            "mobile": width < 500})

    def colours(self, scheme):
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def text(self, selector):
        """What is to be read there, "" if nothing is."""
        return self.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def press(self, key):
        """Press and release a key, where the focus is."""
        for kind in ("rawKeyDown", "keyUp"):
            self.execute_cdp_cmd("Input.dispatchKeyEvent", {
                "type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13, "End": 35, "ArrowLeft": 37,
                                          "ArrowRight": 39}[key]})

    def complaints(self):
        """What its console was told since this was asked last."""
        return [entry["message"] for entry in self.get_log("browser")]

    def picture(self, path, whole=True):
        """Write a PNG of the page, or of what of it is on the screen."""
        answer = self.execute_cdp_cmd("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": whole, "clip": {
                "x": 0, "y": 0, "scale": 1, **self.execute_script(
                    "const e = document.documentElement; return {width: e.clientWidth, "
                    "height: arguments[0] ? e.scrollHeight : e.clientHeight}", whole)}})
        path.write_bytes(base64.b64decode(answer["data"]))
