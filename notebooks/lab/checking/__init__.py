"""How an exercise judges an answer: simulate it under faults, then ask audit and history.

* ``modules``: a cell becomes a module, so that Temporal's sandbox can load it
* ``trials``: simulate a Workflow in scenarios and collect what is found
* ``tempo``: providers take their time, so that nothing is awaited by chance
* ``watch``, ``elsewhere``: chance, the clock and hash seeds, where the sandbox is blind
* ``real``: one trip on a server, for the last word
* ``desk``: an operator who says what is to become of an undo
* ``judging``: is that what should hold, and if not, which mistake looks like this?
* ``decisions``, ``deadlines``: the same, of an operator's word and of a deadline
* ``mistakes``: the mistakes, and what to say about each
* ``report_card``: what the learner sees
* ``exercise``: ``check()``, ``hint()``, ``solution()``
"""
