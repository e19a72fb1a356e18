"""Make the pictures of the real window in ``docs/images``.

Run it again whenever the window changes, on a computer with a screen or under Xvfb::

    xvfb-run -a -s "-screen 0 1400x1000x24" python docs/screenshots

It takes some five minutes on two cores: a model for the volume is trained first, unless
``--volume-model FILE`` names one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from annotating import photograph_annotating, photograph_objects
from models import hippocampus_model, nuclei_of_half_a_micrometre
from napari.settings import get_settings
from qtpy.QtCore import QSettings
from scenes import (
    photograph_images,
    photograph_messages,
    photograph_settings,
    photograph_volume,
)
from studio import Studio

FOLDER = Path(__file__).parents[1] / "images"


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the pictures")
    parser.add_argument("--only", choices=("segment", "annotate"), help="pictures of one dock")
    parser.add_argument("--volume-model", type=Path, help="a model file for the hippocampus")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as name:
        # Pictures must not depend on how whoever makes them has set up napari, nor change it.
        temporary = Path(name)
        get_settings(temporary / "napari.yaml")
        user = QSettings.Scope.UserScope
        QSettings.setPath(QSettings.Format.IniFormat, user, str(temporary))
        if arguments.only != "annotate":
            photograph_segmenting(out, temporary, arguments.volume_model)
        if arguments.only != "segment":
            for theme in ("dark", "light"):
                photograph_annotating(theme, out, temporary)
                photograph_objects(theme, out, temporary)


def photograph_segmenting(out: Path, temporary: Path, volume_model: Path | None) -> None:
    """Make the pictures of the dock *Segment*."""
    volume_model = volume_model or hippocampus_model(temporary)
    scaled_model = nuclei_of_half_a_micrometre(temporary)

    studio = Studio("dark", out)
    photograph_images(studio)
    photograph_volume(studio, volume_model)
    photograph_settings(studio, temporary)
    photograph_messages(studio, volume_model, scaled_model)
    studio.close()

    studio = Studio("light", out)
    photograph_images(studio)
    photograph_volume(studio, volume_model)
    studio.close()


if __name__ == "__main__":
    main()
