"""How an exercise judges an answer: run it under faults, then ask audit and Event History.

* ``modules``: a cell becomes a module, so that Temporal's sandbox can load it
* ``trials``: put a Workflow through scenarios and collect what is found
* ``judging``: is that what should hold, and if not, which mistake looks like this?
* ``mistakes``: the mistakes, and what to say about each
* ``report_card``: what the learner sees
* ``exercise``: ``check()``, ``hint()``, ``solution()``
"""
