#!/usr/bin/env python3
"""Puts together what the benchmark programs measured, and says which goals are met.

usage: report.py GOALS.json OUTPUT_DIRECTORY GROUP.json...

Prints a table, and writes into the output directory report.json (a flat object: row -> ratio), contenders.json (every sample
of every contender) and report.html. Exits with 1 if a row that has a goal was not measured.
"""

import html
import json
import os
import platform
import sys

EXCUSED_WITHIN = 1.05  # of the bare loop that does the same by hand


def judge(row, goal, rows):
    """Returns (verdict, ratio of the bare loop or None)."""
    bare = rows.get("bare_" + row)
    if "at_least" in goal:
        met = rows[row] >= goal["at_least"]
        near = bare is not None and rows[row] * EXCUSED_WITHIN >= bare
    else:
        met = rows[row] <= goal["at_most"]
        near = bare is not None and rows[row] <= bare * EXCUSED_WITHIN
    return "met" if met else "excused" if near else "MISSED", bare


def bound(goal):
    """The goal as a text."""
    return f">= {goal['at_least']:g}" if "at_least" in goal else f"{goal['at_most']:g}"


def table(goals, rows):
    lines = [f"{'row':<22}{'ratio':>10}{'goal':>8}{'bare':>10}  verdict"]
    for row, goal in goals.items():
        verdict, bare = judge(row, goal, rows)
        bare_text = "" if bare is None else f"{bare:.4f}"
        lines.append(f"{row:<22}{rows[row]:>10.4f}{bound(goal):>8}{bare_text:>10}  {verdict}")
    return "\n".join(lines)


def bar_chart(bars, mark=None):
    """bars: (label, length, second length or None, text, class)."""
    label_width, bar_width, height = 240, 420, 22
    longest = max([length for _, length, *_ in bars] + [second or 0 for _, _, second, *_ in bars] + [mark or 0]) or 1
    scale = bar_width / longest
    parts = [f'<svg viewBox="0 0 {label_width + bar_width + 120} {height * len(bars) + 4}" role="img">']
    for i, (label, length, second, text, kind) in enumerate(bars):
        y = i * height + 2
        parts.append(f'<text x="{label_width - 8}" y="{y + 14}" text-anchor="end">{html.escape(label)}</text>')
        parts.append(f'<rect class="{kind}" x="{label_width}" y="{y + 2}" width="{max(1, length * scale):.1f}" height="{height - 7}"/>')
        if second is not None:
            x = label_width + second * scale
            parts.append(f'<line class="median" x1="{x:.1f}" y1="{y + 1}" x2="{x:.1f}" y2="{y + height - 4}"/>')
        x = label_width + max(length, second or 0) * scale + 6
        parts.append(f'<text x="{x:.1f}" y="{y + 14}">{html.escape(text)}</text>')
    if mark is not None:
        x = label_width + mark * scale
        parts.append(f'<line class="goal" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height * len(bars)}"/>')
    return "".join(parts) + "</svg>"


def goals_chart(goals, rows):
    bars = []
    for row, goal in goals.items():
        verdict, _ = judge(row, goal, rows)
        share = goal["at_least"] / rows[row] if "at_least" in goal else rows[row] / goal["at_most"]
        text = f"{rows[row]:.3g} of {bound(goal)}"
        bars.append((row, min(share, 2), None, text if share <= 2 else text + " (cut off)", verdict.lower()))
    return bar_chart(bars, mark=1)


def race_chart(contenders):
    """Times as multiples of the first contender's fastest; other units as they are."""
    first = contenders[0]["fastest"] if contenders[0]["unit"] == "s" else 1
    bars = []
    for c in contenders:
        fastest, median = c["fastest"] / first, c["median"] / first
        kind = "ours" if c["contender"].startswith("pa_") or c["contender"] == "automatic" else "theirs"
        bars.append((c["contender"], fastest, median, f"{fastest:.3g} ({median:.3g})", kind))
    return bar_chart(bars)


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
svg { width: 100%; font-size: 12px; } svg text { fill: currentColor; }
table { border-collapse: collapse; } td, th { padding: .15rem .7rem; text-align: left; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.met { fill: #3a8f5c; color: #2b7348; } .excused { fill: #c79a2b; color: #94701a; } .missed { fill: #c0483f; color: #b03a32; }
.ours { fill: #2f6fb0; } .theirs { fill: #9aa7b4; } .goal { stroke: #222; stroke-dasharray: 4 3; } .median { stroke: #222; }
"""


def page(goals, rows, races, machine):
    out = [f"<!doctype html><html lang=en><meta charset=utf-8><title>libpa benchmarks</title><style>{STYLE}</style>"]
    out.append(f"<h1>libpa benchmarks</h1><p>{html.escape(machine)}</p>")
    out.append("<h2>Goals</h2><p>Each ratio as a share of its goal, which is the dashed line.</p>" + goals_chart(goals, rows))
    out.append("<table><tr><th>row<th>work<th>ratio of<th>measured<th>goal<th>bare loop<th></tr>")
    for row, goal in goals.items():
        verdict, bare = judge(row, goal, rows)
        cells = [row, goal["work"], goal["ratio"]]
        numbers = [f"{rows[row]:.4g}", bound(goal), "" if bare is None else f"{bare:.4g}"]
        out.append("<tr>" + "".join(f"<td>{html.escape(c)}" for c in cells) + "".join(f"<td class=number>{n}" for n in numbers))
        out.append(f"<td class={verdict.lower()}>{verdict.lower()}</tr>")
    out.append("</table><p>A row that misses is excused only within 5 % of a loop written by hand for exactly this work.</p>")
    out.append("<h2>Contenders</h2><p>The fastest round, and the median as a line and in brackets. Times are multiples of the "
               "first contender's fastest: on a shared machine, seconds mean nothing.</p>")
    for title, contenders in races.items():
        unit = contenders[0]["unit"]
        out.append(f"<h3>{html.escape(title)}</h3>" + ("" if unit == "s" else f"<p>{html.escape(unit)}</p>") + race_chart(contenders))
    return "\n".join(out) + "</html>\n"


def machine_text():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}"


def main(goals_path, directory, *group_paths):
    with open(goals_path, encoding="utf-8") as file:
        goals = json.load(file)
    rows, contenders = {}, []
    for path in group_paths:
        with open(path, encoding="utf-8") as file:
            group = json.load(file)
        rows.update(group["rows"])
        contenders += group["contenders"]
    missing = [row for row in goals if row not in rows]
    if missing:
        print("not measured: " + ", ".join(missing), file=sys.stderr)
        return 1

    races = {}
    for contender in contenders:
        races.setdefault(contender["race"], []).append(contender)
    with open(os.path.join(directory, "report.json"), "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=2)
        file.write("\n")
    with open(os.path.join(directory, "contenders.json"), "w", encoding="utf-8") as file:
        json.dump(races, file, indent=1)
        file.write("\n")
    with open(os.path.join(directory, "report.html"), "w", encoding="utf-8") as file:
        file.write(page(goals, rows, races, machine_text()))

    print(table(goals, rows))
    verdicts = [judge(row, goal, rows)[0] for row, goal in goals.items()]
    print(f"\n{verdicts.count('met')} of {len(verdicts)} goals met, {verdicts.count('excused')} missed but within 5 % of a bare "
          f"loop, {verdicts.count('MISSED')} missed. Plots: {os.path.join(directory, 'report.html')}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
