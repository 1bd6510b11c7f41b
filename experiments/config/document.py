"""Writes docs/config.md: python -m experiments.config.document"""

from pathlib import Path

from experiments.config import description

PAGE = Path(__file__).parents[2] / "docs" / "config.md"

if __name__ == "__main__":
    PAGE.write_text(description.document())
