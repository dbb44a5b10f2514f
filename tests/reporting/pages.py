"""What stands in a page, read back from HTML and Markdown."""

import base64
import gzip
import hashlib
import html
import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """The elements of a page: (tag, attributes), in order; raises where they are not nested."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def needs_nothing_else(page: str) -> bool:
    """Whether a page loads nothing, leads nowhere else, and runs no script but those whose digests it admits."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    packed = re.findall(r'<script type="application/gzip"[^>]*>(.*?)</script>', page)
    scripts += [gzip.decompress(base64.b64decode(library)).decode() for library in packed]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    admitted = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = html.unescape(admitted.group(1)) if admitted else ""
    own = policy.endswith("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))
    loads = [
        attributes[name] for _, attributes in Outline(page).elements for name in ("src", "href") if name in attributes
    ]
    return own and all(address.startswith(("data:image/png;base64,", "#")) for address in loads)


def plain_text(page: str) -> str:
    return " ".join(" ".join(Outline(page).text).split())


def plain_markdown(markdown: str) -> str:
    return html.unescape(re.sub(r"\\([\\`*\[\]|~$_])", r"\1", markdown))


def rows_of(page: str, title: str) -> list[list[str]]:
    """The texts of the cells of the first table whose caption begins with `title`, its heading first."""
    tables = re.split(r"<table[^>]*>", page)[1:]
    table = next(part for part in tables if f"<span>{title}" in part.split("<thead>")[0])
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table.split("</table>")[0], re.DOTALL)
    return [[plain_text(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)] for line in lines]
