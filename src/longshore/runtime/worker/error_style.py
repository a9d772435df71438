"""The style of the error page: light and dark, nothing loaded."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1e21; --dim: #646a73; --page: #fbfbfa; --card: #ffffff; --line: #dfe1e5;
  --error: #b3261e; --note: #8a5a00; --mark: #fde8e6; --edge: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --dim: #9aa1ab; --page: #16181c; --card: #1e2126;
  --line: #33373e; --error: #ff8a80; --note: #f2c46d; --mark: #4a2322; --edge: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1, h2 { font-size: 1.1rem; margin: 0 0 .3rem; }
h1 .type { color: var(--error); font-size: 1.3rem; }
section { margin: 0 0 1.5rem; }
pre, .file, .function, .subject, .message, td, th { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: 13px; }
.subject, .because, footer, th, .file { color: var(--dim); }
.message { font-size: 15px; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .8rem; }
.note { color: var(--note); white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
details.frame, p.frame { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; }
p.frame, summary { padding: .4rem .7rem; cursor: pointer; overflow-wrap: anywhere; }
details.libraries > summary { color: var(--dim); padding-left: 0; }
pre { margin: 0; padding: .5rem 0; overflow-x: auto; border-top: 1px solid var(--line); line-height: 1.45; }
section > details > pre { border: 1px solid var(--line); border-radius: 6px; padding: .7rem; background: var(--card); }
pre span { display: block; padding: 0 .7rem; border-left: 3px solid transparent; min-width: max-content; }
pre span.marked { background: var(--mark); border-left-color: var(--edge); }
pre i { display: inline-block; width: 3.2rem; color: var(--dim); font-style: normal; user-select: none; }
pre u { text-decoration: underline wavy var(--error); text-underline-offset: 3px; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: normal; padding: .1rem 1.5rem .1rem 0; vertical-align: top; white-space: nowrap; }
td { overflow-wrap: anywhere; }
""".strip()
