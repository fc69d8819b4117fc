"""The page of all checks, made from their docstrings when the site is built."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from audit.check import all_checks


def on_files(files: Files, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, "checks.md", content=page()))
    return files


def page() -> str:
    """Every check under its ident; its headings two levels down."""
    count = len(all_checks())
    parts = ["# Checks", "", f"{count} checks, each one question. `audit explain CHECK` prints the same page."]
    for ident, check in all_checks().items():
        body = check.page.replace("\n## ", "\n#### ").replace("## ", "#### ", 1)
        needs = f"\n\nNeeds: {', '.join(check.needs)}." if check.needs else ""
        parts += ["", f"## {ident}", "", f"**{check.question}**{needs}", "", body]
    return "\n".join(parts) + "\n"
