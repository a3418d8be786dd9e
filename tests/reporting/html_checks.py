"""Reads a page as a browser would, and strictly."""

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Notes tags that do not match, ids, links and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.anchors, self.loaded, self.wrong = [], [], [], [], []
        self.text, self.skipped = "", 0
        self.feed(page)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        link = values.get("href", "")
        self.anchors += [link[1:]] if link.startswith("#") else []
        self.loaded += [values[key] for key in ("src", "href", "data", "srcset") if values.get(key, "#")[0] != "#"]
        self.loaded += re.findall(r"url\((?!#)", values.get("style") or "")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if not {"style", "script", "svg"} & set(self.open):
            self.text += f"{data} "
