"""The page `reference/python-api.md`, from the signatures and docstrings of what `mockserver` exports."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import mockserver
from docs.markdown import cell, code_cell, docstring_lines, table_lines
from mockserver.testing import pytest_plugin, strategies
from mockserver.testing.reply_values import DeliveryOptions

__all__ = ["python_api_page"]

_HEAD = """\
<!-- Written by docs/generate.py from the code: `make docs`. -->
# Python API

Everything on this page can be imported from `mockserver`; other modules may change between versions. The package has
type annotations, and importing it loads nothing until a name is used.

[pytest](../pytest.md) and [Scripting](../scripting.md) show how the parts work together.
"""

_GROUPS = {
    "Servers": ["MockServer", "MockSession", "Stub", "Hold"],
    "Replies": ["Script", "Message", "Reasoning", "FunctionCall", "ToolCall", "Usage", "Reply", "ErrorReply"],
    "Requests": ["IncomingRequest", "Journal", "Entry", "Finding"],
    "Tests of clients": ["assert_client_conforms", "client_contract"],
    "Errors": ["MockServerError", "ConfigurationError", "ContractError", "InvalidExchange", "StartError"],
}


def python_api_page() -> str:
    """Render the page."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield _HEAD
    names = [name for group in _GROUPS.values() for name in group]
    missing = set(mockserver.__all__) - {*names, "strategies", "__version__"}
    assert not missing, f"no group for {sorted(missing)}"
    for title, group in _GROUPS.items():
        yield f"## {title}\n"
        for name in group:
            yield from _object_lines(name, getattr(mockserver, name))
    yield "## Options of a reply\n"
    yield "Keyword arguments of `reply`, `fail` and `fault` that decide how a reply is delivered.\n"
    yield from _attribute_lines(DeliveryOptions)
    yield "## Fixtures\n"
    yield "The pytest plugin provides these fixtures.\n"
    for name in pytest_plugin.__all__:
        fixture = getattr(pytest_plugin, name)
        yield f"### {name}\n"
        yield from docstring_lines(inspect.getdoc(getattr(fixture, "__wrapped__", fixture)) or "")
    yield "## Hypothesis strategies\n"
    yield "`mockserver.strategies`; [Hypothesis strategies](../strategies.md) has examples.\n"
    for name in strategies.__all__:
        value = getattr(strategies, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            yield from _object_lines(name, value)


def _object_lines(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}\n"
    yield from _signature_lines(name, value)
    yield from docstring_lines(_own_doc(value))
    if not inspect.isclass(value):
        return
    yield from _attribute_lines(value)
    for member, function in _methods(value):
        yield f"#### {name}.{member}\n"
        yield from _signature_lines(member, function)
        yield from docstring_lines(inspect.getdoc(function) or "")


def _own_doc(value: Any) -> str:
    """Its docstring, and that of its constructor."""
    texts = [inspect.getdoc(value) or ""]
    constructor = vars(value).get("__init__") if inspect.isclass(value) else None
    if constructor is not None and constructor.__doc__ and constructor.__doc__ != object.__init__.__doc__:
        texts.append(inspect.cleandoc(constructor.__doc__))
    return "\n\n".join(filter(None, texts))


def _signature_lines(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value) and issubclass(value, Exception):
        return
    function = inspect.unwrap(value)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    parameters = [_parameter(each) for each in signature.parameters.values() if each.name != "self"]
    returns = signature.return_annotation
    arrow = "" if returns in (inspect.Signature.empty, "None") else f" -> {returns}"
    text = ", ".join(_with_markers(list(signature.parameters.values()), parameters))
    yield f"```text\n{name}({text}){arrow}\n```\n"


def _parameter(parameter: inspect.Parameter) -> str:
    text = parameter.name
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        text = f"*{text}"
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        text = f"**{text}"
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {parameter.annotation}"
    if parameter.default is not inspect.Parameter.empty:
        default = repr(parameter.default)
        text += f" = {'…' if ' at 0x' in default else default}"
    return text


def _with_markers(parameters: list[inspect.Parameter], texts: list[str]) -> Iterator[str]:
    """The texts of parameters with `/` and `*` where the kinds of parameters change."""
    parameters = [each for each in parameters if each.name != "self"]
    for index, (parameter, text) in enumerate(zip(parameters, texts, strict=True)):
        kind, before = parameter.kind, parameters[index - 1].kind if index else None
        if before is inspect.Parameter.POSITIONAL_ONLY and kind is not before:
            yield "/"
        if kind is inspect.Parameter.KEYWORD_ONLY and before not in (kind, inspect.Parameter.VAR_POSITIONAL):
            yield "*"
        yield text
    if parameters and parameters[-1].kind is inspect.Parameter.POSITIONAL_ONLY:
        yield "/"


def _methods(value: type) -> Iterator[tuple[str, Any]]:
    """The public methods of a class, in the order of its source, those of its own bases included."""
    seen: set[str] = set()
    for base in reversed([each for each in value.__mro__ if each.__module__.startswith("mockserver")]):
        for name in vars(base):
            member = inspect.getattr_static(value, name)
            if name.startswith("_") or name in seen or not inspect.getdoc(member):
                continue
            if inspect.isfunction(member):
                seen.add(name)
                yield name, member


def _attribute_lines(value: type) -> Iterator[str]:
    """A table of the fields and properties of a class that have a docstring."""
    rows: dict[str, tuple[str, str, str]] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("mockserver"):
            rows |= {row[0]: row for row in _attribute_rows(base)}
    if rows:
        yield from table_lines(["attribute", "type", "meaning"], rows.values())
        yield ""


def _attribute_rows(value: type) -> Iterator[tuple[str, str, str]]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for index, each in enumerate(tree.body):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            following = tree.body[index + 1] if index + 1 < len(tree.body) else None
            text = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                text = str(following.value.value)
            if not each.target.id.startswith("_"):
                yield code_cell(each.target.id), code_cell(ast.unparse(each.annotation)), cell(text)
        elif isinstance(each, ast.FunctionDef) and _is_property(each) and not each.name.startswith("_"):
            returns = "" if each.returns is None else ast.unparse(each.returns)
            yield code_cell(each.name), code_cell(returns), cell(ast.get_docstring(each) or "")


def _is_property(function: ast.FunctionDef) -> bool:
    names = [ast.unparse(each) for each in function.decorator_list]
    return any(name in ("property", "cached_property", "functools.cached_property") for name in names)
