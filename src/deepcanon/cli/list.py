"""`deepcanon list`: the methods, or the systems of the catalogue."""

from deepcanon import catalogue
from deepcanon.catalogue import RecipeInfo, suggest
from deepcanon.cli.flags import Parser
from deepcanon.cli.terminal import footer, table
from deepcanon.errors import UsageError


def main(words: list[str]) -> None:
    """Print the methods; or the systems, all of them or one area."""
    areas = "areas: " + ", ".join(f"{key} ({name})" for key, name in catalogue.AREAS.items())
    parser = Parser("list", "[WHAT]", "The methods that can be trained; or the systems of the catalogue, all of them or those of one area.", areas)
    parser.add_argument("what", nargs="?", default="methods", metavar="WHAT", help="methods (the default), systems, or an area such as GEN")
    parser.add_argument("--built", action="store_true", help="only the systems that are built")
    asked = parser.parse(words)
    if asked.what in ("methods", "recipes"):
        list_methods()
        return
    area = asked.what.upper()
    if area not in {"SYSTEMS", *catalogue.AREAS}:
        raise UsageError(f"no area '{asked.what}'{suggest(area, ['methods', 'systems', *catalogue.AREAS]) or '; see deepcanon list --help'}")
    systems = [e for e in catalogue.entries().values() if area in ("SYSTEMS", e.area) and (e.where or not asked.built)]
    table(["id", "system", "file", "method"], [[e.id, e.name, e.module.removeprefix("deepcanon."), e.recipe] for e in systems])
    footer(f"{len(systems)} systems, {sum(bool(e.where) for e in systems)} built.")


def list_methods() -> None:
    """Every recipe, area after area."""
    known, places = catalogue.recipes().values(), list(catalogue.AREAS)
    ordered = sorted(known, key=lambda r: (min((places.index(s.partition("-")[0]) for s in r.systems), default=99), r.family))
    table(["method", "data", "proven", "what it is"], [[r.name, ", ".join(r.kinds), proven(r), r.summary] for r in ordered])
    built = sum(bool(e.where) for e in catalogue.entries().values())
    footer(f"{len(known)} methods, {built} of {len(catalogue.entries())} systems built. Next: deepcanon show vae")


def proven(recipe: RecipeInfo) -> str:
    """How many of the calls with a target or an expectation have a committed proof."""
    calls = [call for call in catalogue.calls(recipe) if call.target or call.expect]
    done = sum(catalogue.proof(call.name) is not None for call in calls)
    return f"{done}/{len(calls)}" if done else ""
