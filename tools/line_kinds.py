"""What every line of a Python file is: code, docstring, comment or blank; and which code only refuses."""

import ast
import io
import tokenize

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def span(node: ast.AST) -> range:
    """Return the numbers of the lines on which a piece of syntax stands."""
    return range(node.lineno, node.end_lineno + 1)


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is the docstring of a file or definition, if it has one."""
    first = node.body[0] if node.body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if is_text and isinstance(first.value.value, str) else None


def line_kinds(source: str) -> list[str]:
    r"""Return the kind of every line.

    >>> line_kinds("# why\n\nx = 1  # so")
    ['comment', 'blank', 'code']
    """
    kinds = ["blank"] * len(source.splitlines())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and kinds[token.start[0] - 1] == "blank":
            kinds[token.start[0] - 1] = "comment"
        elif token.type not in (tokenize.COMMENT, *LAYOUT):
            for number in range(token.start[0], token.end[0] + 1):
                kinds[number - 1] = "code"
    # A docstring is a string like any other to the tokenizer: only the syntax tells.
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | Definition) and (text := docstring_of(node)):
            for number in span(text):
                kinds[number - 1] = "docstring"
    return kinds


def refusal_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that only refuse: raises, their guards, functions that check, calls of these."""
    return {number for node in ast.walk(tree) if _refuses(node) for number in span(node)}


def _refuses(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return not node.orelse and isinstance(node.body[-1], ast.Raise)
    if isinstance(node, ast.FunctionDef):
        return node.name.lstrip("_").startswith(("check", "refus"))
    if isinstance(node, ast.For):
        return all(_is_check(inner) for inner in node.body)
    return isinstance(node, ast.Raise) or _is_check(node)


def _is_check(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name.lstrip("_").startswith("check") or name == "whole_number"
