# SPDX-License-Identifier: MIT
"""What a run of the benchmarks tells: Markdown on standard output as soon as it is known, and
in the end, if it is wanted, one page of HTML with plots."""

import html
import re
import sys
import textwrap
import time

import plots

STYLE = """body { font: 15px/1.5 sans-serif; max-width: 72em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
td, th { border: 1px solid #ccc; padding: 2px 8px; text-align: left }
code { background: #f3f3f3 } svg { display: block; margin: 1em 0 }"""


def say(words):
    """How far a run is."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", file=sys.stderr, flush=True)


def _inline(text):
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]*)\*\*", r"<b>\1</b>", text)


class Report:
    """Takes what the parts found out, in the order in which it shall stand."""

    def __init__(self):
        self._page = []

    def heading(self, text):
        print(f"### {text}\n", flush=True)
        self._page.append(f"<h2>{_inline(text)}</h2>")

    def words(self, text):
        """A paragraph; its line breaks do not matter."""
        print(textwrap.fill(" ".join(text.split()), 90, break_long_words=False,
                            break_on_hyphens=False) + "\n", flush=True)
        self._page.append(f"<p>{_inline(text)}</p>")

    def table(self, heads, rows):
        """Rows of texts, as many in each as there are heads."""
        print("| " + " | ".join(heads) + " |")
        print("|" + "---|" * len(heads))
        for row in rows:
            print("| " + " | ".join(row) + " |")
        print(flush=True)

        def line(cells, tag):
            cells = "".join(f"<{tag}>{_inline(cell)}</{tag}>" for cell in cells)
            return f"<tr>{cells}</tr>"
        self._page.append("<table>" + line(heads, "th")
                          + "".join(line(row, "td") for row in rows) + "</table>")

    def intervals(self, title, rows, goal):
        """A plot, see plots.intervals()."""
        self._page.append(plots.intervals(title, rows, goal))

    def lines(self, title, across, up, series):
        """A plot, see plots.lines()."""
        self._page.append(plots.lines(title, across, up, series))

    def write(self, path, title):
        page = "\n".join(self._page)
        path.write_text("<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'>"
                        f"<title>{html.escape(title)}</title><style>{STYLE}</style>\n"
                        f"<h1>{html.escape(title)}</h1>\n{page}\n</html>\n")
