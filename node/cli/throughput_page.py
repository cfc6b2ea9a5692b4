"""The report of a throughput measurement as one page: nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from node.cli.throughput_plots import Series, bar_plot, line_plot, stacked_bar

Json = Mapping[str, Any]

CATEGORIES = (
    ("verify", "Verification of proofs", "s1"),
    ("consensus", "Consensus and execution", "s2"),
    ("database_client", "Database, in the banks", "s3"),
    ("database_server", "Database server", "s4"),
    ("network", "Network", "s5"),
    ("other", "Admission and the rest", "s6"),
)

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#ffffff;--ink:#16202c;--soft:#56616f;
--rule:#dfe3e8;--grid:#e9ecf0;--good:#0a7a43;--bad:#b3261e;--s1:#1f5fbf;--s2:#d97a00;
--s3:#0b8f6a;--s4:#6fc2a4;--s5:#8b5bb5;--s6:#8a94a0;--inside:#ffffff}
@media (prefers-color-scheme:dark){:root{--page:#11161c;--card:#1a2129;--ink:#e8edf3;
--soft:#a3afbc;--rule:#313b46;--grid:#27303a;--good:#5cc98d;--bad:#ff8a80;--s1:#5b9bf0;
--s2:#f0a04b;--s3:#35bd93;--s4:#1c7d62;--s5:#b48adb;--s6:#78838f;--inside:#0d1217}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,sans-serif}
main{max-width:980px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 4px}
h2{font-size:1.15rem;margin:36px 0 12px}
.card+.soft,.curve+.soft{margin-top:8px}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}
p{margin:0 0 12px;max-width:68ch}
.soft{color:var(--soft);font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:12px;margin:20px 0}
.curve{max-width:640px}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:14px}
.tile b{display:block;font-size:1.7rem;line-height:1.15;font-weight:650;
font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.85rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px}
.good,.tile b.good{color:var(--good)}.bad,.tile b.bad{color:var(--bad)}
svg{display:block;width:100%;height:auto}
svg text{font-family:inherit;fill:var(--soft);font-size:11.5px}
svg .note{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:4px}
svg .inside{fill:var(--inside);font-weight:600;font-size:12px}
.grid{stroke:var(--grid)}.axis{stroke:var(--soft)}
.level{stroke:var(--ink);stroke-dasharray:4 3;opacity:.75}
.bar{fill:var(--s1)}.bar:hover,.part:hover{opacity:.8}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.sensor{fill:transparent}
.line.s1{stroke:var(--s1)}.line.s2{stroke:var(--s2)}.line.s5{stroke:var(--s5)}
.dot.s1{fill:var(--s1)}.dot.s2{fill:var(--s2)}.dot.s5{fill:var(--s5)}
.part.s1,.key.s1{fill:var(--s1);background:var(--s1)}
.part.s2,.key.s2{fill:var(--s2);background:var(--s2)}
.part.s3,.key.s3{fill:var(--s3);background:var(--s3)}
.part.s4,.key.s4{fill:var(--s4);background:var(--s4)}
.part.s5,.key.s5{fill:var(--s5);background:var(--s5)}
.part.s6,.key.s6{fill:var(--s6);background:var(--s6)}
.key{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:7px}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:.85rem;color:var(--soft);
margin-bottom:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:6px 8px;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:var(--soft)}
td.wrap{white-space:normal;text-align:left;overflow-wrap:anywhere}
details{margin-top:14px}summary{cursor:pointer;font-weight:600;padding:6px 0}
@media (max-width:480px){main{padding:16px 12px 32px}.card{padding:10px}
.tiles{grid-template-columns:1fr 1fr}.tile b{font-size:1.4rem}}
@media print{body{background:none}.card,.tile{break-inside:avoid}}
"""


def render_page(report: Json) -> str:
    """Return a report of schema `consortium/throughput/1` as HTML."""
    headline = headline_run(report["runs"])
    parts = [
        _head(report),
        _tiles(report, headline),
        _sweep(report["runs"]),
        f"<h2>{_escape(_title(headline))}</h2>",
        _plots(headline),
        _all_runs(report["runs"]),
        _others(report["runs"], headline),
        _queries(report),
        _reckoning(report["integrity"]),
        _conditions(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Throughput of {report['consortium']['banks']} banks</title>"
        # An icon of its own: a browser would ask the server for one.
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def headline_run(runs: Sequence[Json]) -> Json:
    """Return the run that the page is about: the middle one at saturation, or of the first rate."""
    same = [run for run in runs if run["rate"] == runs[0]["rate"]]
    return sorted(same, key=lambda run: float(run["sealed_tps"]))[len(same) // 2]


def _escape(value: object) -> str:
    return escape(str(value))


def _title(run: Json) -> str:
    if run["rate"] is None:
        return f"At saturation, {run['seconds']:.0f} seconds"
    return f"At {run['rate']:g} transactions a second, {run['seconds']:.0f} seconds"


def _head(report: Json) -> str:
    workload, consortium, machine = report["workload"], report["consortium"], report["machine"]
    return (
        f"<h1>Throughput of {consortium['banks']} banks on {machine['cores']} cores</h1>"
        f'<p class="soft">{_escape(report["started_at"])} · workload '
        f"“{_escape(workload['name'])}”, ring base {workload['ring_base']}, at most "
        f"{workload['bins_per_block']} rings in {report['crypto']['batch']} transactions · "
        f"every bank verifies every proof</p>"
    )


def _tiles(report: Json, run: Json) -> str:
    integrity = report["integrity"]
    sound = is_sound(integrity)
    usual = _usual_run(report["runs"], run)
    at = "at saturation" if usual["rate"] is None else f"at {usual['rate']:g} a second"
    tiles = [
        ("", f"{run['sealed_tps']:.1f}", f"sealed a second (± {run['sealed_tps_error']:.1f})"),
        (
            "",
            f"{100 * run['fraction_of_crypto_bound']:.0f} %",
            f"of what the processor could verify, {report['crypto_bound_tps']:.0f} a second",
        ),
        (
            "good" if sound else "bad",
            f"{integrity['lost']}",
            f"lost of {integrity['acknowledged']} acknowledged",
        ),
        ("", _seconds(usual["finality_ms"]["p50"]), f"median finality {at}"),
        ("", _seconds(usual["finality_ms"]["p95"]), f"95th percentile {at}"),
        ("", _seconds(usual["finality_ms"]["p99"]), f"99th percentile {at}"),
    ]
    body = "".join(
        f'<div class="tile"><b class="{style}">{figure}</b><span>{_escape(text)}</span></div>'
        for style, figure, text in tiles
    )
    return f'<div class="tiles">{body}</div>'


def _usual_run(runs: Sequence[Json], headline: Json) -> Json:
    """Return the run at about half of the headline's rate, at which a ledger should be run."""
    half = float(headline["sealed_tps"]) / 2
    swept = [run for run in runs if run["rate"] is not None]
    if headline["rate"] is not None or not swept:
        return headline
    return min(swept, key=lambda run: abs(float(run["rate"]) - half))


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f} s"


def is_sound(integrity: Json) -> bool:
    """Whether the reckoning found nothing wrong."""
    doctor = integrity["doctor"]
    missing = integrity["lost"] or integrity["unanswered"] or integrity["duplicated"]
    return bool(
        not missing and integrity["state_roots_identical"] and (doctor is None or doctor["clean"])
    )


def _plots(run: Json) -> str:
    return (
        f'<div class="cards">{_throughput_plot(run)}{_latency_plot(run)}{_histogram(run)}'
        f"{_split(run)}{_memory_plot(run)}</div>"
    )


def _card(title: str, body: str) -> str:
    return f'<div class="card"><h3>{_escape(title)}</h3>{body}</div>'


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    keys = "".join(
        f'<span><i class="key {style}"></i>{_escape(name)}</span>' for name, style in entries
    )
    return f'<div class="legend">{keys}</div>'


def _throughput_plot(run: Json) -> str:
    step_s = run["series_step_s"]
    # The last step of a window is rarely a whole one.
    whole = [item for item in run["series"] if item["begin_s"] + step_s <= run["seconds"]]
    svg = bar_plot(
        "Transactions sealed a second over the window",
        [(item["begin_s"], item["begin_s"] + step_s, item["sealed"] / step_s) for item in whole],
        x_label="seconds into the window",
        y_label="transactions a second",
        tell=lambda begin, end, value: f"from {begin:g} to {end:g} s: {value:.1f} a second",
        level=(f"mean {run['sealed_tps']:.1f}", run["sealed_tps"]),
    )
    return _card("Sealed over time", svg)


def _latency_plot(run: Json) -> str:
    lines = (("median", "s1", "finality_p50_ms"), ("95th percentile", "s2", "finality_p95_ms"))
    series = [
        Series(
            name,
            style,
            [(item["begin_s"] + run["series_step_s"] / 2, item[key]) for item in run["series"]],
        )
        for name, style, key in lines
    ]
    svg = line_plot(
        "Finality of what was sealed at each time",
        series,
        x_label="seconds into the window",
        y_label="milliseconds",
    )
    legend = _legend([(name, style) for name, style, _ in lines])
    return _card("Finality over time", legend + svg)


def _histogram(run: Json) -> str:
    histogram, finality = run["finality_histogram"], run["finality_ms"]
    edges = histogram["edges_ms"]
    bars = list(zip(edges, edges[1:], histogram["counts"], strict=False))
    svg = bar_plot(
        "Histogram of finality",
        bars,
        x_label="milliseconds from due to sealed",
        y_label="transactions",
        tell=lambda begin, end, value: f"{begin:g} to {end:g} ms: {value:g} transactions",
        marks=[
            (f"p50 {finality['p50']:.0f}", finality["p50"]),
            (f"p95 {finality['p95']:.0f}", finality["p95"]),
            (f"p99 {finality['p99']:.0f}", finality["p99"]),
        ],
    )
    return _card("How long sealing takes", svg)


def _split(run: Json) -> str:
    cpu = run["per_transaction"]["cpu_ms"]
    bar = stacked_bar(
        "CPU time of one transaction at all banks",
        [(title, style, cpu[name]) for name, title, style in CATEGORIES],
        "ms",
    )
    rows = "".join(
        f'<tr><td><i class="key {style}"></i>{_escape(title)}</td><td>{cpu[name]:.2f}</td></tr>'
        for name, title, style in CATEGORIES
    )
    rows += f"<tr><td><b>All banks</b></td><td><b>{cpu['banks']:.2f}</b></td></tr>"
    for name, title in (
        ("client", "Load client"),
        ("supervisor", "Supervisor"),
        ("elsewhere", "Other work on the machine"),
    ):
        rows += f"<tr><td>{title}</td><td>{cpu[name]:.2f}</td></tr>"
    table = f"<table><tr><th>CPU milliseconds a transaction</th><th></th></tr>{rows}</table>"
    return _card("Where the processor time goes", bar + table)


def _memory_plot(run: Json) -> str:
    """Memory over time, of windows that are long enough to say something about it."""
    growth = run["memory_growth_percent"]
    if growth is None:
        return ""
    points = [(at_s, total / 2**20) for at_s, total in run["memory_series"]]
    svg = line_plot(
        "Memory of everything",
        [Series("MiB", "s1", points)],
        x_label="seconds into the window",
        y_label="MiB",
    )
    note = f'<p class="soft">{growth:+.1f} % in the last half of the window.</p>'
    return _card("Memory of everything", svg + note)


def _sweep(runs: Sequence[Json]) -> str:
    """The rate-latency curve, if there is more than one rate."""
    ordered = sorted(runs, key=lambda run: float(run["sealed_tps"]))
    if len({run["rate"] for run in ordered}) < 3:
        return ""
    swept = [run for run in ordered if run["rate"] is not None]
    lines = (("median", "s1", "p50"), ("95th percentile", "s2", "p95"), ("99th", "s5", "p99"))
    series = [
        Series(name, style, [(run["sealed_tps"], run["finality_ms"][key]) for run in swept])
        for name, style, key in lines
    ]
    svg = line_plot(
        "Finality at each rate",
        series,
        x_label="transactions sealed a second",
        y_label="milliseconds",
        with_points=True,
    )
    legend = _legend([(name, style) for name, style, _ in lines])
    saturated = max(float(run["sealed_tps"]) for run in ordered)
    note = (
        f'<p class="soft">Arrivals do not wait for answers. At saturation {saturated:.1f} '
        "transactions a second are sealed; close to it, queues grow.</p>"
    )
    card = f'<div class="curve">{_card("Rate and finality", legend + svg)}</div>'
    return f"<h2>Finality at each rate</h2>{card}{note}"


def _all_runs(runs: Sequence[Json]) -> str:
    columns = [dict(_run_figures(run)) for run in runs]
    header = "".join(f"<th>{_escape(_load(run))}</th>" for run in runs)
    rows = "".join(
        f"<tr><td>{_escape(name)}</td>"
        + "".join(f"<td>{_escape(column[name])}</td>" for column in columns)
        + "</tr>"
        for name in columns[0]
    )
    table = f'<div class="card scroll"><table><tr><th></th>{header}</tr>{rows}</table></div>'
    note = (
        '<p class="soft">CPU time is that of all banks and their database server, bytes between '
        "banks are those of all links, bytes on disk those of one bank’s database without its "
        "write-ahead log.</p>"
    )
    return f"<h2>All windows</h2>{table}{note}"


def _load(run: Json) -> str:
    return "saturation" if run["rate"] is None else f"{run['rate']:g}/s"


def _run_figures(run: Json) -> Sequence[tuple[str, str]]:
    finality, blocks, cost = run["finality_ms"], run["blocks"], run["per_transaction"]
    cpu = cost["cpu_ms"]
    return (
        ("Sealed a second", f"{run['sealed_tps']:.1f}"),
        ("Share of the crypto bound", f"{100 * run['fraction_of_crypto_bound']:.0f} %"),
        ("Finality, median", f"{finality['p50']:.0f} ms"),
        ("Finality, 95th percentile", f"{finality['p95']:.0f} ms"),
        ("Finality, 99th percentile", f"{finality['p99']:.0f} ms"),
        ("Finality, longest", f"{finality['maximum']:.0f} ms"),
        ("Admission, 95th percentile", f"{run['admission_ms']['p95']:.0f} ms"),
        ("CPU a transaction", f"{cpu['banks']:.2f} ms"),
        ("of it verification", f"{cpu['verify']:.2f} ms"),
        ("Transactions in a verified batch", f"{run['verification_fill']:.1f}"),
        ("Blocks", f"{blocks['count']}"),
        ("Fill of a block", f"{blocks['fill_percent']:.0f} %"),
        ("Rings in a block", f"{blocks['bins']:.1f}"),
        ("Blocks after a view change", f"{blocks['after_view_change']}"),
        ("Told to come back", f"{run['overloaded']}"),
        ("Memory of everything", f"{run['memory_bytes']['total'] / 2**20:.0f} MiB"),
        ("Between banks, a transaction", f"{cost['peers_bytes'] / 1000:.1f} kB"),
        ("On disk, a transaction", f"{cost['database_bytes'] / 1000:.1f} kB"),
        ("Processors busy", f"{run['busy_percent']:.0f} %"),
    )


def _others(runs: Sequence[Json], headline: Json) -> str:
    return "".join(
        f"<details><summary>{_escape(_title(run))}: {run['sealed_tps']:.1f} sealed/s</summary>"
        f"{_plots(run)}</details>"
        for run in runs
        if run is not headline
    )


def _facts(rows: Sequence[tuple[str, object]]) -> str:
    body = "".join(
        f'<tr><td>{_escape(name)}</td><td class="wrap">{_escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<div class="card"><table>{body}</table></div>'


def _queries(report: Json) -> str:
    """What a client waits for, and how far the ledger has grown, where a report has it."""
    queries, size = report.get("queries"), report.get("ledger_after")
    if queries is None or size is None:
        return ""
    scan = queries["scan"]
    rows = (
        (
            "Ledger",
            f"{size['height']} blocks, {size['notes']} notes, {size['nullifiers']} nullifiers, "
            f"{size['closed_bins']} closed bins",
        ),
        ("Each bank’s database", f"{size['database_bytes'] / 2**20:.0f} MiB"),
        *(
            (name.capitalize(), f"{item['p50_ms']:.1f} ms, 95th percentile {item['p95_ms']:.1f} ms")
            for name, item in queries["times"].items()
        ),
        (
            "Scan of a wallet",
            f"{scan['outputs_per_s']} outputs a second on one core, {scan['cpu_us']:.1f} µs each; "
            f"{scan['with_reading_per_s']} a second with reading them from one bank",
        ),
    )
    note = (
        f'<p class="soft">{queries["samples"]} of each question after the windows, one after '
        f"another over one connection; pages of {queries['page_records']} records from what the "
        "windows added to the ledger.</p>"
    )
    return f"<h2>Queries of a client</h2>{_facts(rows)}{note}"


def _reckoning(integrity: Json) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in integrity["rejected"].items())
    doctor = integrity["doctor"]
    findings = "" if doctor is None else "; ".join(doctor["findings"])
    verdict = "not asked" if doctor is None else ("clean" if doctor["clean"] else findings)
    style, text = ("good", "Nothing is wrong.") if is_sound(integrity) else ("bad", "Look here.")
    rows = (
        ("Submitted", integrity["submitted"]),
        ("Acknowledged by a bank", integrity["acknowledged"]),
        ("Sealed", integrity["sealed"]),
        ("Rejected, by reason", rejected or "none"),
        ("Acknowledged and lost", integrity["lost"]),
        ("Never answered", integrity["unanswered"]),
        ("Sealed twice", integrity["duplicated"]),
        (
            f"State roots of all banks at height {integrity['height']}",
            "identical" if integrity["state_roots_identical"] else "NOT identical",
        ),
        ("Examination of every ledger", verdict),
    )
    return f'<h2>Reckoning</h2><p class="{style}">{text}</p>{_facts(rows)}'


def _conditions(report: Json) -> str:
    machine, software, crypto = report["machine"], report["software"], report["crypto"]
    consortium, workload = report["consortium"], report["workload"]
    libraries = ", ".join(f"{name} {number}" for name, number in software["libraries"].items())
    rows = (
        ("Processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("Memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB"),
        ("System", machine["system"]),
        ("Code", f"{software['consortium']} {software['commit']}"),
        ("Python, PostgreSQL", f"{software['python']}, {software['postgres']}"),
        ("Libraries", libraries),
        (
            "Consortium",
            f"{consortium['banks']} banks, quorum {consortium['quorum']}, at most "
            f"{consortium['batch_limit']} transactions a block; the load client ran on the same "
            "machine",
        ),
        (
            "Workload",
            f"{workload['transactions']} transactions of {workload['transaction_bytes']} bytes, "
            f"one input and two outputs, {workload['bins']} rings",
        ),
        (
            "Verification alone",
            f"{crypto['minimum_ms']:.3f} ms of CPU a transaction (median "
            f"{crypto['median_ms']:.3f}) in batches of {crypto['batch']} over {crypto['bins']} "
            f"rings, measured before the load; bound = cores / (banks × that time) = "
            f"{report['crypto_bound_tps']:.1f} a second",
        ),
    )
    notes = "".join(f"<p>Note: {_escape(note)}.</p>" for note in report["notes"])
    return f"<h2>Conditions</h2>{notes}{_facts(rows)}"
