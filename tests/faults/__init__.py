"""`make faults`: whether every recipient is still accounted for while everything around Clarion breaks.

Real processes, a real store, a scriptable SMTP sink. Every worker and the server reach the store through a door of
their own (`door`), which reads what passes and says so (`wire`), so that a process is killed at a chosen point of the
delivery: before a command reaches the store, after it was carried out and before its answer comes back, after the
answer. The sink says which stage of a hand-over it has come to. `steered` walks through all these points in rounds,
`mixed` adds faults at random; both are drawn from one seed. What was done is in `journal`; what came of it is read from
the raw logs alone (`support.ledger_check`, `figures`).
"""
