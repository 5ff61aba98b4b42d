# SPDX-License-Identifier: BSD-3-Clause
"""How the documentation is built: `make docs`. Nothing is fetched, neither while it is built nor while it is read."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from tools.reference import write_reference

project = "Butler over gRPC"
author = "The Butler over gRPC authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
html_show_copyright = False

# Links from one page to a heading of another, as the pages have them on their own, too.
myst_heading_anchors = 3
# What links to files beside the documentation is a link to the file.
myst_url_schemes = ["http", "https"]

# Single backticks in docstrings name objects of Python; not all have a page.
default_role = "py:obj"
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True

write_reference(Path(__file__).parent / "reference" / "generated")


def setup(app: Sphinx) -> None:
    """Show diagrams as their text: what draws them would be fetched by whoever reads."""
    app.add_lexer("mermaid", TextLexer)
