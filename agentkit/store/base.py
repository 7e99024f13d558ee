"""The base of all tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, MetaData, types
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

NAMES = {  # fixed constraint names, so that migrations can refer to them on every database
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Time(types.TypeDecorator[dt.datetime]):
    """An aware UTC time, stored as ISO text: SQLite has no time zones, and text sorts the same on every database."""

    impl = types.String(32)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else dt.datetime.fromisoformat(value)


JsonValue = JSON(none_as_null=True)
"""Plain JSON text on every database: JSONB would rewrite numbers, and hashes cover these values."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dt.datetime: Time, dict[str, Any]: JsonValue, list[Any]: JsonValue}  # noqa: RUF012


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
