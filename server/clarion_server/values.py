"""JSON values between protobuf's Struct and Python: integral numbers become ints, so that they print as such."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import struct_pb2


def from_struct(struct: struct_pb2.Struct) -> dict[str, object]:
    """A Struct as a dict."""
    fields = struct.fields
    return {name: from_value(fields[name]) for name in fields}  # a map's items() is written in Python, and slower


def from_value(value: struct_pb2.Value) -> object:
    """A Value as Python's own. A number without a fraction is an int as long as a double is exact (2**53)."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if -(2**53) <= number <= 2**53 and number.is_integer() else number
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    return value.bool_value if kind == "bool_value" else None


def to_value(value: object) -> struct_pb2.Value:
    """The reverse of `from_value`."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(item) for item in value]))
        case Mapping():
            return struct_pb2.Value(struct_value=to_struct(value))
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON value")


def to_struct(values: Mapping[str, object]) -> struct_pb2.Struct:
    """The reverse of `from_struct`."""
    return struct_pb2.Struct(fields={str(name): to_value(item) for name, item in values.items()})
