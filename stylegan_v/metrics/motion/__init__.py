"""Motion watched without any pretrained network: what is seen of a video's movement, beside the same of real videos.

Each file has one kind of figure as a pure function of clips, with its formula, unit, range, good values and limits:
`knots` (jerks where motion codes meet), `recurrence` (repeats and loops), `drift`, `spectrum`, `reversal` (forth and
back), on `flow`; `change` says whether anything moves at all. The command ``python -m stylegan_v.metrics.motion`` puts
all of them in one table.
"""
