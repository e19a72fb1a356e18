"""``swin-umamba recipes``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from swin_umamba_training.cli.shared import JsonOption, print_json, print_line, user_errors

APP_EPILOG = """[bold]Examples[/bold]

swin-umamba recipes list

swin-umamba recipes show paper > mine.yaml
"""

SHOW_EPILOG = """[bold]Examples[/bold]

A recipe of your own: change a copy, and give it to --recipe.
swin-umamba recipes show quick > mine.yaml

swin-umamba train cells/ -o run1 --recipe mine.yaml
"""

app = typer.Typer(
    help="List ways to train and show every number of them.",
    epilog=APP_EPILOG,
    no_args_is_help=True,
)


@app.command("list", epilog=APP_EPILOG)
@user_errors
def list_recipes(json: JsonOption = False) -> None:
    """List the recipes that come with the program."""
    from swin_umamba_training.recipe_files import bundled_recipes, load_recipe

    recipes = [load_recipe(name) for name in bundled_recipes()]
    if json:
        print_json([{"name": item.name, "description": item.description} for item in recipes])
        return
    table = Table()
    for column in ("recipe", "steps", "what it is for"):
        table.add_column(column)
    for item in recipes:
        table.add_row(item.name, f"{item.length.steps or 0:,}", item.description)
    Console(highlight=False).print(table)


@app.command("show", no_args_is_help=True, epilog=SHOW_EPILOG)
@user_errors
def show(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    json: JsonOption = False,
) -> None:
    """Print a recipe, complete and explained, as a file that --recipe takes."""
    from swin_umamba_training.recipe_files import load_recipe, recipe_to_yaml

    loaded = load_recipe(recipe)
    if json:
        print_json(loaded.model_dump(mode="json"))
    else:
        print_line(recipe_to_yaml(loaded).rstrip())
