"""Types of the fields of a training's and a fine-tuning's settings, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
