"""Sphinx: the pages of this folder as a site (make docs)."""

from importlib import metadata

project = "Regraft"
author = "the Regraft authors"
version = release = metadata.version("regraft")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Regraft"
html_static_path: list[str] = []
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
myst_fence_as_directive: list[str] = []
suppress_warnings = ["misc.highlighting_failure"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
nitpicky = False
napoleon_google_docstring = True
