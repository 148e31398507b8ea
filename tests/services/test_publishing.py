"""Publishing from files to a release: what is written, what is recognised, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from services.publishing_sources import RECIPE, write_sources
from skygate.errors import BadRelease
from skygate.release import build as building
from skygate.release.progress import Step
from skygate.release.recipe_file import read_recipe, recipe_of_files
from skygate.services import publishing
from skygate.services.publishing import Published, publish
from skygate.stores.releases import FolderReleases


class Watcher:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.notes: list[str] = []

    def at(self, step: Step) -> None:
        self.steps.append(step)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def store(tmp_path: Path) -> FolderReleases:
    return FolderReleases(tmp_path / "root")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_sources(tmp_path / "raw")


def run(store: FolderReleases, recipe: Path, *, strict: bool = False) -> Published:
    return publish(store, read_recipe(recipe), strict=strict)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file() and p.name not in (".publishing", ".moving")
    }


def test_files_become_a_described_release(store: FolderReleases, recipe: Path) -> None:
    done = run(store, recipe, strict=True)
    assert done.action == "published"
    release = done.release
    assert release == store.load("small")
    assert (release.version, release.title, release.creators) == ("1", "A small survey", ("A. Tester",))
    objects, visits = release.tables
    assert (objects.rows, visits.rows) == (2_000, 1_000)
    assert objects.position is not None
    assert objects.identifier == "id"
    assert visits.position is None
    assert release.keys[0].source == "small.visits"
    assert release.keys[0].target == "small.objects"
    mag = objects.column("mag_g")
    assert mag is not None
    assert mag.stats is not None
    assert mag.stats.rows == 2_000
    assert 15 <= float(mag.stats.minimum or 0) < float(mag.stats.maximum or 0) <= 24
    assert (Path(release.path) / "release.toml").read_text() == recipe.read_text()
    assert store.check("small") == []


def test_every_row_of_every_file_is_there(store: FolderReleases, recipe: Path) -> None:
    release = run(store, recipe).release
    ids = [
        value
        for part in release.tables[0].parts
        for value in pq.ParquetFile(part.path).read(["id"]).column(0).to_pylist()
    ]
    assert sorted(ids) == list(range(2_000))
    assert ids[-1] == 7, "the row without a position is in the last part"
    assert release.tables[0].parts[-1].first_cell is None
    lines = sum(len(p.read_text().splitlines()) - 1 for p in recipe.parent.glob("visits-*.csv"))
    assert sum(part.rows for part in release.tables[1].parts) == lines


def test_the_report_is_beside_the_tables(store: FolderReleases, recipe: Path) -> None:
    folder = Path(run(store, recipe).release.path)
    report = publishing.read_report(folder)
    assert report["verdict"] in ("good", "warnings")
    assert [table["rows_read"] for table in report["tables"]] == [2_000, 1_000]
    assert report["tables"][0]["position"]["without"] == 1
    page = (folder / publishing.REPORT_PAGE).read_text()
    assert page.lstrip().startswith("<")


def test_what_the_files_tell_is_in_the_report_under_published_names(
    store: FolderReleases, tmp_path: Path
) -> None:
    rows = "".join(f"{n},{n}.5,{n}\n" for n in range(30))
    (tmp_path / "a.csv").write_text(f"id,V Mag,gone\n{rows}30,faint,x\n#31,1.5,1\n")
    recipe = tmp_path / "release.toml"
    recipe.write_text(
        '[release]\nname = "told"\ntitle = "T"\n[[table]]\nname = "t"\nfiles = ["a.csv"]\n'
        "[table.columns.gone]\ndrop = true\n"
    )
    report = publishing.read_report(Path(run(store, recipe).release.path))
    warnings = {f["code"]: f for f in report["findings"] if f["severity"] == "warning"}
    assert set(warnings) == {"commented_rows", "text_among_numbers"}
    slip = warnings["text_among_numbers"]
    assert (slip["table"], slip["column"], slip["count"]) == ("t", "v_mag", 1)
    assert "a.csv, line 32: 'faint' among 30 numbers" in slip["message"]
    assert report["verdict"] == "warnings"


def test_the_same_input_writes_nothing(store: FolderReleases, recipe: Path, tmp_path: Path) -> None:
    run(store, recipe)
    before = tree(tmp_path / "root")
    again = run(store, recipe)
    assert again.action == "unchanged"
    assert store.versions("small") == ["1"]
    assert {k: v for k, v in tree(tmp_path / "root").items() if ".staging" not in k} == before


def test_touched_files_are_the_same_input(store: FolderReleases, recipe: Path) -> None:
    run(store, recipe)
    for path in recipe.parent.iterdir():
        path.write_bytes(path.read_bytes())
        os.utime(path, (1, 1))
    assert run(store, recipe).action == "unchanged"


@pytest.mark.parametrize("change", ["a digit", "a row", "a file more", "the recipe"])
def test_any_change_makes_a_new_version(store: FolderReleases, recipe: Path, change: str) -> None:
    old = run(store, recipe).release
    objects = recipe.parent / "objects.csv"
    stat = objects.stat()
    if change == "a digit":
        text = objects.read_text()
        objects.write_text(text.replace("S1", "S9", 1))
        # even with the size and the time of before
        os.utime(objects, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert objects.stat().st_size == stat.st_size
    elif change == "a row":
        objects.write_text(objects.read_text() + "99999,1.5,2.5,20.0,S1\n")
    elif change == "a file more":
        (recipe.parent / "visits-2.csv").write_text("visit,object_id,flux\n2,1,0.5\n")
    else:
        recipe.write_text(recipe.read_text().replace("Made for tests.", "Made for more tests."))
    done = run(store, recipe)
    assert (done.action, done.release.version) == ("published", "2")
    assert done.release.checksum != old.checksum
    assert store.load("small", "1") == old
    assert store.check("small", "1") == store.check("small", "2") == []


def test_an_older_version_of_the_same_input_comes_back_in_force(
    store: FolderReleases, tmp_path: Path
) -> None:
    run(store, write_sources(tmp_path / "raw"))
    run(store, write_sources(tmp_path / "raw", seed=2))
    done = run(store, write_sources(tmp_path / "raw", seed=1))
    assert (done.action, done.release.version) == ("restored", "1")
    assert store.current("small") == "1"
    assert store.versions("small") == ["1", "2"]


def test_a_version_with_missing_files_is_made_anew(store: FolderReleases, recipe: Path) -> None:
    release = run(store, recipe).release
    Path(release.tables[0].parts[0].path).unlink()
    done = run(store, recipe)
    assert (done.action, done.release.version) == ("published", "2")
    assert store.check("small") == []


@pytest.mark.parametrize("file", ["described.json", "report/report.json"])
def test_a_version_that_cannot_be_read_is_made_anew(store: FolderReleases, recipe: Path, file: str) -> None:
    path = Path(run(store, recipe).release.path) / file
    path.write_bytes(b"?" * path.stat().st_size)
    done = run(FolderReleases(recipe.parents[1] / "root"), recipe)
    assert (done.action, done.release.version) == ("published", "2")


def test_a_damaged_version_is_mended_by_publishing_again(store: FolderReleases, recipe: Path) -> None:
    part = Path(run(store, recipe).release.tables[0].parts[0].path)
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(bytes(data))
    assert store.check("small")
    assert run(store, recipe).action == "unchanged", "no byte of the rows is looked at"
    done = publish(store, read_recipe(recipe), again=True)
    assert (done.action, done.release.version) == ("published", "2")
    assert store.check("small") == []
    assert run(store, recipe).action == "unchanged", "of the new version"
    assert store.current("small") == "2"


BAD_KEY = RECIPE.replace('target = "objects"', 'target = "things"')


def test_strict_refuses_and_changes_nothing(store: FolderReleases, tmp_path: Path) -> None:
    run(store, write_sources(tmp_path / "raw"))
    recipe = write_sources(tmp_path / "raw", seed=3)
    visits = tmp_path / "raw" / "visits-0.csv"
    visits.write_text(visits.read_text() + "0,123456,0.5\n")
    with pytest.raises(
        BadRelease, match=r"1 row of the key visits\(object_id\) → objects\(id\) refers to a row"
    ) as refused:
        run(store, recipe, strict=True)
    assert "nothing was published" in (refused.value.hint or "")
    page = next(word for word in (refused.value.hint or "").split() if word.endswith("index.html;"))
    assert Path(page.rstrip(";")).is_file(), "the report can be read"
    assert store.versions("small") == ["1"]
    assert store.current("small") == "1"
    done = run(store, recipe)
    assert (done.release.version, done.resumed) == ("2", ("objects", "visits"))
    with pytest.raises(BadRelease, match="has an error"):
        run(store, recipe, strict=True)


def test_a_key_to_a_table_that_is_not_there_is_the_managers_mistake(
    store: FolderReleases, tmp_path: Path
) -> None:
    with pytest.raises(BadRelease, match="things"):
        run(store, write_sources(tmp_path / "raw", recipe=BAD_KEY))
    assert store.names() == []


def test_a_fault_in_a_late_file_leaves_what_is_done(store: FolderReleases, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw")
    (tmp_path / "raw" / "visits-1.csv").write_text("visit,object_id,flux\n1,2\n1,2,3,4,5\n")
    with pytest.raises(BadRelease, match=r"visits-1\.csv"):
        run(store, recipe)
    assert store.names() == []
    write_sources(tmp_path / "raw")
    done = run(store, recipe)
    assert done.resumed == ("objects",)
    assert store.check("small") == []


def test_what_was_left_of_other_input_is_not_used(store: FolderReleases, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw")
    (tmp_path / "raw" / "visits-1.csv").write_text("visit,object_id,flux\n1\n")
    with pytest.raises(BadRelease):
        run(store, recipe)
    done = run(store, write_sources(tmp_path / "raw", seed=5))
    assert done.resumed == ()
    assert store.check("small") == []


def test_going_back_to_the_old_input_clears_what_was_left(store: FolderReleases, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw")
    run(store, recipe)
    (tmp_path / "raw" / "visits-1.csv").write_text("visit,object_id,flux\n1\n")
    with pytest.raises(BadRelease):
        run(store, recipe)
    assert (tmp_path / "root/releases/small/.staging").exists()
    assert run(store, write_sources(tmp_path / "raw")).action == "unchanged"
    assert not (tmp_path / "root/releases/small/.staging").exists()


def test_killed_between_the_two_renames_of_a_first_version(store: FolderReleases, recipe: Path) -> None:
    run(store, recipe)
    home = store.directory("small").parent
    (home / "current").unlink()
    assert store.names() == []
    done = run(store, recipe)
    assert (done.action, done.release.version) == ("restored", "1")
    assert store.names() == ["small"]


def test_a_file_that_changes_while_it_is_read_is_refused(
    store: FolderReleases, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = building.build_table

    def meddle(*args: object, **kwargs: object) -> object:
        done = build(*args, **kwargs)  # type: ignore[arg-type]
        path = recipe.parent / "objects.csv"
        path.write_text(path.read_text() + "5000,1,1,1,S1\n")
        return done

    monkeypatch.setattr(building, "build_table", meddle)
    with pytest.raises(BadRelease, match="changed while it was being read"):
        run(store, recipe)
    assert store.names() == []


def test_files_without_a_recipe_are_a_table_each(store: FolderReleases, recipe: Path) -> None:
    files = [recipe.parent / "objects.csv", recipe.parent / "visits-0.csv"]
    release = publish(store, recipe_of_files("quick", files)).release
    assert [table.name for table in release.tables] == ["objects", "visits_0"]
    assert publish(store, recipe_of_files("quick", files)).action == "unchanged"


def test_progress_is_told_for_each_step(store: FolderReleases, recipe: Path) -> None:
    watcher = Watcher()
    publish(store, read_recipe(recipe), progress=watcher)
    last = {(step.table, step.step): step for step in watcher.steps}
    assert last["objects", "reading"].rows == 2_000
    assert last["objects", "reading"].bytes_total == (recipe.parent / "objects.csv").stat().st_size
    assert last["objects", "writing"].rows == 1_999
    assert last["visits", "reading"].rows == 1_000
    assert [note.split(":")[0] for note in watcher.notes] == ["objects", "visits"]


def test_a_position_in_every_file_is_found_by_its_cell(store: FolderReleases, recipe: Path) -> None:
    from skygate.sky.cells import cell_of

    objects = run(store, recipe).release.tables[0]
    for part in objects.parts[:-1]:
        rows = pq.ParquetFile(part.path).read()
        cells = cell_of(rows.column("ra").to_numpy(), rows.column("dec").to_numpy())
        np.testing.assert_array_equal(rows.column("_healpix_29").to_numpy(), cells)


def test_inputs_are_kept_with_checksums(store: FolderReleases, recipe: Path) -> None:
    folder = Path(run(store, recipe).release.path)
    kept = json.loads((folder / "inputs.json").read_text())
    assert [file["name"] for file in kept["tables"][1]["files"]] == ["visits-0.csv", "visits-1.csv"]
    assert all(len(file["sha256"]) == 64 for table in kept["tables"] for file in table["files"])
