# SPDX-License-Identifier: BSD-3-Clause
"""An export is imported once, however often that is tried, on every kind of deployment."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.support.butlers import Repository, on_posix_and_s3

DATASET = UUID("5f5a2b6c-0d4a-4b2e-9b1f-000000000001")
EXPORT = f"""
description: Butler Data Repository Export
version: 1.0.1
universe_version: 8
universe_namespace: daf_butler
data:
- {{type: collection, collection_type: RUN, name: imported}}
- {{type: dataset_type, name: note, dimensions: [instrument, detector], storage_class: StructuredDataDict,
   is_calibration: false}}
- type: dataset
  dataset_type: note
  run: imported
  records:
  - dataset_id: [!uuid '{DATASET}']
    data_id: [{{instrument: Cam1, detector: 3}}]
    path: note.json
    formatter: lsst.daf.butler.formatters.json.JsonFormatter
"""


@on_posix_and_s3
def test_a_second_import_changes_nothing_and_one_after_a_purge_brings_all_back(
    repository: Repository, tmp_path: Path
) -> None:
    # D71
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "export.yaml").write_text(EXPORT)
    (folder / "note.json").write_text('{"number": 3}')
    butler = repository.surveyed()
    butler.import_(directory=folder, transfer="copy", skip_dimensions={"detector"})
    before = repository.content()
    assert butler.get("note", instrument="Cam1", detector=3, collections="imported") == {"number": 3}
    butler.import_(directory=folder, transfer="copy", skip_dimensions={"detector"})
    assert repository.content() == before
    butler.removeRuns("imported")
    assert repository.files() == {}
    butler.import_(directory=folder, transfer="copy", skip_dimensions={"detector"})
    found = butler.find_dataset("note", instrument="Cam1", detector=3, collections="imported")
    assert found is not None
    assert found.id == DATASET
