"""What a benchmark found, as JSON, as a table and a plot in docs/."""

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
RELIABILITY = DOCS / "reliability.md"

Raw = float | int | str | None | Mapping[str, "Raw"] | Sequence["Raw"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """`keys`: the contract's, ratios mostly; None for what was not measured. `raw`: what they were made from."""

    keys: Mapping[str, float | int | None]
    raw: Mapping[str, Raw]

    def line(self) -> dict[str, Raw]:
        """What goes to standard output."""
        shown: dict[str, Raw] = {
            name: rounded(value) if value is not None else None for name, value in self.keys.items()
        }
        return {**shown, "raw": dict(self.raw)}


def rounded(value: float) -> float | int:
    """Four significant digits are more than a shared machine can repeat."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def spread(values: Sequence[float]) -> dict[str, Raw]:
    return {
        "median": rounded(statistics.median(values)),
        "lowest": rounded(min(values)),
        "highest": rounded(max(values)),
        "runs": [rounded(value) for value in values],
    }


def write(name: str, result: Result, heading: str) -> None:
    """Rewrite the benchmark's part of docs/performance.md, between its two marks, and its plot."""
    write_part(name, _table(name, result, heading))
    if _runs(result):
        _plot(name, result, heading)


def write_part(name: str, text: str, *, page: Path = PAGE) -> None:
    """Put `text` between the two marks of `name` on a page that exists, or at its end."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    part = f"{begin}\n{text}\n{end}"
    before = page.read_text()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    after = pattern.sub(lambda _: part, before) if pattern.search(before) else f"{before.rstrip()}\n\n{part}\n"
    page.write_text(after)


def _table(name: str, result: Result, heading: str) -> str:
    lines = [f"## {heading}", "", f"Measured {datetime.now(UTC):%Y-%m-%d} by `bin/bench {name}`.", ""]
    lines += ["| key | value |", "|---|---|"]
    lines += [
        f"| `{key}` | {'not measured' if value is None else f'{rounded(value):,}'} |"
        for key, value in result.keys.items()
    ]
    repeated = bool(_runs(result))
    if repeated:
        lines += ["", "| measured | median | lowest | highest |", "|---|---|---|---|"]
    for what, value in result.raw.items():
        if isinstance(value, Mapping) and "median" in value:
            lines.append(f"| {what} | {value['median']:,} | {value['lowest']:,} | {value['highest']:,} |")
    told = [f"{what} {value}" for what, value in result.raw.items() if isinstance(value, str | int | float)]
    lines += ["", "Conditions: " + "; ".join(told) + "."]
    if repeated:
        lines += ["", f"![{heading}](performance-{name}.svg)"]
    return "\n".join(lines)


def _plot(name: str, result: Result, heading: str) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - a second to import, and not needed for --quick

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415 - as above

    panels = {
        unit: {what: runs for what, runs in _runs(result).items() if ("ms" in re.split(r"[^a-z]+", what)) == in_ms}
        for unit, in_ms in (("per second", False), ("milliseconds", True))
    }
    panels = {unit: series for unit, series in panels.items() if series}
    heights = [len(series) for series in panels.values()]
    figure, drawn = pyplot.subplots(
        len(panels), figsize=(8, 0.5 * sum(heights) + 1.6 * len(panels)), height_ratios=heights, squeeze=False
    )
    for axes, (unit, series) in zip(drawn[:, 0], panels.items(), strict=True):
        for place, runs in enumerate(series.values()):
            axes.plot(runs, [place] * len(runs), "o", color="tab:blue", alpha=0.7)
        axes.set_yticks(range(len(series)), list(series))
        axes.set_ylim(len(series) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.set_xlabel(f"{unit}, one dot a run")
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(heading)
    figure.tight_layout()
    figure.savefig(DOCS / f"performance-{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _runs(result: Result) -> dict[str, list[float]]:
    """The single runs of everything that was measured more than once."""
    found: dict[str, list[float]] = {}
    for what, value in result.raw.items():
        runs = value.get("runs") if isinstance(value, Mapping) else None
        if isinstance(runs, Sequence):
            found[what] = [float(str(run)) for run in runs]
    return found
