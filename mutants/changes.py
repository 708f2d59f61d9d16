"""Small changes of a module, as a careless hand might make them: the same for every line, whatever it is for.

Comparisons are moved by one and turned round, `and` and `or`, `min` and `max`, plus and minus exchanged, numbers made
one more and one less, conditions negated, statements left out, results forgotten. Text is left alone: no test should
pin how an error is worded.
"""

import ast
from collections.abc import Iterator

from msgspec import Struct

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
TESTED = (ast.If, ast.IfExp, ast.While)


class SmallChange(Struct, frozen=True):
    """A module with one small change."""

    line: int
    name: str
    """The function and the line before and after: it stays the same when lines above come and go."""
    source: str


def small_changes(source: str) -> Iterator[SmallChange]:
    """Every small change of a module. Each is one line of the module as Python would write it."""
    tree = ast.parse(source)
    before = ast.unparse(tree).splitlines()
    for definition in tree.body:
        for line in _replaced(definition):
            changed = ast.unparse(tree)
            (was, becomes), *_ = (pair for pair in zip(before, changed.splitlines(), strict=True) if len({*pair}) == 2)
            where = getattr(definition, "name", "module")
            yield SmallChange(line, f"{where}: {was.strip()} -> {becomes.strip()}", changed)


def _replaced(node: ast.AST) -> Iterator[int]:
    """Replace each part below `node` in turn by what it may be mistaken for; tell its line, and put it back."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, part in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(part, ast.AST):
                continue
            tested = (field == "test" and isinstance(node, TESTED)) or field == "ifs"
            for other in _mistaken(part, tested=tested):
                _put(node, field, index, other)
                yield getattr(part, "lineno", 0)
                _put(node, field, index, part)
            yield from _replaced(part)


def _put(node: ast.AST, field: str, index: int, part: ast.AST) -> None:
    value = getattr(node, field)
    if isinstance(value, list):
        value[index] = part
    else:
        setattr(node, field, part)


def _mistaken(part: ast.AST, *, tested: bool) -> Iterator[ast.AST]:
    match part:
        case ast.Compare(left, ops, comparators):
            for at, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:at], other(), *ops[at + 1 :]], comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.AugAssign(target, op, value) if type(op) in OPERATORS:
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Call(ast.Name(name), args, keywords) if name in CALLS:
            yield ast.Call(ast.Name(CALLS[name]), args, keywords)
        case ast.Return(ast.AST()):
            yield ast.Return(None)
        case ast.Raise() | ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.expr() if tested:
            yield ast.UnaryOp(ast.Not(), part)
