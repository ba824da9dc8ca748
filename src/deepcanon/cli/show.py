"""`deepcanon show`: what is known of one system or method."""

from deepcanon import catalogue, search
from deepcanon.catalogue import Entry, RecipeInfo
from deepcanon.cli.flags import Parser, flag
from deepcanon.cli.terminal import fields, number, readable, several, title
from deepcanon.grammar import Resolved


def main(words: list[str]) -> None:
    """Print equation, paper, file, presets and proofs."""
    parser = Parser("show", "NAME", "Equation, paper, file, presets and proofs, by id (GEN-18) or name (vae).")
    parser.add_argument("name", nargs="+", metavar="NAME")
    item = search.resolve(" ".join(parser.parse(words).name))
    if isinstance(item, RecipeInfo):
        show_recipe(item)
    else:
        show_system(item)


def show_system(entry: Entry) -> None:
    """A system: its equation from the header of its file, then where everything is."""
    title(f"{entry.id}  {entry.name}")
    runs = catalogue.recipes_of(entry)
    if not entry.where:
        fields([("paper", entry.paper), ("area", catalogue.AREAS[entry.area]), *recipe_fields(runs), ("state", "not built yet")])
        return
    file, line = catalogue.locate(entry.where)
    print(catalogue.header(file), end="\n\n")
    also = [f"{e.id} {e.name}" for e in catalogue.entries().values() if e.module == entry.module and e.id != entry.id]
    fields([("paper", entry.paper), ("file", f"{readable(file)}:{line}"), ("import", "from {} import {}".format(*entry.where.split(":"))),
            *recipe_fields(runs), *several("also here", also)])


def show_recipe(recipe: RecipeInfo) -> None:
    """A method: the systems that it shows, its arguments, its presets and what was measured."""
    title(f"{recipe.name}  {recipe.summary}")
    systems = [catalogue.entries()[s] for s in recipe.systems if s in catalogue.entries()]
    if built := [e for e in systems if e.where]:
        print(catalogue.header(catalogue.locate(built[0].where)[0]), end="\n\n")
    fields([("paper", recipe.paper), ("file", f"{readable(recipe.file)}:{recipe.line}"), *several("shows", [f"{e.id} {e.name}" for e in systems]),
            ("data", f"{' or '.join(recipe.kinds)}: a known name, a path or an object" if recipe.kinds else ""),
            *several("arguments", [f"{flag(p)} {p.default}" + (f"   {p.note}" if p.note else "") for p in recipe.parameters]),
            *call_fields(recipe), ("train", f"deepcanon train {recipe.name}")])


def recipe_fields(runs: list[RecipeInfo]) -> list[tuple[str, str]]:
    """The methods of a system, and the presets and proofs of the one that shows it best."""
    if not runs:
        return []
    return [("method", runs[0].name), ("", runs[0].summary), *call_fields(runs[0]), ("others", ", ".join(r.name for r in runs[1:]))]


def call_fields(recipe: RecipeInfo) -> list[tuple[str, str]]:
    """Every call that has a preset: its target or what is expected of it, and its proof."""
    return [pair for call in catalogue.calls(recipe) for pair in several(call.label, [goal_line(call), proof_line(call)])]


def goal_line(call: Resolved) -> str:
    """The target of a call, or what is expected of it, the time that it may take, and a number of the literature."""
    target = ", ".join(f"{name} {bound}" for name, bound in call.target.items())
    parts = [target or call.expect or "no target", f"within {call.seconds:g} s of training on two cores" if call.seconds else "",
             ", ".join(f"published {k} {v:g}" for k, v in call.published.items()) + (f" ({call.source})" if call.published and call.source else "")]
    return "; ".join(filter(None, parts))


def proof_line(call: Resolved) -> str:
    """What `prove` measured: values, seeds, seconds, hardware, commit."""
    proof = catalogue.proof(call.name)
    if not proof:
        return "not proven yet"
    names = list(call.target) or list(proof["summary"])[:3]
    means = ", ".join(f"{name} {number(proof['summary'][name]['mean'])}" for name in names if name in proof["summary"])
    seeds, met = len(proof["runs"]), "" if proof["passed"] else ", target missed"
    return (f"measured {means}{met}; {seeds} seed{'s' * (seeds > 1)}, {number(proof['seconds'])} s each on {proof['hardware']}, "
            f"commit {proof['commit']}, {proof['date']}")
