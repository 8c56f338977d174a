"""The fixed text of the stand-alone page: its frame, its style, one figure's section."""

from __future__ import annotations

SLICE_NOTE = (
    "A slice can show that two networks are connected; it cannot rule out a connection elsewhere."
)

STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--text);
 font:16px/1.5 "Source Sans","Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:clamp(1.5rem,3.6vw,2.1rem);line-height:1.2;margin:0 0 8px}
h2{font-size:1.1rem;margin:0}
p{margin:.3rem 0}
.muted,.foot{color:var(--muted);font-size:.9rem}
.foot{margin-top:40px;overflow-wrap:anywhere}
.proof b,.sign{color:var(--good)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));
 gap:20px;margin:24px 0}
.figure{border:1px solid var(--grid);border-radius:12px;padding:14px;min-width:0}
.figure header{display:flex;justify-content:space-between;gap:12px;align-items:center}
button{font:inherit;font-size:.85rem;color:var(--text);background:none;cursor:pointer;
 border:1px solid var(--grid);border-radius:8px;padding:2px 10px;white-space:nowrap}
button:hover{border-color:var(--accent);color:var(--accent)}
.scroll{overflow-x:auto;margin:8px 0 24px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--grid);white-space:nowrap}
th{color:var(--muted);font-weight:600}
a{color:var(--accent)}
code{font-size:.9em}
.square{height:min(600px,100vw)}
"""

PAGE = """<!doctype html>
<html lang="en" style="color-scheme:{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<script>{plotlyjs}</script>
</head>
<body><main>
<h1>{headline}</h1>
<p class="proof"><b>{lead}</b> {proof}</p>
<p class="muted">{detail}</p>
<p>{models}</p>
<div class="figures">{sections}</div>
<p class="muted">{note}</p>
<h2>The barrier by every definition</h2>
{barriers}
{definitions}
<h2>The networks</h2>
{networks}
<h2>Layer by layer</h2>
{layers}
<p class="foot">{foot}</p>
</main></body></html>
"""

SECTION = """
<section class="figure"><header><h2>{title}</h2>
<button onclick="Plotly.downloadImage('figure-{index}',{{format:'png',scale:2,
width:document.getElementById('figure-{index}').clientWidth,
height:document.getElementById('figure-{index}').clientHeight,
filename:'{file_name}'}})">PNG</button></header>
<div id="figure-{index}" {box}></div>
<script>(function(){{const f={data};delete f.layout.width;delete f.layout.height;
f.layout.autosize=true;
f.layout.paper_bgcolor=getComputedStyle(document.documentElement).getPropertyValue('--paper');
Plotly.newPlot('figure-{index}',f.data,f.layout,
{{responsive:true,displaylogo:false,showSendToCloud:false,scrollZoom:false}});}})();</script></section>
"""
