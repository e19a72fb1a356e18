"""Keys that choose what is painted: Alt+1 the background, Alt+2 the first class, and so on.

napari keeps 1 to 7 for its tools. The keys work where napari's do: on the layer that is active.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari.layers import Labels

from napari_swin_umamba.project import BACKGROUND, Settings

__all__ = ["KEYS", "bind_keys", "choose_value", "keys_of"]

KEYS = tuple(f"Alt+{digit}" for digit in range(1, 10))
"""All that there are to choose from."""


def keys_of(settings: Settings, chosen: Mapping[int, str]) -> dict[int, str]:
    """Which key chooses which value.

    Parameters
    ----------
    settings
        Of the project.
    chosen
        Keys that the person gave to values; empty text for none. The others get those that are
        free, in the order of the classes.

    Returns
    -------
    dict
        Value -> key, for those that have one.
    """
    values = [BACKGROUND]
    if settings.kind == "semantic":
        values += [item.id for item in settings.classes]
    mine = {value: chosen[value] for value in values if value in chosen}
    keys = {value: key for value, key in mine.items() if key in KEYS}
    wanted = dict(zip(values, KEYS, strict=False))
    for value in values:
        if value in mine:
            continue
        free = [key for key in KEYS if key not in keys.values()]
        usual = wanted.get(value)
        if usual in free:
            keys[value] = usual
        elif free:
            keys[value] = free[-1]
    return keys


def bind_keys(layer: Labels, keys: Mapping[int, str]) -> None:
    """Let keys choose values on a layer; others of ours do nothing any more.

    Parameters
    ----------
    layer
        That is painted on.
    keys
        Value -> key.
    """
    values = {key: value for value, key in keys.items()}
    for key in KEYS:
        binding = _binding(values[key]) if key in values else None
        layer.bind_key(key.replace("+", "-"), binding, overwrite=True)


def choose_value(layer: Labels, value: int) -> None:
    """Paint with a value from now on; 0 erases."""
    if not layer.editable:
        return
    if value == 0:
        layer.mode = "erase"
        return
    layer.selected_label = value
    if layer.mode in ("pan_zoom", "erase", "pick", "transform"):
        layer.mode = "paint"


def _binding(value: int) -> Callable[[Labels], None]:
    def choose(layer: Labels) -> None:  # no partial: napari asks for the function's name
        choose_value(layer, value)

    return choose
