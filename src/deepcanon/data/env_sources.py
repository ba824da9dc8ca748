"""Where an environment comes from: a Gymnasium id, `module:Class`, `./file.py:Class`, a class or
function, or an object.

    create("Acrobot-v1", {})    create("my_envs:Maze", {"size": 5})    create("./maze.py:Maze", {})
"""

import difflib
import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from deepcanon.data.env_checks import Environment, raised, shown

MEMBERS = "observation_shape", "action_shape", "num_actions", "reset", "step", "state_dict", "load_state_dict"


def create(source: Any, options: dict[str, Any]) -> Any:
    """The environment of a source, as it is: a `gymnasium.Env` or an object with the members of
    `Environment`.

    Raises:
        ModuleNotFoundError: the name is a Gymnasium id, and Gymnasium is not installed.
        ValueError: the source names or makes no environment.
    """
    if isinstance(source, Path):
        raise ValueError(
            f"expected the name of a class or function after the path, such as '{source}:ClassName'"
        )
    if isinstance(source, str):
        found = named_object(source)
        if found is None:
            return gymnasium_id(source, options)
        return made(found, source, options)
    return made(source, getattr(source, "__name__", type(source).__name__), options)


def named_object(source: str) -> Any:
    """What `module:attribute` or `file.py:attribute` means; None if the text is a Gymnasium id."""
    place, colon, attribute = source.rpartition(":")
    if not colon:
        if source.endswith(".py"):
            raise ValueError(
                f"expected the name of a class or function after the path, such as '{source}:ClassName'"
            )
        return None
    module = file_module(place, source) if is_file(place) else named_module(place, source)
    if module is None:
        return None
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            if attribute in gymnasium_ids():
                return None
            names = [name for name in dir(found) if not name.startswith("_")]
            raise ValueError(
                f"environment {source!r}: {place!r} has no {attribute!r}{did_you_mean(attribute, names)}"
            )
        found = getattr(found, part)
    return found


def is_file(place: str) -> bool:
    """Whether the part before the colon is a path."""
    return place.endswith(".py") or "/" in place or os.sep in place


def file_module(place: str, source: str) -> ModuleType:
    """The module in a file; its folder is added to the end of Python's search path. A file is read once."""
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")])
        raise ValueError(f"environment {source!r}: there is no file {place!r}{near}")
    name = f"{path.stem} of {path}"
    if name not in sys.modules:
        search_also(str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"environment {source!r}: {place!r} is no Python file")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise failed_import(source, place, error) from error
    return sys.modules[name]


def named_module(place: str, source: str) -> ModuleType:
    """The module of that name, looked for in the working directory last."""
    search_also(os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise failed_import(source, place, error) from error
        parent, _, last = error.name.rpartition(".")
        around = (
            sys.modules[parent].__path__
            if parent in sys.modules and hasattr(sys.modules[parent], "__path__")
            else None
        )
        names = [m.name for m in pkgutil.iter_modules(around)] if around is not None or not parent else []
        raise ValueError(
            f"environment {source!r}: there is no module {error.name!r}{did_you_mean(last, names)}"
        ) from None
    except Exception as error:
        raise failed_import(source, place, error) from error


def failed_import(source: str, place: str, error: Exception) -> ValueError:
    """What importing the user's module raised, on one line."""
    return ValueError(
        f"environment {source!r}: importing {place!r} failed: {raised(error)}"
    )


def search_also(folder: str) -> None:
    """Adds a folder to the end of the search path, so that modules beside the user's own are found."""
    if folder not in sys.path:
        sys.path.append(folder)


def did_you_mean(name: str, among: list[str]) -> str:
    """`; did you mean 'X'?`, or nothing when no name is near."""
    close = difflib.get_close_matches(name, among, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def gymnasium_ids() -> Any:
    """The ids that Gymnasium knows; none where it is not installed."""
    try:
        import gymnasium
    except ModuleNotFoundError:
        return ()
    return gymnasium.registry


def gymnasium_id(name: str, options: dict[str, Any]) -> Any:
    """The environment of an id; "module:id" imports the module first."""
    try:
        import gymnasium  # noqa: F401 (is it installed?)
    except ModuleNotFoundError:
        from deepcanon.data.environments import BUILT_IN

        raise ModuleNotFoundError(f'environment {name!r} needs Gymnasium: pip install "deepcanon[rl]" '
                                  f"(without it: {', '.join(BUILT_IN)})") from None
    from deepcanon.data.env_gymnasium import make

    return make(name, options)


def made(found: Any, name: str, options: dict[str, Any]) -> Any:
    """The environment that an object is, or that a class or function makes."""
    if isinstance(found, type) or (callable(found) and not is_environment(found)):
        try:
            environment = found(**options)
        except Exception as error:
            raise ValueError(f"environment {name!r} cannot be made: {raised(error)}") from error
        return ready(environment, name)
    if options:
        raise ValueError(
            f"environment {name!r} exists already and takes no options, got {', '.join(options)}: pass its "
            "class"
        )
    return ready(found, name)


def is_environment(found: Any) -> bool:
    """Whether an object can be stepped, as it is or after checks."""
    return hasattr(found, "reset") and hasattr(found, "step")


def ready(found: Any, name: str) -> Any:
    """The object, if it is one environment."""
    if hasattr(found, "restart") or hasattr(found, "single_action_space"):
        raise ValueError(
            f"environment {name!r} is several environments at once ({type(found).__name__}): pass one of "
            "them, its class "
            "or its name; envs(source, count) makes several"
        )
    if isinstance(found, Environment) or is_gymnasium(found):
        return found
    if not is_environment(found):
        raise ValueError(
            "expected an environment: a name, 'module:Class', './file.py:Class', a gymnasium.Env, a class "
            "or a function "
            f"that makes one; {name!r} is {shown(found)}"
        )
    if hasattr(found, "observation_space"):
        raise ValueError(
            f"environment {name!r}: {type(found).__name__} is no gymnasium.Env: derive it from gymnasium.Env"
        )
    lacking = [member for member in MEMBERS if not hasattr(found, member)]
    raise ValueError(
        f"environment {name!r}: {type(found).__name__} is no gymnasium.Env and lacks {', '.join(lacking)}"
    )


def is_gymnasium(found: Any) -> bool:
    """Whether an object is a Gymnasium environment. (Without Gymnasium imported, it cannot be one.)"""
    gymnasium = sys.modules.get("gymnasium")
    return gymnasium is not None and isinstance(found, gymnasium.Env)
