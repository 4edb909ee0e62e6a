"""How the documentation is built: `sphinx-build -W --keep-going -n docs build/docs`.

Prose is MyST Markdown; the API pages come from the docstrings, the command reference from the typer application, the
tables of the validation page from the registry, the laws and the tests, and the notebooks are executed by myst-nb.
The local extensions in `_ext/` do what is particular to this project. With `-t quick`, as in the tests, notebooks are
not executed, the pages of source code are left out, and pages of modules have no tree of pages in their margin.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from docutils import nodes  # noqa: E402
from own_links import modules, own_names  # noqa: E402 (the path comes first)
from sphinx.application import Sphinx  # noqa: E402

import hermescape  # noqa: E402

project = "hermescape"
author = "The hermescape developers"
copyright = "2026, the hermescape developers"
version = release = hermescape.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "plain_docstrings",
    "own_links",
    "own_tables",
    "commands",
]
if not tags.has("quick"):  # noqa: F821  # pyright: ignore (Sphinx defines it)
    extensions.append("sphinx.ext.viewcode")
exclude_patterns = ["_ext"]

myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "fieldlist", "html_image"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nb_execution_mode = "off" if tags.has("quick") else "cache"  # noqa: F821  # pyright: ignore
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

bibtex_bibfiles = ["../theory/writing/references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

smartquotes = False  # "..." and quotes are code here

html_theme = "furo"
html_title = "hermescape"
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_theme_options = {"navigation_with_keys": True}
mathjax3_config = {"tex": {"tags": "none"}}
numfig = False


def generate(_app: object, _config: object) -> None:
    """Bring ../notebooks into the source folder, outside of which Sphinx sees nothing; write a page for each module."""
    notebooks = {path.name: path.read_bytes() for path in (HERE.parent / "notebooks").glob("*.ipynb")}
    keep(HERE / "notebooks", "*.ipynb", notebooks)
    keep(HERE / "api" / "modules", "*.rst", {f"{name}.rst": module_page(name).encode() for name in modules()})


def module_page(name: str) -> str:
    """Return the page of a module: its own names, since what it passes on is described where it is defined."""
    members = ", ".join(own_names(name))
    content = f".. automodule:: {name}\n" + (f"   :members: {members}\n" if members else "")
    return f"{name}\n{'=' * len(name)}\n\n{content}" + ("\n.. symbol-table::\n" if name == "theory.symbols" else "")


def keep(folder: Path, pattern: str, wanted: dict[str, bytes]) -> None:
    """Make the files of a folder those wanted; unchanged ones keep their date, so that only new ones are read."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob(pattern):
        if old.name not in wanted:
            old.unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def without_tree(_app: Sphinx, name: str, _template: str, context: dict[str, object], _doctree: object) -> None:
    """Leave the tree of all pages out of the margin of a module's page: two hundred times it takes half a minute."""
    if name.startswith("api/modules/"):
        context.pop("toctree")


def keep_alignments(_app: Sphinx, doctree: nodes.document) -> None:
    """Let the align blocks that notebooks print stand by themselves, not inside another display."""
    for block in doctree.findall(nodes.math_block):
        if block.astext().lstrip().startswith(r"\begin{align"):
            block["no-wrap"] = block["nowrap"] = True  # as Sphinx calls it now, and before 9


def setup(app: Sphinx) -> None:
    """Generate before Sphinx looks for sources; mend what myst-nb makes of LaTeX."""
    app.connect("config-inited", generate)
    app.connect("doctree-read", keep_alignments)
    if app.tags.has("quick"):
        app.connect("html-page-context", without_tree, priority=400)  # before the theme asks for it
