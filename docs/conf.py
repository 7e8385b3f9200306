"""Sphinx: ``sphinx-build -W --keep-going docs docs/_build``."""

from notary_auth import __version__

project = "notary-auth"
author = "The notary-auth developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
html_theme = "furo"
# furo's own style for dark code underlines module and class names, as if they were links.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {"top_of_page_buttons": []}
html_title = f"notary-auth {__version__}"
html_static_path = ["_static"]
html_css_files = ["diagrams.css"]
exclude_patterns = ["_build", "measured"]
html_extra_path: list[str] = []

nitpicky = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
copybutton_exclude = ".linenos, .gp, .go"
# Docstrings name code in single backquotes, as Python code is named in comments.
default_role = "code"


def sections_as_lists(app, what, name, obj, options, lines):  # noqa: PLR0917  as Sphinx calls it
    """Docstrings' ``Args:``, ``Raises:`` and ``Attributes:`` as field lists."""
    kinds = {"Args:": "param", "Raises:": "raises", "Attributes:": "ivar"}
    kind, found = None, []
    for line in lines:
        if line.strip() in kinds and not line.startswith(" "):
            kind = kinds[line.strip()]
            found.append("")
        elif kind and line and not line.startswith(" "):
            kind = None
            found.append(line)
        elif kind and line.startswith("    ") and not line.startswith("     ") and ": " in line:
            names, text = line.strip().split(": ", 1)
            found += [f":{kind} {name}: {text}" for name in names.split(", ")]
        elif kind and line:
            found.append("  " + line.strip())
        else:
            found.append(line)
    lines[:] = found


def setup(app):
    app.connect("autodoc-process-docstring", sections_as_lists)
