"""Reads a .tflite file: its operators and its constant tensors as dense arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

_OPERATOR_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
_TYPES: dict[int, type] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT64: np.int64,
}
_INDEX_VECTORS = {
    tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
    tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
    tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
}


@dataclass(frozen=True)
class Operator:
    """One operation over tensor numbers."""

    name: str
    inputs: list[int]
    outputs: list[int]
    table: Any

    def options(self, kind: type) -> Any:
        """The operation's options, read as flatbuffer table ``kind``."""
        options = kind()
        table = self.table.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options


class TfliteFile:
    """The first graph of a .tflite file. Constants are dequantized and densified here, not left to the graph."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._graph = self._model.Subgraphs(0)
        self.inputs: list[int] = self._graph.InputsAsNumpy().tolist()
        self.outputs: list[int] = self._graph.OutputsAsNumpy().tolist()
        self._alias: dict[int, int] = {}
        self.operators: list[Operator] = []
        for i in range(self._graph.OperatorsLength()):
            table = self._graph.Operators(i)
            code = self._model.OperatorCodes(table.OpcodeIndex())
            name = _OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            operator = Operator(name, table.InputsAsNumpy().tolist(), table.OutputsAsNumpy().tolist(), table)
            if name in ("DEQUANTIZE", "DENSIFY"):
                self._alias[operator.outputs[0]] = operator.inputs[0]
            else:
                self.operators.append(operator)

    def shape(self, tensor: int) -> list[int]:
        return _numbers(self._graph.Tensors(tensor).ShapeAsNumpy()).tolist()

    def constant(self, tensor: int) -> NDArray[Any]:
        """The constant's values, dense, in the type the file stores them in.

        Raises:
            ValueError: the tensor is computed, not constant.
        """
        while tensor in self._alias:
            tensor = self._alias[tensor]
        table = self._graph.Tensors(tensor)
        data = self._model.Buffers(table.Buffer()).DataAsNumpy()
        if isinstance(data, int) or not len(data):
            raise ValueError(f"Tensor {tensor} is not a constant.")
        values: NDArray[Any] = np.frombuffer(data.tobytes(), _TYPES[table.Type()])
        if table.Sparsity() is not None:
            return _dense(table.Sparsity(), self.shape(tensor), values)
        return values.reshape(self.shape(tensor))


def _numbers(vector: Any) -> NDArray[np.int64]:
    """A flatbuffer vector, which is 0 where it is missing."""
    return np.zeros(0, np.int64) if isinstance(vector, int) else vector.astype(np.int64)


def _index_vector(kind: int, table: Any) -> NDArray[np.int64]:
    vector = _INDEX_VECTORS[kind]()
    vector.Init(table.Bytes, table.Pos)
    return _numbers(vector.ValuesAsNumpy())


def _dense(sparsity: Any, shape: list[int], values: NDArray[Any]) -> NDArray[Any]:
    """Lay the stored values out in a dense array of ``shape``.

    The format walks the levels in traversal order; a level is either dense (all its positions) or compressed (row
    pointers and column numbers). Levels behind the tensor's own axes count inside blocks of the axes that the block map
    names.
    """
    order, block_map = _numbers(sparsity.TraversalOrderAsNumpy()), _numbers(sparsity.BlockMapAsNumpy())
    position = np.zeros(1, np.int64)
    coordinates: list[NDArray[np.int64]] = []
    for level in range(sparsity.DimMetadataLength()):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == tflite.DimensionType.DENSE:
            size, parents = metadata.DenseSize(), len(position)
            coordinates = [np.repeat(c, size) for c in coordinates] + [np.tile(np.arange(size), parents)]
            position = (position[:, None] * size + np.arange(size)).ravel()
        else:
            segments = _index_vector(metadata.ArraySegmentsType(), metadata.ArraySegments())
            indices = _index_vector(metadata.ArrayIndicesType(), metadata.ArrayIndices())
            counts: NDArray[np.int64] = segments[position + 1] - segments[position]
            coordinates = [np.repeat(c, counts) for c in coordinates]
            # All runs first..last+1, one behind the other.
            starts: NDArray[np.int64] = np.repeat(
                segments[position] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts
            )
            position = starts + np.arange(counts.sum())
            coordinates.append(indices[position])
    axes: list[NDArray[np.int64]] = [np.zeros(len(position), np.int64) for _ in shape]
    block_size = {int(axis): sparsity.DimMetadata(len(shape) + k).DenseSize() for k, axis in enumerate(block_map)}
    for level, axis in enumerate(order):
        if axis < len(shape):
            axes[axis] += coordinates[level] * block_size.get(int(axis), 1)
        else:
            axes[block_map[axis - len(shape)]] += coordinates[level]
    out: NDArray[Any] = np.zeros(shape, values.dtype)
    out[tuple(axes)] = values[position]
    return out
