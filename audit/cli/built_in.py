"""Commands on what is built in: `audit list`, `explain`, `schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from platformdirs import user_cache_path

from audit import summary
from audit.cards import built_in_cards, built_in_manifests, load_card, load_manifest, schema_text
from audit.check import all_checks
from audit.cli.console import out
from audit.target import TargetError


class Listed(StrEnum):
    PAPERS = "papers"
    CHECKS = "checks"
    MANIFESTS = "manifests"


class SchemaName(StrEnum):
    CARD = "card"
    MANIFEST = "manifest"
    LEDGER = "ledger"
    RESULT = "result"


def list_(
    what: Annotated[Listed, typer.Argument(help="papers, checks or manifests")],
    table: Annotated[bool, typer.Option("--table", help="papers × checks, as Markdown")] = False,
) -> None:
    """Name what is built in."""
    if table:
        if what is not Listed.PAPERS:
            raise typer.BadParameter("expected with papers alone", param_hint="--table")
        from audit.overview import markdown, overview

        typer.echo(markdown(overview(user_cache_path("dp-claim-audit"))), nl=False)
        return
    if what is Listed.CHECKS:
        rows = [(ident, item.question) for ident, item in all_checks().items()]
    elif what is Listed.PAPERS:
        rows = [(f"prior-work/{ident}", load_card(path).title) for ident, path in built_in_cards().items()]
    else:
        rows = [(ident, load_manifest(path).name) for ident, path in built_in_manifests().items()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        out.print(f"{name:<{width}}  {text}", markup=False, soft_wrap=True)


def explain(check: Annotated[str, typer.Argument(help="a check's ident, e.g. sampling-mismatch")]) -> None:
    """Say what a check looks for, why it matters, and what it cannot see."""
    known = all_checks()
    if check not in known:
        raise TargetError(f"{summary.closest(check, known)} (`audit list checks` names them all)")
    from rich.markdown import Markdown

    out.print(f"{check}: {known[check].question}\n", style="bold", markup=False)
    out.print(Markdown(known[check].page))


def schema(name: Annotated[SchemaName, typer.Argument(help="card, manifest, ledger or result")]) -> None:
    """Print a JSON Schema."""
    typer.echo(schema_text(name.value), nl=False)
