"""All rules together, and the files they are written to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_llm.alert_rules import health, normalise, render, routing, specs, windows
from otel_llm.alert_rules.burn import Burn
from otel_llm.alert_rules.model import Slo
from otel_llm.alert_rules.pages import NOWHERE, Addresses
from otel_llm.alert_rules.rule import Group, Rule

OUT = Path(__file__).parent / "generated"
ALERTMANAGER = Path(__file__).resolve().parents[1] / "deploy/alertmanager/alertmanager.yml"
"""In a checkout alone."""


def groups(
    slos: Sequence[Slo],
    pairs: Sequence[windows.Pair] | None = None,
    scrape_s: float = windows.SCRAPE_S,
) -> dict[str, tuple[Group, ...]]:
    """Every group, by the file it belongs to.

    Args:
        slos: objectives; they were checked.
        pairs: burn windows of 30 days; the default ones if None.
        scrape_s: interval of scrapes and evaluations, in seconds.

    Raises:
        SpecError: a file of health rules, windows or sources is wrong.
    """
    pairs = windows.load() if pairs is None else pairs
    made: dict[str, tuple[Group, ...]] = {}
    for slo in slos:
        made[f"slo-{slo.name}"] = Burn(slo, pairs, scrape_s).groups()
    for group in health.load():
        made[group.name] = (group,)
    for name, normalised in normalise.groups().items():
        made[f"normalise-{name}"] = normalised
    return made


def alerts(of: Mapping[str, Sequence[Group]]) -> tuple[Rule, ...]:
    """Every alert rule among the groups."""
    return tuple(
        rule for parts in of.values() for group in parts for rule in group.rules if rule.is_alert
    )


def files(
    slos: Sequence[Slo],
    pairs: Sequence[windows.Pair] | None = None,
    to: Addresses = NOWHERE,
) -> dict[str, str]:
    """Text of each generated file, by its path inside the folder.

    Args:
        slos: objectives.
        pairs: burn windows, as for `groups`.
        to: where runbooks and boards are served.

    Raises:
        SpecError: as for `groups`.
    """
    made = {}
    for name, parts in groups(slos, pairs).items():
        made[f"rules/{name}.yaml"] = render.rule_file(parts, to)
        made[f"manifests/{name}.yaml"] = render.manifest(name, parts, to)
    return made


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write generated files, and remove generated ones that are no longer made."""
    for path in stale(folder, made):
        path.unlink(missing_ok=True)
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def stale(folder: Path, made: Mapping[str, str]) -> list[Path]:
    """Files that differ from what would be generated, are missing, or are left over."""
    wanted = {folder / name: text for name, text in made.items()}
    there = {
        path
        for path in folder.rglob("*.yaml")
        if path.read_text(encoding="utf-8").startswith(render.HEAD)
    }
    different = {
        path
        for path, text in wanted.items()
        if path not in there or path.read_text(encoding="utf-8") != text
    }
    return sorted(different | (there - set(wanted)))


def load(specs_folder: Path | None = None) -> tuple[Slo, ...]:
    """The objectives of a folder, or those that come with the package.

    Raises:
        SpecError: one of them cannot work.
    """
    return specs.load(specs_folder or specs.FOLDER)


def main() -> None:
    """Rewrite the committed files; `make generate` calls it."""
    slos = load()
    write(OUT, files(slos))
    ALERTMANAGER.write_text(routing.config(slos, routing.Receivers()), encoding="utf-8")


if __name__ == "__main__":
    main()
