"""What a statement costs, by the plan that PostgreSQL follows: rows, which do not depend on the machine."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def rows_looked_at(connection: Connection, statement: str, values: Any) -> float:
    """Execute a statement again; returns how many rows all nodes of its plan returned or threw away."""
    [[[plan]]] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).fetchall()
    return _of_node(plan["Plan"])


def _of_node(node: dict[str, Any]) -> float:
    names = ("Actual Rows", "Rows Removed by Join Filter", "Rows Removed by Filter")
    own = sum(float(node.get(name, 0)) for name in names)
    return own * float(node["Actual Loops"]) + sum(map(_of_node, node.get("Plans", ())))
