"""How the page looks: on a screen wide or narrow, light or dark, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ink:light-dark(#1a1a1a,#e8e8e8);--paper:light-dark(#fff,#16181b);
--soft:light-dark(#5b6068,#a2a8b0);--line:light-dark(#e2e4e8,#33373d);--shade:light-dark(#f5f6f8,#1f2226);
--link:light-dark(#0b57d0,#8ab4f8);font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
*{box-sizing:border-box}
body{margin:0;display:grid;grid-template-columns:21rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem;background:var(--shade);
border-right:1px solid var(--line);font-size:13px}
nav .home{font-size:1.1rem;font-weight:600;color:inherit}
nav h2{font-size:12px;margin:1.2rem 0 .3rem;color:var(--soft)}
nav ul{list-style:none;margin:0;padding:0}
nav li a{display:flex;gap:.5rem;color:inherit;padding:.1rem 0}
main{padding:2rem 3rem 6rem;max-width:64rem}
h1{margin:0 0 1rem;font-size:1.8rem}
main>h2{margin:3rem 0 0;padding-bottom:.3rem;border-bottom:2px solid var(--line)}
section{padding:1rem 0;border-bottom:1px solid var(--line);scroll-margin-top:1rem}
section h3{margin:0 0 .3rem;font-size:1rem;overflow-wrap:anywhere}
section p{margin:.3rem 0}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
code{font:13px/1.4 ui-monospace,monospace}
.key{color:var(--soft);white-space:nowrap}
.method{flex:none;display:inline-block;min-width:3.6rem;text-align:center;border-radius:3px;font:600 11px/1.6 system-ui,
sans-serif;color:#fff;background:#5b6068;align-self:start}
.get{background:#0b57d0}.post{background:#137333}.put{background:#9a5b00}.patch{background:#7b3fb3}.delete{background:#b3261e}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.8rem 0 .2rem;font-size:14px}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-top:1px solid var(--line);font-weight:400}
th{width:14rem}
td:nth-child(2){width:16rem}
b{font-weight:400;font-size:12px;color:var(--soft)}
@media(max-width:60rem){body{display:block}nav{position:static;height:auto;border:0}main{padding:1.5rem}th,td:nth-child(2){width:auto}}
@media print{body{display:block}nav{display:none}section{break-inside:avoid}}
"""
