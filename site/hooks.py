"""What mkdocs.yml cannot say: the front page, files outside docs/, losses in the navigation.

README.md is the front page. A file of the repository that a page links to (an example, the
changelog) becomes a page under source/. MathJax comes out of its package, so that formulas are
drawn without a network.
"""

import posixpath
import re
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MATHJAX = Path(str(package_files("mathjax"))) / "static" / "mathjax" / "es5"
TEXT = ("", ".cff", ".md", ".py", ".toml", ".txt", ".yml")
SOUGHT = ("losses/", "guides/", "choosing.md", "quickstart.md")  # before evidence and changelog
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
PROSE = 32  # letters in a cell; columns that have so many keep a width to read
LISTED = re.compile(r"^## (.+)|^\| \[(\w+)\]\((losses/\w+\.md)\)", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the losses in the navigation, each under its first task."""
    index = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    sections: list[Any] = ["losses.md"]
    seen: set[str] = set()
    for task, name, path in LISTED.findall(index):
        if task:
            sections.append({task: []})
        elif path not in seen:
            seen.add(path)
            next(iter(sections[-1].values())).append({name: path})
    entry = next(entry for entry in config.nav or [] if "Losses" in entry)
    entry["Losses"] = [one for one in sections if isinstance(one, str) or all(one.values())]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the front page, MathJax, and every file outside docs/ that a page links to."""
    add(files, config, "README.md")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        add(files, config, name)
    pages = [file for file in files if file.is_documentation_page()]
    while pages:  # what is added may link to more
        page = pages.pop()
        for target in LINK.findall(FENCE.sub("", page.content_string)):
            found = repository_path(page.src_uri, target)
            new = add(files, config, found) if found else None
            pages += [new] if new and new.is_documentation_page() else []
    for path in [MATHJAX / "tex-chtml.js", *MATHJAX.glob("output/chtml/fonts/woff-v2/*.woff")]:
        uri = f"assets/mathjax/{path.relative_to(MATHJAX).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Point links to files outside docs/ at the pages made of them; put what is sought first."""
    here = page.file.src_uri
    if here.startswith(SOUGHT):
        page.meta.setdefault("search", {"boost": 2})

    def moved(found: re.Match[str]) -> str:
        path = repository_path(here, found[1])
        return found[1] if path is None else relative(here, uri_of(path))

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(one if one.startswith("```") else LINK.sub(moved, one) for one in parts)


def on_page_content(html: str, **_: Any) -> str:
    """Mark the columns of prose in each table, and keep numbers and their per cent in one line."""
    return TABLE.sub(lambda found: marked(re.sub(r"(?<=\d) %", "&nbsp;%", found[0])), html)


def marked(table: str) -> str:
    """Return a table whose header cells over prose are of that class."""
    plain = re.sub(r"<(?!/?t[hdr])[^>]+>|&nbsp;", "", table)
    columns = zip(*(CELL.findall(row) for row in ROW.findall(plain)), strict=True)
    prose = iter([any(" " in one and len(one) >= PROSE for one in cells) for cells in columns])
    return re.sub(r"<th(?=[ >])", lambda _: '<th class="prose"' if next(prose) else "<th", table)


def repository_path(uri: str, target: str) -> str | None:
    """Return the path in the repository of what a page links to, None for a page's own kind."""
    home = "." if uri == "index.md" else posixpath.dirname(uri.removeprefix("source/"))
    home = home if uri == "index.md" or uri.startswith("source/") else f"docs/{home}"
    path = posixpath.normpath(posixpath.join(home, target))
    inside = path.startswith("docs/") and home.startswith("docs")
    return path if not inside and (ROOT / path).exists() else None


def uri_of(path: str) -> str:
    """Return the page of a path of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path}" if is_copied(path) or path.endswith(".md") else f"source/{path}.md"


def is_copied(path: str) -> bool:
    """Whether a file goes into the site as it is: a picture, say."""
    return (ROOT / path).is_file() and posixpath.splitext(path)[1] not in TEXT


def relative(here: str, uri: str) -> str:
    """Return a link from one page to another."""
    return posixpath.relpath(uri, posixpath.dirname(here) or ".")


def add(files: Files, config: MkDocsConfig, path: str) -> File | None:
    """Add the page of a path of the repository; None if there is one."""
    uri = uri_of(path)
    if files.get_file_from_path(uri):
        return None
    copied = is_copied(path)
    file = File.generated(
        config,
        uri,
        content=None if copied else content(path),
        abs_src_path=str(ROOT / path) if copied else None,
        inclusion=InclusionLevel.NOT_IN_NAV,
    )
    files.append(file)
    return file


def content(path: str) -> str:
    """Return a file as a page: Markdown as it is, a folder as a list, else its text."""
    place = ROOT / path
    if path.endswith(".md"):
        return place.read_text(encoding="utf-8")
    head = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n"
    if place.is_dir():
        names = sorted(one.name for one in place.glob("*.py"))
        return head + "".join(f"- [{name}]({place.name}/{name})\n" for name in names)
    text = place.read_text(encoding="utf-8")
    return f"{head}````{'python' if path.endswith('.py') else 'text'}\n{text}````\n"
