"""The reference page of the settings is what the code says."""

from pathlib import Path

from skygate.cli.settings_page import settings_page
from skygate.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == settings_page(), "run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        for key, one in (inner or {name: field}).items():
            assert one.description, f"{name}.{key} has no description"
