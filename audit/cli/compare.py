"""Commands on several results: `audit index`, `diff`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audit import result as results
from audit import summary
from audit.cli.console import out, write
from audit.cli.run import FILES


class DiffFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    HTML = "html"


def index(
    folders: Annotated[list[Path], typer.Argument(help="folders that hold result.json files, at any depth")],
    out_file: Annotated[Path | None, typer.Option("--out", help="the page [index.html in the first folder]")] = None,
) -> None:
    """Show many results as one page."""
    from reports.index import Audit, render

    page = out_file or folders[0] / "index.html"
    found = results.find(folders)
    bodies = [json.loads(results.to_json(results.read(path))) for path in found]
    places = [(results.folder(path, page), results.link(path.with_name(FILES["html"]), page)) for path in found]
    text = render([Audit(body, *place) for body, place in zip(bodies, places, strict=True)])
    for path in write({page.name: text}, page.parent):
        out.print(f"wrote {path} ({len(found)} results)", markup=False, soft_wrap=True)


def diff_(
    old: Annotated[Path, typer.Argument(help="result.json of the earlier audit")],
    new: Annotated[Path, typer.Argument(help="result.json of the later audit")],
    form: Annotated[DiffFormat, typer.Option("--format", help="how to say it")] = DiffFormat.TEXT,
    out_file: Annotated[Path | None, typer.Option("--out", help="write there instead of printing")] = None,
) -> None:
    """Say what changed between two audits.

    Exits 0 when nothing changed, 1 when something did, 2 when it could not compare. Times, versions and
    digests alone are no change.
    """
    from audit.diff import compare
    from audit.diff_text import lines

    found = compare(results.read(old), results.read(new))
    if form is DiffFormat.HTML:
        from reports.diff_html import render

        text = render(found.model_dump(mode="json"))
    elif form is DiffFormat.JSON:
        text = json.dumps(found.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    else:
        text = "".join(f"{summary.plain(line)}\n" for line in lines(found))
    if out_file is None:
        typer.echo(text, nl=False)
    else:
        write({out_file.name: text}, out_file.parent)
    raise typer.Exit(0 if found.same else 1)
