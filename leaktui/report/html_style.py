"""The look of the HTML report: one style sheet, light and dark, for screens of any width and for paper.

Law: nothing is fetched. The page's policy allows this sheet by its hash and no other, so that a style slipped in
by a target would not be applied.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def style_sheet() -> str:
    """The style sheet, as it stands in the page."""
    return files("leaktui.report").joinpath("page.css").read_text(encoding="utf-8")


def content_policy() -> str:
    """What a browser may do with the page: apply this sheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
