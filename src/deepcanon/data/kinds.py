"""The kinds of data that a recipe may ask for: `def vae(data: Images = "digits")` takes a known name, a path or an object of the user's own."""

from typing import Annotated, Any

Images = Annotated[Any, "images"]
Points = Annotated[Any, "points"]
Table = Annotated[Any, "table"]
Tokens = Annotated[Any, "text"]
Arrays = Annotated[Any, "arrays"]
Boxes = Annotated[Any, "boxes"]
Masks = Annotated[Any, "masks"]
Captions = Annotated[Any, "captions"]
Env = Annotated[Any, "env"]

KINDS = {"Images": "images", "Points": "points", "Table": "table", "Tokens": "text", "Arrays": "arrays", "Boxes": "boxes",
         "Masks": "masks", "Captions": "captions", "Env": "env"}
