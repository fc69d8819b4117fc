"""One result as one self-contained HTML page: no script, no network, no clock; same result, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import numbers
from reports.overlap_svg import scores_svg
from reports.users_svg import users_svg
from reports.view import safe_url, view

READS_VERSION = 1


class ReportError(ValueError):
    """A result that cannot be shown; one line that says why and what to do."""


def render(result: Mapping[str, Any]) -> str:
    """The page for a result in its JSON form (`result.json`, or `AuditResult.model_dump(mode="json")`).

    Raises:
        ReportError: another version of the format, or a part of it is missing.
    """
    return checked(result, lambda: environment().get_template("report.html.j2").render(view(result)))


def checked(result: Mapping[str, Any], render: Callable[[], str]) -> str:
    """What `render` makes of a result of the version read here, or a ReportError in one line."""
    version = result.get("version")
    if version != READS_VERSION:
        raise ReportError(f"result: expected version {READS_VERSION}, found {version!r:.40}; run the audit again")
    try:
        return render()
    except KeyError as missing:
        raise ReportError(f"result: the key {missing} is missing; run the audit again") from None


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        number=numbers.number,
        delta=numbers.delta,
        whole=numbers.whole,
        share=numbers.share,
        plural=numbers.plural,
        safe_url=safe_url,
        as_float=numbers.as_float,
        cap_epsilon=lambda cap: numbers.bracket(*map(numbers.as_float, (cap["epsilon_lower"], cap["epsilon_upper"]))),
        users_svg=lambda counts, claim: Markup(users_svg(counts, claim)),  # noqa: S704 (numbers alone)
        scores_svg=lambda overlap: Markup(scores_svg(overlap)),  # noqa: S704 (numbers alone)
    )
    return made
