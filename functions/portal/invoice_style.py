"""How the page of an invoice looks: on a screen, light or dark, and on A4 or Letter paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--soft:#5b6068;--line:#d9dce1;--paper:#fff;--pale:#f5f6f8;
--good:#17683a;--bad:#b3261e;--link:#1a56b8}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e9eaec;--soft:#a4a9b1;--line:#3b3f46;--paper:#16181c;
--pale:#202329;--good:#6bd395;--bad:#ff8f86;--link:#8ab4ff}}
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI","Liberation Sans",Arial,
sans-serif;-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{max-width:50rem;margin:2.5rem auto;padding:0 1.25rem;overflow-wrap:anywhere}
a{color:var(--link)}
h1,h2,p,dl,dd,address{margin:0}
h1{font-size:1.7rem;line-height:1.2}
h2{font-size:.8rem;font-weight:600;color:var(--soft);letter-spacing:.04em;text-transform:uppercase}
address{font-style:normal}
address span{display:block}
address .name{font-weight:600}
header,.parties{display:flex;justify-content:space-between;align-items:flex-start;gap:2rem}
header{margin-bottom:2rem}
header>*,.parties>*{min-width:0;flex:1}
.parties{margin-bottom:2rem}
.title{text-align:right}
.stamp{display:inline-block;margin-top:.5rem;padding:.1rem .7rem;border:2px solid;border-radius:.3rem;font-weight:700;
letter-spacing:.06em;text-transform:uppercase}
.paid{color:var(--good)}
.past_due,.void,.uncollectible{color:var(--bad)}
.draft,.finalized{color:var(--soft)}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem}
.facts dt{color:var(--soft)}
.facts dd{text-align:right}
.due{display:flex;justify-content:space-between;align-items:baseline;flex-wrap:wrap;gap:.5rem 2rem;padding:.8rem 1rem;
background:var(--pale);border-radius:.4rem}
.due strong{font-size:1.25rem}
table{width:100%;border-collapse:collapse;table-layout:fixed}
.lines{margin:1.75rem 0 1rem}
.lines col.what{width:42%}
.lines col.count{width:23%}
.lines col.price{width:18%}
.lines col.amount{width:17%}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{padding:.45rem .5rem;text-align:start;vertical-align:top;font-weight:400}
.lines thead th{color:var(--soft);font-size:.85rem;font-weight:600;border-bottom:2px solid var(--ink)}
.lines tbody tr:not(.step)>*{border-top:1px solid var(--line)}
.lines tbody:first-of-type tr:first-child>*{border-top:0}
.number,.lines thead .number{text-align:right;font-variant-numeric:tabular-nums}
.group th{font-weight:600}
.of-group th{padding-inline-start:1.5rem}
.step>*{padding-top:0;color:var(--soft);font-size:.87rem}
.step th{padding-inline-start:1.5rem}
.of-group+.step th,.of-group+.step~.step th{padding-inline-start:2.5rem}
.note{display:block;color:var(--soft);font-size:.87rem}
.sums{width:60%;margin-inline-start:auto}
.sums th,.sums td{padding:.3rem .5rem}
.sums .total>*{border-top:1px solid var(--line)}
.sums .owed>*{border-top:2px solid var(--ink);font-weight:700;font-size:1.1rem}
.sums .gone td{text-decoration:line-through}
@media screen and (max-width:36rem){header,.parties{flex-direction:column;gap:1rem}.title{text-align:start}
.sums{width:100%}html{font-size:13px}.facts,.facts dd{width:100%}.parties>*{width:100%}}
@page{margin:16mm 15mm 18mm;@bottom-right{content:"Page " counter(page) " of " counter(pages);font:8.5pt sans-serif;
color:#5b6068}}
@media print{:root{color-scheme:light}html{font-size:9.5pt;line-height:1.4}th,td{padding-block:.3rem}
body{margin:0;max-width:none;padding:0}
thead{display:table-header-group}tr,.sums,.due,.parties,header{break-inside:avoid}.group{break-after:avoid}
.step{break-before:avoid}.sums{break-before:avoid}}
"""


def on_every_page(title: str) -> str:
    """What is printed at the foot of every page beside its count; whatever it is, it stays a text."""
    written = "".join(each if each.isascii() and each.isalnum() else f"\\{ord(each):x} " for each in title)
    return f'@page{{@bottom-left{{content:"{written}";font:8.5pt sans-serif;color:#5b6068}}}}'
