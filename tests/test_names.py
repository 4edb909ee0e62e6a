"""Nothing depends on what a model is called: what differs between models is a field of its description."""

import ast
from pathlib import Path

import pytest

from numerics.parameters import MODEL_PARAMETERS
from theory.network.derivation import blank
from theory.network.models import MODELS

ROOT = Path(__file__).parents[1]
REGISTRY = {"theory/network/models.py"}
FILES = [p for room in ("theory", "numerics", "hermescape") for p in sorted((ROOT / room).glob("**/*.py"))]


def compared(text: str) -> list[int]:
    """Return the lines that compare something with a model's name, or test that it is among some."""

    def names(node: ast.expr) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(map(names, node.elts))
        return isinstance(node, ast.Constant) and node.value in MODELS

    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and any(map(names, (node.left, *node.comparators))):
            found.append(node.lineno)
        if isinstance(node, ast.MatchValue) and names(node.value):
            found.append(node.lineno)
    return found


def test_no_comparison_with_a_model_s_name() -> None:
    assert len(FILES) > 100
    found = {str(p.relative_to(ROOT)): compared(p.read_text(encoding="utf-8")) for p in FILES}
    assert {name: lines for name, lines in found.items() if lines and name not in REGISTRY} == {}


@pytest.mark.parametrize(
    "text",
    ['a.name == "lora"', 'x in ("plain", "pretrain")', '"misaligned" != kind', 'match a:\n case "lora":\n  pass'],
)
def test_a_comparison_is_seen(text: str) -> None:
    assert compared(text)


def test_the_command_line_knows_the_parameters_of_every_model() -> None:
    assert {name: tuple(map(str, blank(name).parameters)) for name in MODELS} == MODEL_PARAMETERS
