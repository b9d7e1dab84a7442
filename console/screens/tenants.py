"""Tenants: create, suspend, export, erase, and where their text may go."""

from __future__ import annotations

from console.components.page_switch import page_title
from console.components.tenants import tenants

page_title("tenants")
tenants()
