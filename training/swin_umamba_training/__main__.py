"""``python -m swin_umamba_training``: the program ``swin-umamba`` without its entry point."""

from swin_umamba_training.cli import app

if __name__ == "__main__":
    app(prog_name="swin-umamba")
