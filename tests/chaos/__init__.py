"""Everything is broken on purpose while documents are processed; afterwards nothing may be lost and nothing doubled.

    python -m tests.chaos --jobs 500 --seconds 60 --seed 1 --workers 2

`scenario` tells the story, `site` runs the real processes, `faults` breaks them, `clients` use the API meanwhile,
`invariants` looks at what Postgres holds at the end, and `report` says what came out.
"""
