# SPDX-License-Identifier: BSD-3-Clause
"""Put a dataset, get it and prune it, in the repository of BUTLER_TEST_ADDRESS; `helm test` runs it in the cluster."""

import os
import uuid

from butler import Butler
from butler.errors import MissingDatasetTypeError

address = os.environ["BUTLER_TEST_ADDRESS"]
run = f"helm-test/{uuid.uuid4().hex}"
with Butler(address, run=run) as butler:
    try:
        butler.registry.getDatasetType("helm_test")
    except MissingDatasetTypeError:
        from butler import DatasetType

        butler.registry.registerDatasetType(DatasetType("helm_test", (), "Bytes", universe=butler.dimensions))
    ref = butler.put(b"content", "helm_test")
    assert butler.get(ref) == b"content"
    butler.removeRuns([run])
    assert not butler.exists(ref)
print(f"put, got and pruned a dataset at {address}")
