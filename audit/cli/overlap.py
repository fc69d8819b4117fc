"""`audit overlap`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audit import summary
from audit.cli.console import out, progress


class SearchMode(StrEnum):
    CONTAINMENT = "containment"
    NEAR_DUPLICATE = "near-duplicate"


class ShingleUnit(StrEnum):
    WORD = "word"
    CHAR = "char"


class TextForm(StrEnum):
    STANDARD = "standard"
    PLAIN = "plain"


class SearchEngine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


def overlap(
    private: Annotated[Path, typer.Argument(help="private records: a file, a folder, a glob or hf:OWNER/NAME")],
    corpus: Annotated[Path, typer.Argument(help="corpus: the same, or web archives (.warc, .wet, each also .gz)")],
    private_text: Annotated[str, typer.Option(help="column of the private text")] = "text",
    private_id: Annotated[str | None, typer.Option(help="column of a private record's id")] = None,
    private_unit: Annotated[str | None, typer.Option(help="column that names the person")] = None,
    corpus_text: Annotated[str, typer.Option(help="column of the corpus text")] = "text",
    corpus_id: Annotated[str | None, typer.Option(help="column of a text's id; of archives, a header")] = None,
    mode: Annotated[
        SearchMode, typer.Option(help="inside longer texts, or record against record")
    ] = SearchMode.CONTAINMENT,
    shingle: Annotated[ShingleUnit, typer.Option(help="word; char for languages without spaces")] = ShingleUnit.WORD,
    shingle_size: Annotated[int, typer.Option(min=1, max=64, help="words or characters in a shingle")] = 5,
    normalisation: Annotated[
        TextForm, typer.Option(help="plain: only case and white space make no difference")
    ] = TextForm.STANDARD,
    threshold: Annotated[
        float | None, typer.Option(help="share of a record found in order [0.45], or Jaccard similarity [0.8]")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="index one shingle in N of longer records: less memory")] = 1,
    engine: Annotated[SearchEngine, typer.Option(help="ray needs the extra of that name")] = SearchEngine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="of a running cluster; without it, one is started here")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
    out_file: Annotated[Path, typer.Option("--out", help="matching pairs, without text")] = Path(
        "out/overlap/matches.parquet"
    ),
    plants: Annotated[int, typer.Option(min=0, help="records of each kind planted to estimate recall; 0: none")] = 200,
    show_text: Annotated[int, typer.Option(min=0, help="print the texts of so many pairs")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="refuse where a shard cannot be read")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but errors")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="show no progress")] = False,
) -> None:
    """Look for private texts in a corpus: matching pairs as parquet, and a summary with its intervals.

    Run again after an interruption, it goes on where it was. Exits 3 when a shard could not be searched.
    """
    from audit.contamination import Asked, ask, excerpts
    from audit.contamination_text import as_json as summary_json
    from audit.contamination_text import lines

    asked = Asked(
        private, corpus, private_text, private_id, private_unit, corpus_text, corpus_id, mode.value, shingle.value,
        shingle_size, normalisation.value, threshold, sample, engine.value, ray_address, jobs, out_file, plants, strict,
    )  # fmt: skip
    with progress(quiet or no_progress) as tell:
        searched = ask(asked, tell or (lambda stage, done, total: None))
    if as_json:
        typer.echo(summary_json(searched.summary))
    elif not quiet:
        for line in [*lines(searched.summary), f"wrote {out_file}", *excerpts(searched, show_text)]:
            out.print(summary.plain(line), markup=False, soft_wrap=True)
    raise typer.Exit(3 if searched.summary.skipped else 0)
