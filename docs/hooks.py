"""What the site makes of files that GitHub shows by itself: links out of the pages, notebooks."""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)]*)\)")
_NOTEBOOK = re.compile(r"\]\(([^):]+)\.ipynb\)")


def on_files(files: Files, config: Any) -> None:
    """Add a page for each notebook, with the outputs that it was stored with."""
    for file in [one for one in files if one.src_uri.endswith(".ipynb")]:
        text = notebook_page(Path(str(file.abs_src_path)))
        name = f"{file.src_uri.removesuffix('.ipynb')}.md"
        files.append(File.generated(config, name, content=text))


def on_page_markdown(markdown: str, page: Any, **rest: Any) -> str:
    """Links into the repository are links in a checkout, and names on the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(found: re.Match[str]) -> str:
        outside = posixpath.normpath(posixpath.join(folder, found[2])).startswith("..")
        return f"`{found[1].strip('`')}`" if outside else found[0]

    return _LINK.sub(replaced, _NOTEBOOK.sub(r"](\1.md)", markdown))


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, its code, and below each cell what came of it."""
    cells = json.loads(path.read_text())["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    # The file itself lies one folder above the page's, and is no page.
    link = f'<a href="../{path.name}" download>Download this notebook</a>'
    return "\n\n".join([parts[0], link, *parts[1:]]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *map(_output, cell["outputs"])]


def _output(output: dict[str, Any]) -> str:
    """An output in the first of the forms that it has: picture, table, text."""
    data = {form: "".join(text) for form, text in output.get("data", {}).items()}
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f'<p><img alt="What the cell draws" src="data:image/png;base64,{picture}"></p>'
    if "text/html" in data:
        return f'<div style="overflow-x: auto">{_plain_html(data["text/html"])}</div>'
    return f"```text\n{data.get('text/plain') or ''.join(output['text'])}\n```"


def _plain_html(html: str) -> str:
    """A table without the looks of its own; a blank line would end it in Markdown."""
    html = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    html = re.sub(r'<table[^>]*class="dataframe"[^>]*>', "<table>", html)
    html = html.replace(' style="text-align: right;"', "")
    return re.sub(r"\n\s*", "\n", html)
