"""The command that shows what a recipe makes of training faces."""

from __future__ import annotations

from pathlib import Path

import click

from facebench.architectures.errors import BadInputError
from facebench.harness.cli.output import terminal
from facebench.harness.cli.output.progress import Bar


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--recipe", default="long", show_default=True, metavar="R", help="As in 'train'.")
@click.option(
    "--landmarks", default="file", show_default=True, metavar="SOURCE",
    help="Where the faces are: file, aligned, or a detector.",
)  # fmt: skip
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="PNG file to write; none is overwritten.",
)  # fmt: skip
def augment(path: Path, recipe: str, landmarks: str, out: Path) -> None:
    """Show training faces as a recipe changes them: six of them, as they are and nine times.

    \b
    facebench data augment faces.tar --recipe long -o sheet.png
    """
    import cv2

    from facebench.harness.storage import writing
    from facebench.harness.training.data.faces import load
    from facebench.harness.training.data.sheet import sheet
    from facebench.harness.training.recipe import load as load_recipe

    if out.exists():
        raise BadInputError(f"{out} is there already: name another file, or move it away")
    options = load_recipe(recipe).augmentation
    with Bar() as bar:
        shown = sheet(load(path, landmarks=landmarks, progress=bar), options)
    _, png = cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    writing.write(out, png.tobytes())
    terminal.out.print(str(out), markup=False, highlight=False, soft_wrap=True)
