"""How the documentation is built: `sphinx-build -W --keep-going -n docs build/docs`.

Prose is MyST Markdown; the API pages come from the docstrings, the command reference from the typer application, the
tables of the validation page from the registry, the laws and the tests, and the notebooks are executed by myst-nb.
The local extensions in `_ext/` do what is particular to this project.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import hermescape  # noqa: E402 (the path comes first)

project = "hermescape"
author = "The hermescape developers"
copyright = "2026, the hermescape developers"
version = release = hermescape.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "plain_docstrings",
    "own_links",
    "own_tables",
    "commands",
]
exclude_patterns = ["_ext", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "fieldlist", "html_image"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

bibtex_bibfiles = ["../theory/references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "hermescape"
html_static_path = ["_static"]
html_css_files = ["own.css"]
html_theme_options = {"navigation_with_keys": True}
mathjax3_config = {"tex": {"tags": "none"}}
numfig = False


def copy_notebooks(_app: object, _config: object) -> None:
    """Bring ../notebooks into the source folder of Sphinx, which sees nothing outside it."""
    target = HERE / "notebooks"
    present = {path.name: path for path in (HERE.parent / "notebooks").glob("*.ipynb")}
    for old in target.glob("*.ipynb"):
        if old.name not in present:
            old.unlink()
    for name, path in present.items():
        copied = target / name
        if not copied.exists() or copied.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copied)


def setup(app: object) -> None:
    """Register the copying of notebooks."""
    app.connect("config-inited", copy_notebooks)  # pyright: ignore
