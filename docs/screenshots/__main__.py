"""Make the pictures of the real window in ``docs/images``.

Run it again whenever the window changes, on a computer with a screen or under Xvfb::

    xvfb-run -a -s "-screen 0 1400x1000x24" python docs/screenshots

It takes some twenty minutes on one core: models are trained for two minutes each. Each story and
each dock has a process of its own: so much is opened and closed that Mesa's software renderer
would end a single one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from napari.settings import get_settings
from qtpy.QtCore import QSettings

FOLDER = Path(__file__).parents[1] / "images"
PARTS = ("segment", "volume", "objects")


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the pictures")
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="pictures of the dock Segment, or of a volume or objects that are annotated",
    )
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if arguments.only is None:
        for part in PARTS:
            subprocess.run([sys.executable, *sys.argv, "--only", part], check=True)
        return
    with tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as name:
        # Pictures must not depend on how whoever makes them has set up napari, nor change it.
        temporary = Path(name)
        get_settings(temporary / "napari.yaml")
        user = QSettings.Scope.UserScope
        QSettings.setPath(QSettings.Format.IniFormat, user, str(temporary))
        _photograph(arguments.only, out, temporary)


def _photograph(part: str, out: Path, temporary: Path) -> None:
    if part == "segment":
        from scenes import photograph_segmenting

        photograph_segmenting(out, temporary)
    elif part == "volume":
        from story_volume import photograph_volume_story

        photograph_volume_story(out, temporary)
    else:
        from story_objects import photograph_objects_story

        photograph_objects_story(out, temporary)


if __name__ == "__main__":
    main()
