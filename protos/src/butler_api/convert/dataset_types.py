# SPDX-License-Identifier: BSD-3-Clause
"""Dataset types."""

from __future__ import annotations

__all__ = ["dataset_type_from_proto", "dataset_type_to_proto"]

from butler_api.v1 import models_pb2
from butler_model.dataset import DatasetType
from butler_model.universe import DimensionUniverse


def dataset_type_to_proto(dataset_type: DatasetType) -> models_pb2.DatasetType:
    """Return the message for a dataset type."""
    return models_pb2.DatasetType(
        name=dataset_type.name,
        dimensions=dataset_type.dimensions.required,
        storage_class=dataset_type.storageClass_name,
        is_calibration=dataset_type.isCalibration(),
        implied_dimensions=dataset_type.dimensions.implied,
    )


def dataset_type_from_proto(universe: DimensionUniverse, message: models_pb2.DatasetType) -> DatasetType:
    """Return a dataset type.

    Raises
    ------
    InvalidNameError, InvalidRequestError, DimensionNameError
        Raised as by `butler_model.dataset.DatasetType`.
    """
    return DatasetType(
        message.name,
        universe.conform([*message.dimensions, *message.implied_dimensions]),
        message.storage_class,
        isCalibration=message.is_calibration,
    )
