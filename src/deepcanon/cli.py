"""The command line: `deepcanon VERB ...`.

Looking around (list, find, show, any --help) reads the catalogue and imports no torch. The flags of a recipe are made from its signature,
so that `deepcanon train vae_mnist --beta 4` and `deepcanon.recipes.vae_mnist(beta=4)` are the same call.
"""

import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from deepcanon import __version__, catalogue, errors, search
from deepcanon.catalogue import Entry, RecipeInfo, suggest
from deepcanon.errors import UsageError
from deepcanon.flags import Parser, add_run_options, add_weights, decimal, flag, recipe_parser, run_options, whole
from deepcanon.terminal import fields, footer, number, readable, several, table, title

HELP = """\
deepcanon: the deep-learning canon, every method in one short file, checked, trained by one command

usage: deepcanon VERB ...          deepcanon VERB --help says more

look around
  list                  the recipes; `list systems` and `list AREA` for the whole catalogue
  find WORDS            recipes and systems near these words, misspelt as they may be
  show NAME             equation, paper, file, recipes and proof of a system or a recipe

run
  train RECIPE          train it; its arguments are flags: deepcanon train {example} --steps 500
  resume FOLDER         go on where a run was stopped, to the same bits
  evaluate FOLDER       the numbers of a trained run, measured again
  sample FOLDER         draw from a trained run
  compare RECIPE ...    several recipes under one budget, one report
  prove RECIPE ...      run with several seeds and check the target

data
  data list             the named data sets
  data get NAME         fetch one
  data where NAME       where its files are

anywhere
  --help                this, or the help of a verb
  --debug               show the traceback of an error
  --version             {version}

first steps: deepcanon train {example}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        status = dispatch([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return status
    except BaseException as error:
        if debug and not isinstance(error, SystemExit | BrokenPipeError):
            raise
        return errors.report(error)


def dispatch(words: list[str]) -> int:
    """Call the verb; 0, or the status that it returns."""
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    if verb in ("--help", "-h", "help"):
        print(HELP.format(version=__version__, example=example()), end="")
        return 0
    if verb == "--version":
        print(f"deepcanon {__version__}")
        return 0
    if verb not in VERBS:
        kind = "flag" if verb.startswith("-") else "verb"
        raise UsageError(f"no {kind} '{verb}'{suggest(verb, [*VERBS, '--help', '--version']) or '; see deepcanon --help'}")
    return VERBS[verb](rest) or 0


def example() -> str:
    """The recipe that help texts name: a small one on embedded data."""
    names = catalogue.recipes()
    return "vae_digits" if "vae_digits" in names else next(iter(names), "RECIPE")


# look around


def list_(words: list[str]) -> None:
    """Print the recipes, or the systems of the catalogue (all of them, or one area)."""
    parser = Parser("list", "[WHAT]", "The recipes; or the systems of the catalogue, all of them or those of one area.",
                    "areas: " + ", ".join(f"{key} ({name})" for key, name in catalogue.AREAS.items()))
    parser.add_argument("what", nargs="?", default="recipes", metavar="WHAT", help="recipes (the default), systems, or an area such as GEN")
    parser.add_argument("--built", action="store_true", help="only the systems that are built")
    asked = parser.parse(words)
    built = [e for e in catalogue.entries().values() if e.where]
    if asked.what == "recipes":
        known = catalogue.recipes().values()
        table(["recipe", "data", "target", "proven", "what it is"], [[r.name, ", ".join(r.data), targets(r, 1), proven(r), r.summary] for r in known])
        footer(f"{len(known)} recipes, {len(built)} of {len(catalogue.entries())} systems built. Next: deepcanon show {example()}")
        return
    area = asked.what.upper()
    if area not in {"SYSTEMS", *catalogue.AREAS}:
        raise UsageError(f"no area '{asked.what}'{suggest(area, ['recipes', 'systems', *catalogue.AREAS]) or '; see deepcanon list --help'}")
    systems = [e for e in catalogue.entries().values() if area in ("SYSTEMS", e.area) and (e.where or not asked.built)]
    table(["id", "system", "file", "recipe"], [[e.id, e.name, e.module.removeprefix("deepcanon."), e.recipe] for e in systems])
    footer(f"{len(systems)} systems, {sum(bool(e.where) for e in systems)} built.")


def find(words: list[str]) -> None:
    """Print the recipes and systems near some words."""
    parser = Parser("find", "WORDS", "Recipes and systems near these words, best first; a misspelling or the beginning of a word will do.")
    parser.add_argument("words", nargs="+", metavar="WORDS")
    query = " ".join(parser.parse(words).words)
    found = search.find(query)
    if not found:
        raise ValueError(f"nothing is like '{query}'; see `deepcanon list systems`")
    table(["id", "name", "about"], [[f.id, f.name, f.where.removeprefix("deepcanon.") or "not built yet"] if isinstance(f, Entry) else
                                    ["recipe", f.name, f.summary] for f in found])


def show(words: list[str]) -> None:
    """Print what is known of one system or recipe."""
    parser = Parser("show", "NAME", "Equation, paper, file, recipes and proof, by id (GEN-18), name (vae) or recipe (vae_digits).")
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
    """A recipe: the systems that it shows, its arguments, what is claimed of it and what was measured."""
    title(f"{recipe.name}  {recipe.summary}")
    systems = [catalogue.entries()[row] for row in recipe.rows if row in catalogue.entries()]
    built = [e for e in systems if e.where]
    if built:
        print(catalogue.header(catalogue.locate(built[0].where)[0]), end="\n\n")
    fields([("paper", recipe.paper), ("file", f"{readable(recipe.file)}:{recipe.line}"), *several("shows", [f"{e.id} {e.name}" for e in systems]),
           ("data", ", ".join(recipe.data)), *several("arguments", [f"{flag(p)} {p.default}" for p in recipe.parameters]), *target_fields(recipe),
           ("train", f"deepcanon train {recipe.name}")])


def recipe_fields(runs: list[RecipeInfo]) -> list[tuple[str, str]]:
    """The recipes of a system, then what is claimed of the one that shows it best and what was measured."""
    if not runs:
        return []
    others = [("others", ", ".join(r.name for r in runs[1:]))]
    return [("recipe", runs[0].name), ("", runs[0].summary), *target_fields(runs[0]), *others]


def target_fields(recipe: RecipeInfo) -> list[tuple[str, str]]:
    """Target, published value and proof."""
    published = ", ".join(f"{name} {value:g}" for name, value in recipe.published.items())
    within = f", training in {recipe.seconds:g} s on two cores" if recipe.seconds else ""
    return [("target", f"{targets(recipe)}{within}" if recipe.target else ""),
            ("published", f"{published} ({recipe.source})" if recipe.source else published),
            ("proof", proof_line(recipe) or f"none yet: deepcanon prove {recipe.name}")]


def targets(recipe: RecipeInfo, first: int | None = None) -> str:
    """What must be reached, as in `elbo >= -99`; all of it or the first few."""
    return ", ".join(f"{name} {sign} {bound:g}" for name, sign, bound in recipe.target[:first])


def proven(recipe: RecipeInfo) -> str:
    """The measured value of the first target; empty when nothing was proven."""
    proof = catalogue.proof(recipe.name)
    return number(proof["summary"][recipe.target[0][0]]["mean"]) if proof and recipe.target else ""


def proof_line(recipe: RecipeInfo) -> str:
    """What `prove` measured: values, seeds, seconds, hardware, commit."""
    proof = catalogue.proof(recipe.name)
    if not proof:
        return ""
    means = ", ".join(f"{name} {number(proof['summary'][name]['mean'])}" for name in proof["target"])
    seeds, met = len(proof["runs"]), "" if proof["passed"] else ", target missed"
    return (f"{means}{met}; {seeds} seed{'s' * (seeds > 1)}, {number(proof['seconds'])} s each on {proof['hardware']}, "
            f"commit {proof['commit']}, {proof['date']}")


# run


def named(name: str) -> RecipeInfo:
    """The recipe of that name, or a UsageError with the nearest one."""
    try:
        return catalogue.recipe(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def matching(words: list[str]) -> list[RecipeInfo]:
    """The recipes of these names, of which some may be patterns as in init_*_digits; each once."""
    found: dict[str, RecipeInfo] = {}
    for word in words:
        names = [name for name in catalogue.recipes() if fnmatchcase(name, word)] or [word]
        found |= {name: named(name) for name in names}
    return list(found.values())


def train(words: list[str]) -> None:
    """Run a recipe with the flags given."""
    values = [word for before, word in zip(["", *words], words) if not word.startswith("-") and before not in ("--folder", "--device")]
    if not values:
        parser = Parser("train", "RECIPE [--flags]", f"Train a recipe; its arguments are flags, listed by `deepcanon train {example()} --help`.")
        parser.add_argument("recipe", metavar="RECIPE", help="a name that `deepcanon list` prints")
        add_run_options(parser)
        parser.parse(words)
    recipe = named(next((word for word in values if word in catalogue.recipes()), values[0]))
    words.remove(recipe.name)
    asked = recipe_parser(recipe).parse(words)
    how = run_options(asked)

    from deepcanon import engine, runs

    with engine.options(**how):
        show_run(runs.train(recipe.name, vars(asked)), recipe, how["quiet"])


def show_run(run, recipe: RecipeInfo, quiet: bool) -> None:
    """What a run reached and where it lies; the folder alone when quiet."""
    if quiet:
        print(run.folder)
        return
    title(f"{recipe.name}: {run.steps:,} steps in {run.seconds:.1f} s")
    report = run.folder / "report.html"
    fields([*results_fields(run.results, recipe), ("folder", readable(run.folder)), ("report", readable(report) if report.exists() else "")])


def results_fields(results: dict[str, float], recipe: RecipeInfo | None = None) -> list[tuple[str, str]]:
    """Results as fields, each beside its target."""
    bounds = {name: (sign, bound) for name, sign, bound in recipe.target} if recipe else {}

    def beside(name: str, value: float) -> str:
        if name not in bounds:
            return ""
        sign, bound = bounds[name]
        met = value >= bound if sign == ">=" else value <= bound
        return f"   target {sign} {bound:g}, {'met' if met else 'not met'}"

    return [(name, number(value) + beside(name, value)) for name, value in results.items()]


def resume(words: list[str]) -> None:
    """Go on with a run that was stopped."""
    parser = Parser("resume", "FOLDER [--anyway]", "Go on where a run was stopped; it ends with the same bits as an unbroken run.")
    parser.add_argument("run", type=Path, metavar="FOLDER", help="a run folder, such as runs/vae_mnist/20260101-120000")
    parser.add_argument("--anyway", action="store_true", help="even if the code or the data have changed since")
    add_run_options(parser, None)
    asked = parser.parse(words)
    how = run_options(asked)

    from deepcanon import engine, runs
    from deepcanon.engine.run import read_call

    with engine.options(**how):
        run = runs.resume(asked.run, asked.anyway)
    show_run(run, catalogue.recipe(read_call(asked.run)["recipe"]), how["quiet"])


def evaluate(words: list[str]) -> None:
    """Measure a trained run again."""
    parser = Parser("evaluate", "FOLDER", "Measure a trained run again, on the data of its recipe.")
    parser.add_argument("run", type=Path, metavar="FOLDER", help="a run folder")
    add_weights(parser)
    add_run_options(parser, None, quiet=False)
    asked = parser.parse(words)

    from deepcanon import engine, runs

    with engine.options(**run_options(asked)):
        fields(results_fields(runs.evaluate_folder(asked.run, asked.weights)))


def sample(words: list[str]) -> None:
    """Draw from a trained run."""
    parser = Parser("sample", "FOLDER [--n N] [--out FILE]", "Draw from a trained run: a picture grid or a text, by what its method samples.")
    parser.add_argument("run", type=Path, metavar="FOLDER", help="a run folder")
    parser.add_argument("--n", type=whole, metavar="N", default=64, help="how many (default 64)")
    parser.add_argument("--seed", type=whole, metavar="N", default=0, help="of the random numbers (default 0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to (default: into the run folder)")
    add_weights(parser)
    add_run_options(parser, None, quiet=False)
    asked = parser.parse(words)

    from deepcanon import engine, runs

    with engine.options(**run_options(asked)):
        print(readable(runs.sample_folder(asked.run, asked.n, asked.seed, asked.out, asked.weights)))


def compare(words: list[str]) -> None:
    """Several recipes under one budget."""
    parser = Parser("compare", "RECIPE RECIPE ... [--flags]",
                    "Run several recipes under one budget and write one report: curves, metrics, samples and seconds side by side.")
    parser.add_argument("recipes", nargs="+", metavar="RECIPE", help="names that `deepcanon list` prints, or patterns such as 'init_*_digits'")
    parser.add_argument("--seeds", type=whole, default=1, metavar="N", help="seeds of each (default 1)")
    parser.add_argument("--minutes", type=decimal, metavar="M", help="time of each run (default: what the recipe takes)")
    add_run_options(parser, "the folder of the runs and the report (default runs/compare/DATE-TIME)")
    asked = parser.parse(words)
    names, how = [recipe.name for recipe in matching(asked.recipes)], run_options(asked)

    from deepcanon import engine
    from deepcanon.compare import compare

    with engine.options(device=how["device"], quiet=how["quiet"]):
        report = compare(names, asked.seeds, asked.minutes, how["folder"])
    print(readable(report))


def prove(words: list[str]) -> int:
    """Several seeds, and whether the targets hold."""
    parser = Parser("prove", "RECIPE ... [--flags]",
                    "Run recipes with several seeds, check their targets and write results/RECIPE.json; status 1 when a target is missed.")
    parser.add_argument("recipes", nargs="+", metavar="RECIPE", help="names that `deepcanon list` prints, or patterns such as 'init_*_digits'")
    parser.add_argument("--seeds", type=whole, default=3, metavar="N", help="how many (default 3)")
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="where the records go (default results)")
    add_run_options(parser, "the folder of the runs (default runs/prove-RECIPE/DATE-TIME)")
    asked = parser.parse(words)
    recipes, how = matching(asked.recipes), run_options(asked)

    from deepcanon import engine
    from deepcanon.prove import prove

    passed = True
    for recipe in recipes:
        with engine.options(device=how["device"], quiet=how["quiet"]):
            record = prove(recipe.name, asked.seeds, asked.out, how["folder"] and how["folder"] / recipe.name)
        passed = passed and record["passed"]
        title(f"{recipe.name}: {'proven' if record['passed'] else 'target missed'}")
        fields([*results_fields({name: s["mean"] for name, s in record["summary"].items()}, recipe),
               ("seconds", number(record["seconds"])), ("record", readable(asked.out / f"{recipe.name}.json"))])
    return 0 if passed else 1


# data


def data(words: list[str]) -> None:
    """Named data sets: list, get, where."""
    parser = Parser("data", "list | get NAME | where NAME", "The named data sets. Your own folder or file needs none: its path will do.")
    parser.add_argument("action", metavar="list|get|where")
    parser.add_argument("name", nargs="?", metavar="NAME")
    asked = parser.parse(words)
    if asked.action not in DATA_ACTIONS:
        raise UsageError(f"deepcanon data has no '{asked.action}'{suggest(asked.action, DATA_ACTIONS) or ': list, get NAME or where NAME'}")
    if asked.name is None and asked.action != "list":
        raise UsageError(f"deepcanon data {asked.action} needs a name; see deepcanon data list")
    DATA_ACTIONS[asked.action](asked.name)


def data_list(name: str | None) -> None:
    """Every named set and whether it is on this machine."""
    from deepcanon.data import download, sets

    def state(s: sets.DataSet) -> str:
        return "embedded" if not s.files else "here" if len(download.where(s.name)) == len(s.files) else "to fetch"

    table(["name", "kind", "files", "what it is", "licence"], [[s.name, s.kind, state(s), s.about, s.licence] for s in sets.SETS.values()])
    footer("Looked for in the folder that DEEPCANON_DATA names, else fetched when first used.")


def data_get(name: str) -> None:
    """Fetch what is missing, check all, print the paths."""
    from deepcanon.data import download

    files = download.get(name)
    print("\n".join(map(str, files)) if files else f"{name} is embedded: nothing to fetch")


def data_where(name: str) -> None:
    """Print the paths of the files that are here."""
    from deepcanon.data import download, sets

    files = download.where(name)
    if not files and sets.lookup(name).files:
        raise FileNotFoundError(f"{name} is not on this machine yet: deepcanon data get {name}")
    print("\n".join(map(str, files)) if files else f"{name} is embedded: it needs no file")


DATA_ACTIONS: dict[str, Callable] = {"list": data_list, "get": data_get, "where": data_where}
VERBS: dict[str, Callable[[list[str]], int | None]] = {
    "list": list_, "find": find, "show": show,
    "train": train, "resume": resume, "evaluate": evaluate, "sample": sample, "compare": compare, "prove": prove,
    "data": data,
}
