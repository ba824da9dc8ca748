"""Names of a package that are imported when they are first used.

A package lists each name once, where type checkers see it as well, and calls `attach`:

    if TYPE_CHECKING:
        from deepcanon.vae.vae import VAE as VAE

    attach(__name__)
"""

import ast
import sys
from importlib import import_module
from pathlib import Path


def attach(package: str) -> None:
    """Give a package the names that its block `if TYPE_CHECKING:` imports; the modules are imported on first use."""
    module = sys.modules[package]
    home = homes(Path(str(module.__file__)).read_text(encoding="utf-8"))

    def named(name: str):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = import_module(f"{package}.{name}") if home[name] == package else getattr(import_module(home[name]), name)
        setattr(module, name, value)
        return value

    vars(module).update(__all__=sorted(home), __getattr__=named, __dir__=lambda: sorted(home))


def homes(source: str) -> dict[str, str]:
    """Name -> the module that it is imported from, for the imports below `if TYPE_CHECKING:`."""
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}
